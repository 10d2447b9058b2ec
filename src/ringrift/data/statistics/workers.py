"""Summaries of many games, on processes once it shows that they are many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from types import TracebackType

from ringrift.core.errors import BusyError
from ringrift.core.processes import begin_worker, threads_of_children
from ringrift.data.statistics.summary import Summary, summarise
from ringrift.records.analysis import Analysis
from ringrift.records.game_bytes import from_bytes
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.verify import verify
from ringrift.rules.cpu import core_count

Task = bytes | tuple[GameRecord, tuple[Analysis, ...]]
"""The bytes of a verified game; or a game of any file with its analyses, to be verified first."""
Answer = Summary | VerificationError

PATIENCE_S = 2.0
"""Replaying alone before processes are started: they take about as long to load."""


class Summarisers:
    """Summarises lists of games in their order; a context manager.

    `workers` None: in this process, and after some seconds of it on as many processes as there are
    cores; 1: in this process; more: on so many processes.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._count = core_count() if workers is None else workers
        self._patience_s = PATIENCE_S if workers is None else 0.0
        self._spent_s = 0.0
        self._pool: ProcessPoolExecutor | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Summarisers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=error is None, cancel_futures=True)
        self._closing.close()

    @property
    def ahead(self) -> int:
        """How many lists are worth having under way."""
        return 1 if self._pool is None else 2 * self._count

    def submit(self, tasks: Sequence[Task]) -> Callable[[], list[Answer]]:
        """Begin with some games; the answer waits for them.

        Both raise `BusyError` once a process was ended from outside.
        """
        if self._count > 1 and self._pool is None and self._spent_s >= self._patience_s:
            self._start()
        if self._pool is None or not tasks:
            began_s = time.monotonic()
            answers = summarise_all(tasks)
            self._spent_s += time.monotonic() - began_s
            return lambda: answers
        with _unbroken():
            future: Future[list[Answer]] = self._pool.submit(summarise_all, tasks)

        def wait() -> list[Answer]:
            with _unbroken():
                return future.result()

        return wait

    def _start(self) -> None:
        self._closing.enter_context(threads_of_children(1))
        self._pool = ProcessPoolExecutor(
            self._count, mp_context=get_context("spawn"), initializer=begin_worker
        )


@contextmanager
def _unbroken() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise BusyError(
            "a process that replays games was ended from outside",
            hint="again, with --workers 1 where memory is short",
        ) from None


def summarise_all(tasks: Sequence[Task]) -> list[Answer]:
    """Return the summary of each game, or what is wrong with it."""
    return [_summarised(task) for task in tasks]


def _summarised(task: Task) -> Answer:
    try:
        if isinstance(task, bytes):
            return summarise(from_bytes(task))
        record, analyses = task
        if record.result.end != "aborted":  # which is no fault here, and counted as such
            verify(record, analyses[0] if analyses else None)
            for analysis in analyses[1:]:
                verify(record, analysis)
        return summarise(record)
    except VerificationError as error:
        return error
