"""Make the blocks that are missing, in this process or in several, durable every few games (data.md 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from ringrift.core.errors import BusyError
from ringrift.core.processes import begin_worker, threads_of_children
from ringrift.data.dataset.block import read_header
from ringrift.data.dataset.blocks import blocks
from ringrift.data.dataset.pack import SUFFIX, block_key, write_pack
from ringrift.data.dataset.plan import Plan

AHEAD = 2
"""Chunks that wait for each worker."""


class Made(NamedTuple):
    """A file of blocks that has been written, with its games and their samples."""

    path: Path
    games: int
    samples: int


def make_packs(
    plan: Plan, ids: Sequence[str], folder: Path, *, interval: int, workers: int
) -> Iterator[Made]:
    """Write the blocks of some games to files of `interval` games; yield each when it is durable.

    Raises as `blocks` does; `BusyError` if a worker was ended from outside.
    """
    chunks = [ids[first : first + interval] for first in range(0, len(ids), interval)]
    if workers < 2 or len(chunks) < 2:
        for chunk in chunks:
            yield _make(plan, chunk, folder)
        return
    # The first chunk compiles what the workers then load.
    yield _make(plan, chunks[0], folder)
    with (
        threads_of_children(1),
        ProcessPoolExecutor(
            min(workers, len(chunks) - 1),
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(plan.only(ids), folder),
        ) as pool,
    ):
        try:
            yield from _answers(pool, iter(chunks[1:]), workers * AHEAD)
        except BrokenProcessPool:
            raise BusyError(
                "a worker of the export was ended from outside",
                where=str(folder),
                hint="the same command again, which goes on from the last checkpoint",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _answers(
    pool: ProcessPoolExecutor, chunks: Iterator[Sequence[str]], ahead: int
) -> Iterator[Made]:
    waiting: set[Future[Made]] = set()
    for chunk in chunks:
        waiting.add(pool.submit(_work, tuple(chunk)))
        if len(waiting) >= ahead:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from _results(done)
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        yield from _results(done)


def _results(done: Iterable[Future[Made]]) -> Iterator[Made]:
    for future in done:
        yield future.result()


def _make(plan: Plan, ids: Sequence[str], folder: Path) -> Made:
    samples = 0

    def rows() -> Iterator[tuple[str, str, bytes]]:
        nonlocal samples
        for identity, data in blocks(plan, ids):
            samples += read_header(data).samples
            yield identity, block_key(plan.by_id[identity]), data

    name = hashlib.sha256(" ".join(ids).encode()).hexdigest()[:32]
    path = folder / f"{name}{SUFFIX}"
    games = write_pack(path, rows())
    return Made(path, games, samples)


_job: list[tuple[Plan, Path]] = []
"""What this worker works on; one entry once it has begun."""


def _begin(plan: Plan, folder: Path) -> None:
    begin_worker()
    _job[:] = [(plan, folder)]


def _work(ids: Sequence[str]) -> Made:
    plan, folder = _job[0]
    return _make(plan, ids, folder)
