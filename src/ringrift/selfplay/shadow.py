"""Sampled games played again singly, one process and one game at a time (selfplay.md 3).

A game follows from its plan alone, so that the second play has the same id; where it has not,
batched and single play differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from ringrift.selfplay import draws
from ringrift.selfplay.anomalies import SHADOW, Anomaly
from ringrift.selfplay.workers import WorkerPool

if TYPE_CHECKING:
    from ringrift.records.record import GameRecord
    from ringrift.selfplay.plans import GamePlan, Played, PlayJob


def is_sampled(rate: float, run_seed: int, index: int) -> bool:
    """Tell whether game `index` is in a sample of share `rate`."""
    return rate > 0 and draws.uniform(run_seed, "shadow", index) < rate


@dataclass(slots=True)
class Shadow:
    """Plays sampled games again; a context manager. `checked` and `differing` count them."""

    checked: int = 0
    differing: int = 0
    _pool: WorkerPool = field(default_factory=lambda: WorkerPool(1, 1))

    def __enter__(self) -> Shadow:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close()

    @property
    def share(self) -> float:
        """Share of the checked games that differed."""
        return self.differing / self.checked if self.checked else 0.0

    def compare(
        self,
        job: PlayJob,
        games: Sequence[Played],
        plans: Sequence[GamePlan],
        stop: Callable[[], bool],
    ) -> dict[int, Anomaly | None]:
        """Play the games again; return by index what differs, None for equal games.

        A game that was not reached before `stop` has no entry.
        """
        first = {record.meta.index: record for record, _ in games}
        found: dict[int, Anomaly | None] = {}
        for record, _ in self._pool.play(job, plans, stop):
            index = record.meta.index
            assert index is not None
            found[index] = difference(first[index], record)
            self.checked += 1
            self.differing += found[index] is not None
        return found


def difference(batched: GameRecord, single: GameRecord) -> Anomaly | None:
    """Return where two plays of one game part, None if they are the same game."""
    if batched.id == single.id:
        return None
    pairs = enumerate(zip(batched.moves, single.moves, strict=False))
    ply = next((ply for ply, (a, b) in pairs if a != b), None)
    if ply is None:
        ply = min(len(batched.moves), len(single.moves)) - 1
    detail = f"batched {len(batched.moves)} plies, single {len(single.moves)} plies"
    return Anomaly(kind=SHADOW, ply=max(0, ply), detail=detail)
