"""Play the games of a job in this process, in lock step, into batches."""

from __future__ import annotations

import time
from collections import deque
from functools import cache
from typing import TYPE_CHECKING

from ringrift.core.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ringrift.cluster.batches import BatchWriter
    from ringrift.cluster.job_child import JobContext
    from ringrift.selfplay.plans import GamePlan, Played, PlayJob
    from ringrift.selfplay.shelf import AgentShelf

MOST_TOGETHER = 512
"""Games in lock step: those of one job of the largest profile."""
HELD_S = 0.1


def device_of(context: JobContext) -> str:
    """Return where the nets of a job's games run."""
    return "cuda" if context.job.needs.gpu else "cpu"


def files_of(models: Iterable[str], context: JobContext) -> dict[str, Path]:
    """Return the files of models by their ids; raises `DataError` for one that is not here."""
    from ringrift.models.registry import find_model

    objects = Paths(context.root).model_objects
    return {model: find_model(objects, model) for model in models}


@cache
def shelf() -> AgentShelf:
    """Return the agents of this process; one whose model is known is not loaded again."""
    from ringrift.selfplay.shelf import AgentShelf

    return AgentShelf()


def play(
    context: JobContext,
    job: PlayJob,
    plans: Iterable[GamePlan],
    out: BatchWriter,
    *,
    most: int = MOST_TOGETHER,
) -> Iterator[Played]:
    """Play games, at most `most` together, and yield each as it ends.

    While the context holds no game begins; those under way go on. Once it says stop those under
    way are dropped. Raises what is wrong with an agent or a model.
    """
    from ringrift.selfplay.lockstep import Table
    from ringrift.selfplay.warming import warm, warm_job

    waiting = deque(plans)
    if not waiting:
        return
    size = min(most, len(waiting))
    if job.late_ms is not None:  # what is loaded at the first move is not timed
        short = warm_job(job)
        warm(Table(short, shelf().agents(short), size))
    table = Table(job, shelf().agents(job), size)
    while (waiting or table.busy) and not context.stop():
        if waiting and table.free and not context.hold():
            for _ in range(min(table.free, len(waiting))):
                table.start(waiting.popleft())
        if table.busy:
            yield from table.step()
        else:
            time.sleep(HELD_S)
        out.flush_due()


def stored_indices(store: Path, run: str, purpose: str) -> set[int]:
    """Return the indices of a run's games that the store has, none where there is no store yet."""
    from ringrift.records.store import GameStore

    if not store.is_file():
        return set()
    with GameStore.open(store) as opened:
        return opened.indices(run, purpose=purpose)


class Clock:
    """Wall and processor seconds of a job since it was made."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._cpu_s = time.process_time()

    def numbers(self) -> dict[str, float]:
        """Return `seconds` and `cpu_seconds` so far."""
        return {
            "seconds": time.monotonic() - self._began_s,
            "cpu_seconds": time.process_time() - self._cpu_s,
        }
