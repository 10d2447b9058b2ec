"""One game of a match as results see it, and the result of a match (`evaluation.md` 3, 4)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.intervals import Interval
from ringrift.evaluation.elo import elo_from_score
from ringrift.evaluation.sprt import Standing
from ringrift.evaluation.worker_check import WorkerCheck, check_workers
from ringrift.records.record import GameRecord
from ringrift.rules import moves as mv
from ringrift.selfplay.ending import late_seat

CAPPED_WARNING, CAPPED_INVALID = 0.02, 0.10
DUPLICATES_WARNING = 0.05
TIMEOUTS_INVALID = 0.01
LATE = "late"
"""Reason of a game that was lost by a move later than the limit allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedGame:
    """What a result needs of one game.

    `winner` is the seat, from 0, in which the agent that won began; None for none. `moves` is a
    digest of all moves, `ms` and `host` are None where unknown. `late` is the seat, from 0, that
    lost by time; with more than two seats nobody won then, and the others share the game.
    """

    index: int
    winner: int | None
    capped: bool
    reason: str
    plies: int
    moves: bytes
    ms: int | None = None
    host: str | None = None
    late: int | None = None

    @classmethod
    def of(cls, record: GameRecord) -> PlayedGame:
        """Return what counts of a record; raises `DataError` for one without an index."""
        if record.meta.index is None:
            raise DataError(f"game {record.id[:12]} of a match has no index")
        late = late_seat(record.meta.tags)
        return cls(
            index=record.meta.index,
            winner=_winner(record),
            capped=late is None and record.result.end == "max_plies",
            reason=record.result.reason if late is None else LATE,
            plies=record.result.plies,
            moves=hashlib.sha256(repr(record.moves).encode()).digest()[:16],
            ms=record.meta.ms,
            host=record.meta.host,
            late=None if late is None else late - 1,
        )

    def score(self, seat: int, players: int) -> Fraction:
        """Return 1 if the agent that began in `seat` (from 0) won, 0 if not, 1/N if capped.

        Where a seat lost by time and nobody won, the others have 1/(N-1).
        """
        if self.capped:
            return Fraction(1, players)
        if self.late is not None and self.winner is None:
            return Fraction(int(seat != self.late), players - 1)
        return Fraction(int(self.winner == seat))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentScore:
    """How one participant did; a game counts once for each of its seats.

    `score` is the share of wins of one of its seats, `by_seat` the same for each seat it began in.
    """

    spec: str
    agent_hash: str
    seat_games: int
    wins: int
    capped: int
    score: float | None
    interval: Interval | None
    by_seat: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """What the stored games of a plan say; scores are the first agent's.

    `score`, `interval` and `elo` are None without a complete block. The interval is Wilson's with
    the design effect for a fixed number of games, the betting sequence where a test may stop or
    the match goes on. `reverse` is the share of the second agent alone among the first ones,
    `planned` the most games of the plan.
    """

    title: str
    plan: str
    games: int
    blocks: int
    wins: int
    losses: int
    capped: int
    duplicates: int
    repeats: int
    timeouts: int
    score: float | None
    interval: Interval | None
    counts: tuple[tuple[float, int], ...]
    nelo: float | None
    los: float | None
    by_seat: tuple[float | None, ...]
    by_third: tuple[float | None, ...]
    by_node: dict[str, dict[str, Any]]
    plies: float | None
    ms_per_ply: float | None
    reasons: dict[str, int]
    reverse: float | None
    agents: tuple[AgentScore, ...]
    standing: Standing | None
    complete: bool
    planned: int | None = None

    @property
    def best(self) -> float:
        """The score if every game that is left were won; 1 where it is not known how many are."""
        if self.complete and self.score is not None:
            return self.score
        counted = self.games - self.duplicates * len(self.by_seat)
        if self.score is None or self.planned is None or not counted:
            return 1.0
        left = self.planned - self.games
        return (self.score * counted + left) / (counted + left)

    @property
    def elo(self) -> float | None:
        """Elo difference of the score; None where it is unknown or beyond all bounds."""
        if self.score is None or self.score in (0.0, 1.0):
            return None
        return elo_from_score(self.score, len(self.by_seat))

    @property
    def elo_ci95(self) -> tuple[float, float] | None:
        """Elo at the ends of the interval, infinite at no win and no loss; None without games."""
        if self.interval is None:
            return None
        players = len(self.by_seat)
        low, high = self.interval.low, self.interval.high
        return elo_from_score(low, players), elo_from_score(high, players)

    @property
    def verdict(self) -> str | None:
        """`accept`, `reject` or `inconclusive`; None without a test or while it goes on."""
        return None if self.standing is None else self.standing.verdict

    @property
    def reason(self) -> str:
        """One sentence of why the match stopped, or where it is."""
        if not self.games:
            return "no complete block"
        if self.standing is not None:
            return self.standing.reason
        if self.complete:
            return f"all {self.games} games are played"
        return f"{self.games} games in complete blocks so far"

    @property
    def invalid(self) -> str | None:
        """Why the score says nothing, None where it does."""
        if self.games and self.capped / self.games > CAPPED_INVALID:
            return f"{self.capped} of {self.games} games were cut by the ply limit"
        if self.games and self.timeouts / self.games > TIMEOUTS_INVALID:
            return f"{self.timeouts} of {self.games} games were lost by a late move"
        return None

    @property
    def worker_check(self) -> WorkerCheck:
        """Whether the nodes won equal shares."""
        return check_workers(
            {node: (row["wins"], row["games"]) for node, row in self.by_node.items()}
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the score should know."""
        found = []
        if self.games and CAPPED_WARNING < self.capped / self.games <= CAPPED_INVALID:
            found.append(f"{self.capped} of {self.games} games were cut by the ply limit")
        check = self.worker_check
        if check.suspicious:
            found.append(check.words)
        if self.blocks and self.duplicates / self.blocks > DUPLICATES_WARNING:
            agents = " and ".join(dict.fromkeys(agent.spec for agent in self.agents))
            found.append(
                f"{self.duplicates} of {self.blocks} blocks repeat others move for move: {agents}"
            )
        return tuple(found)

    @property
    def status(self) -> str:
        """`done`, `running` or `invalid`."""
        if not self.complete:
            return "running"
        return "done" if self.invalid is None else "invalid"

    def as_tree(self) -> dict[str, Any]:
        """Return the result as it goes into reports; unknown values and infinities are None."""
        ends = self.elo_ci95
        return {
            "title": self.title,
            "plan": self.plan,
            "status": self.status,
            "games": self.games,
            "blocks": self.blocks,
            "wins": self.wins,
            "losses": self.losses,
            "capped": self.capped,
            "counts": [[value, count] for value, count in self.counts],
            "score": self.score,
            "score_ci95": _ends(self.interval),
            "elo": self.elo,
            "elo_ci95": None if ends is None else [_finite(end) for end in ends],
            "nelo": self.nelo,
            "los": self.los,
            "llr": None if self.standing is None else self.standing.llr,
            "bounds": None if self.standing is None else self.standing.bounds,
            "verdict": self.verdict,
            "by_seat": list(self.by_seat),
            "by_third": list(self.by_third),
            "by_node": self.by_node,
            "duplicates": self.duplicates,
            "repeats": self.repeats,
            "timeouts": self.timeouts,
            "plies": self.plies,
            "ms_per_ply": self.ms_per_ply,
            "reasons": self.reasons,
            "reverse": self.reverse,
            "agents": [
                {
                    "spec": agent.spec,
                    "agent_hash": agent.agent_hash,
                    "seat_games": agent.seat_games,
                    "wins": agent.wins,
                    "capped": agent.capped,
                    "score": agent.score,
                    "score_ci95": _ends(agent.interval),
                    "by_seat": list(agent.by_seat),
                }
                for agent in self.agents
            ],
            "complete": self.complete,
        }


def _winner(record: GameRecord) -> int | None:
    """Return the seat (from 0) in which the winning agent began; agents move with a swap."""
    if not record.result.winner:
        return None
    seat = record.result.winner - 1
    swaps = sum(mv.kind_of(move) == mv.SWAP for move in record.moves)
    return 1 - seat if swaps % 2 and seat < 2 else seat


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
