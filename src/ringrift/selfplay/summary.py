"""What a run came to, for people and as `summary.json` (selfplay.md 5)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringrift.selfplay.tally import TIMEOUT_SHARE, Tally

if TYPE_CHECKING:
    from ringrift.records.record import GameRecord
    from ringrift.selfplay.shadow import Shadow


@dataclass(slots=True, kw_only=True)
class Session:
    """What one process sees of a run: its speed and its memory, beside the tally of all of it.

    `resumed` is how many games were there before; `fill` the share of places in lock step in use;
    `recording_seconds` the parent's time for journal, checks, lines and store.
    """

    tally: Tally
    total: int
    resumed: int = 0
    games: int = 0
    plies: int = 0
    fill: float | None = None
    peak_bytes: int = 0
    replaced: int = 0
    held: bool = False
    recording_seconds: float = 0.0
    _seconds: float = 0.0
    _began_s: float | None = field(default=None)

    def begin(self) -> None:
        """Start the clock unless it runs."""
        if self._began_s is None:
            self._began_s = time.monotonic()

    def pause(self) -> None:
        """Stop the clock."""
        self._seconds = self.seconds
        self._began_s = None

    def played(self, record: GameRecord) -> None:
        """Count a game that was played in this session."""
        self.games += 1
        self.plies += len(record.moves)

    @property
    def seconds(self) -> float:
        """Seconds of play so far."""
        running = 0.0 if self._began_s is None else time.monotonic() - self._began_s
        return self._seconds + running

    @property
    def plies_per_s(self) -> float | None:
        """Plies per second."""
        return self.plies / self.seconds if self.games and self.seconds > 0 else None

    @property
    def games_per_s(self) -> float | None:
        """Games per second."""
        return self.games / self.seconds if self.games and self.seconds > 0 else None

    @property
    def mean_length(self) -> float | None:
        """Mean length of all games, in plies."""
        return self.tally.plies / self.tally.games if self.tally.games else None

    @property
    def eta_s(self) -> float | None:
        """Seconds until the last game, at the mean speed so far."""
        rate = self.games_per_s
        return max(0, self.total - self.resumed - self.games) / rate if rate else None


def progress_words(session: Session) -> str:
    """Return the figures of a run in work in one line."""
    parts = []
    if (plies := session.plies_per_s) is not None:
        parts.append(f"{plies:,.0f} plies/s")
    if (games := session.games_per_s) is not None:
        parts.append(f"{games * 3600:,.0f} games/h")
    if (length := session.mean_length) is not None:
        parts.append(f"mean length {length:.0f}")
    if session.fill is not None:
        parts.append(f"batch fill {session.fill:.0%}")
    if (eta := session.eta_s) is not None:
        parts.append(f"ETA {eta:,.0f} s")
    if session.held:
        parts.append("paused")
    return ", ".join(parts)


def summary_of(
    session: Session,
    *,
    header: Mapping[str, Any],
    complete: bool,
    failed_indices: Sequence[int],
    shadow: Shadow | None,
    pools: Mapping[str, int],
    alerts: Sequence[str],
) -> dict[str, Any]:
    """Return what `summary.json` holds and `--json` prints."""
    tally = session.tally
    share = tally.timeout_share
    return {
        "run": header["run"],
        "preset": header["preset"],
        "config": header["plan"]["config"],
        "seed": header["plan"]["seed"],
        "mode": header["mode"],
        "device": header["plan"]["device"],
        "folder": header["folder"],
        "store": header["store"],
        "jsonl": header["jsonl"],
        "complete": complete,
        "games": tally.games,
        "requested": session.total,
        "resumed": session.resumed,
        "plies": tally.plies,
        "searched_plies": tally.searched,
        "full_search_share": tally.full / tally.searched if tally.searched else None,
        "ends": dict(tally.ends),
        "victory_types": dict(tally.reasons),
        "wins": {str(seat): n for seat, n in enumerate(tally.wins) if seat},
        "draws_or_unfinished": tally.wins[0],
        "mean_values": [value / tally.valued for value in tally.values] if tally.valued else None,
        "length_quantiles": tally.quantiles(),
        "mean_length": session.mean_length,
        "swaps": tally.swaps,
        "marks": dict(tally.marks),
        "tags": {tag: n for tag, n in tally.tags.items() if ":" not in tag},
        "timeouts": tally.ends["max_plies"],
        "timeout_share": share,
        "timeout_warning": share is not None and share > TIMEOUT_SHARE,
        "anomalies": dict(tally.anomalies),
        "quarantined": tally.quarantined,
        "unverified": tally.unverified,
        "duplicates": tally.duplicates,
        "failed_indices": list(failed_indices),
        "unavailable": list(header["unavailable"]),
        "agents": [
            {"spec": spec, **{fate: counts[fate] for fate in ("won", "lost", "capped", "aborted")}}
            for spec, counts in sorted(tally.agents.items())
        ],
        "shadow": None
        if shadow is None
        else {"checked": shadow.checked, "differing": shadow.differing},
        "pools": dict(pools),
        "alerts": list(alerts),
        "seconds": round(session.seconds, 3),
        "recording_seconds": round(session.recording_seconds, 3),
        "plies_per_s": session.plies_per_s,
        "games_per_hour": None if session.games_per_s is None else session.games_per_s * 3600,
        "batch_fill": session.fill,
        "peak_rss_mb": round(session.peak_bytes / (1 << 20), 1) if session.peak_bytes else None,
        "workers_replaced": session.replaced,
    }
