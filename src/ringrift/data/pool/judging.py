"""Let the gate look at games, in this process or in several (data.md 2, `--parallel-workers`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from ringrift.core.errors import BusyError
from ringrift.core.processes import begin_worker
from ringrift.data.pool.units import Judged, Rules, Unit, judge
from ringrift.records.preparing import Known
from ringrift.records.store import GameStore
from ringrift.rules.warm import warm_up

CHUNK = 50
"""Games that go to a process at once."""
_QUEUED = 2
"""Chunks that wait for each process, so that none is idle and few games are in memory."""

T = TypeVar("T")


class Judges:
    """Judges chunks of units in order. A context manager.

    With `workers` above 1 on spawned processes, which read `store` (None: no game is known) to leave
    out what is there.
    """

    def __init__(self, rules: Rules, known: Known, *, store: Path | None, workers: int) -> None:
        self._rules = rules
        self._known = known
        self._workers = workers
        self._closing = ExitStack()
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            warm_up()  # one process compiles, the others load
            self._pool = ProcessPoolExecutor(
                workers,
                mp_context=get_context("spawn"),
                initializer=_begin,
                initargs=(rules, store),
            )
            self._closing.callback(self._pool.shutdown, wait=True, cancel_futures=True)

    def __enter__(self) -> Judges:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    def judged(self, chunks: Iterable[tuple[list[Unit], T]]) -> Iterator[tuple[list[Judged], T]]:
        """Yield what the gate says of each chunk, with what came beside it, in the same order."""
        if self._pool is None:
            for units, beside in chunks:
                yield [judge(unit, self._rules, self._known) for unit in units], beside
            return
        running: deque[tuple[Future[list[Judged]], T]] = deque()
        try:
            for units, beside in chunks:
                running.append((self._pool.submit(_judge, units), beside))
                if len(running) >= self._workers * (1 + _QUEUED):
                    future, done = running.popleft()
                    yield future.result(), done
            while running:
                future, done = running.popleft()
                yield future.result(), done
        except BrokenProcessPool:
            raise BusyError(
                "a process of the gate was killed; what was committed stays",
                hint="the same command again, which goes on, or fewer --parallel-workers",
            ) from None


class _Worker:
    """What a spawned process keeps."""

    rules: Rules
    store: GameStore | None = None


def _begin(rules: Rules, store: Path | None) -> None:
    begin_worker()
    _Worker.rules = rules
    _Worker.store = None if store is None else GameStore.open(store)


def _judge(units: list[Unit]) -> list[Judged]:
    store = _Worker.store

    def known(game: str, analysis: str | None) -> bool:
        return store is not None and store.has(game, analysis)

    return [judge(unit, _Worker.rules, known) for unit in units]
