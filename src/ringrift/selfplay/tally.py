"""Counting the games of a run, for its summary (selfplay.md 5 "Summary")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringrift.records.record import GameRecord
    from ringrift.selfplay.plans import Played

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
TIMEOUT_SHARE = 0.05
"""More games than this that reach the ply limit are worth a warning."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the games of a run came to; adding a game is all that changes it.

    `lengths` counts games by plies; `agents` counts won, lost, capped and aborted seats by spec. Of the
    `quarantined` games the aborted ones are as they should be, the `unverified` ones are not.
    """

    players: int
    games: int = 0
    plies: int = 0
    searched: int = 0
    full: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    wins: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    valued: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    swaps: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    agents: dict[str, Counter[str]] = field(default_factory=dict)
    anomalies: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    unverified: int = 0
    duplicates: int = 0

    def __post_init__(self) -> None:
        self.wins = self.wins or [0] * (self.players + 1)
        self.values = self.values or [0.0] * self.players

    def add(self, game: Played) -> None:
        """Count a game."""
        record, analyses = game
        result = record.result
        self.games += 1
        self.plies += result.plies
        self.ends[result.end] += 1
        self.reasons[result.reason.partition(":")[0]] += 1
        self.wins[result.winner] += 1
        self.lengths[result.plies] += 1
        self.marks.update(record.marks.values())
        self.swaps += "swap" in record.marks.values()
        self.tags.update(record.meta.tags)
        if result.values is not None:
            self.valued += 1
            self.values = [
                total + value for total, value in zip(self.values, result.values, strict=True)
            ]
        for analysis in analyses:
            self.searched += len(analysis.table)
            self.full += analysis.table.full
        self._add_agents(record)

    def _add_agents(self, record: GameRecord) -> None:
        for seat, agent in enumerate(record.agents_at_end, 1):
            counts = self.agents.setdefault(agent.spec, Counter())
            counts[_fate(record, seat)] += 1

    @property
    def timeout_share(self) -> float | None:
        """Share of the games that reached the ply limit."""
        return self.ends["max_plies"] / self.games if self.games else None

    def quantiles(self) -> dict[str, int] | None:
        """Return the lengths at `QUANTILES`, None without a game."""
        if not self.games:
            return None
        return {f"{share:g}": self._length_at(share) for share in QUANTILES}

    def _length_at(self, share: float) -> int:
        wanted, seen = share * (self.games - 1), -1
        for length in sorted(self.lengths):
            seen += self.lengths[length]
            if seen >= wanted:
                return length
        return max(self.lengths)

    def as_tree(self) -> dict[str, Any]:
        """Return all counts as plain data; `from_tree` reads them back."""
        return {
            "players": self.players,
            "games": self.games,
            "plies": self.plies,
            "searched": self.searched,
            "full": self.full,
            "ends": dict(self.ends),
            "reasons": dict(self.reasons),
            "wins": list(self.wins),
            "values": list(self.values),
            "valued": self.valued,
            "lengths": {str(plies): n for plies, n in sorted(self.lengths.items())},
            "swaps": self.swaps,
            "marks": dict(self.marks),
            "tags": dict(self.tags),
            "agents": {spec: dict(counts) for spec, counts in self.agents.items()},
            "anomalies": dict(self.anomalies),
            "quarantined": self.quarantined,
            "unverified": self.unverified,
            "duplicates": self.duplicates,
        }

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Tally:
        """Read what `as_tree` returned."""
        counted = {"ends", "reasons", "marks", "tags", "anomalies"}
        fields: dict[str, Any] = {
            name: Counter(value) if name in counted else value for name, value in tree.items()
        }
        fields["lengths"] = Counter({int(plies): n for plies, n in tree["lengths"].items()})
        fields["agents"] = {spec: Counter(counts) for spec, counts in tree["agents"].items()}
        return cls(**fields)


def _fate(record: GameRecord, seat: int) -> str:
    if record.result.end == "max_plies":
        return "capped"
    if record.result.end == "aborted":
        return "aborted"
    return "won" if record.result.winner == seat else "lost"
