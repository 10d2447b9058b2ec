"""Check many recorded games on several engines, on spawned processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context

from ringrift.core.errors import DataError, UsageError
from ringrift.core.processes import begin_worker, plain_children
from ringrift.records.parity.compare import compare
from ringrift.records.parity.foreign_games import ForeignRow, check_foreign
from ringrift.records.parity.games import RecordedGame, recorded
from ringrift.records.parity.report import INVALID, GameCheck, Report
from ringrift.records.parity.stored import StoredGame, check_stored
from ringrift.records.traces import Trace
from ringrift.rules import jitconf
from ringrift.rules.cpu import core_count
from ringrift.rules.warm import warm_up

ENGINES = ("compiled", "plain")
"""Our engines: the compiled rules, and the same source as plain Python."""

BATCH = 4
"""Games per task: small, so that the last worker is not left with a long queue."""

QUEUED = 3
"""Tasks kept waiting per worker, so that none is idle and few games are held in memory."""

Item = Trace | StoredGame | ForeignRow | RecordedGame


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How games are compared; `trace_plies` keeps what was compared (0: of every ply)."""

    mode: str = "canonical"
    view: str = "post_move"
    trace_plies: int | None = None


def check_item(item: Item, engine: str, options: Options) -> GameCheck | None:
    """Check one game on the engine of this process; None for a board that we do not have."""
    if isinstance(item, StoredGame):
        return check_stored(item, engine=engine, mode=options.mode)
    if isinstance(item, ForeignRow):
        return check_foreign(item, engine=engine, mode=options.mode)
    if isinstance(item, RecordedGame):
        game = item
    else:
        try:
            if not item.on_standard_board():
                return None
            game = recorded(item)
        except DataError as error:
            return GameCheck(
                file=item.file, game=item.id, engine=engine, structure=INVALID, detail=str(error)
            )
    return compare(
        game, engine=engine, mode=options.mode, view=options.view, trace_plies=options.trace_plies
    )


def check_batch(items: list[Item], engine: str, options: Options) -> list[GameCheck | None]:
    """Check some games; the task of one worker process."""
    return [check_item(item, engine, options) for item in items]


def check(
    items: Iterable[Item],
    *,
    engine: str = "compiled",
    options: Options | None = None,
    workers: int | None = None,
    stop_after: int | None = None,
    report: Report | None = None,
    on_game: Callable[[Report, GameCheck], None] = lambda report, check: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Check games on one engine with `workers` processes; `report` is added to and returned.

    Ends early once `stop_after` games have failed, or when `stop` says so.
    """
    begin_s = time.monotonic()
    total = Report() if report is None else report
    for results in _run(items, engine, options or Options(), workers or core_count()):
        for found in results:
            if found is None:
                total.skipped += 1
            else:
                total.add(found)
                on_game(total, found)
        if stop() or (stop_after is not None and len(total.failures) >= stop_after):
            break
    total.failures.sort(key=lambda f: (f.engine, f.file, f.game))
    total.seconds += time.monotonic() - begin_s
    return total


def check_engines(
    make_items: Callable[[], Iterable[Item]],
    engines: Iterable[str],
    *,
    options: Options | None = None,
    workers: int | None = None,
    stop_after: int | None = None,
    on_game: Callable[[Report, GameCheck], None] = lambda report, check: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Check the same games on each engine in turn; raises `UsageError` for an unknown one."""
    report = Report()
    for engine in engines:
        if engine not in ENGINES:
            raise UsageError(f"unknown engine {engine!r}", hint=", ".join(ENGINES))
        if stop() or (stop_after is not None and len(report.failures) >= stop_after):
            break
        skipped, report.skipped = report.skipped, 0
        check(
            make_items(),
            engine=engine,
            options=options,
            workers=workers,
            stop_after=stop_after,
            report=report,
            on_game=on_game,
            stop=stop,
        )
        report.skipped = max(skipped, report.skipped)
    return report


def children_of(engine: str) -> AbstractContextManager[None]:
    """Let processes spawned meanwhile run `engine`."""
    return plain_children() if engine == "plain" else nullcontext()


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    games = iter(items)
    while batch := list(islice(games, BATCH)):
        yield batch


def _run(
    items: Iterable[Item], engine: str, options: Options, workers: int
) -> Iterator[list[GameCheck | None]]:
    """Check batches, yielding their results in the order they finish.

    On spawned processes, unless one worker is asked for and this process is such an engine.
    """
    if workers == 1 and (engine == "compiled") == jitconf.COMPILED:
        for batch in _batches(items):
            yield check_batch(batch, engine, options)
        return
    if engine == "compiled":
        warm_up()  # one process compiles, the others load
    with (
        children_of(engine),
        ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=begin_worker
        ) as pool,
    ):
        running: set[Future[list[GameCheck | None]]] = set()
        try:
            for batch in _batches(items):
                running.add(pool.submit(check_batch, batch, engine, options))
                if len(running) >= workers * QUEUED:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (f.result() for f in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (f.result() for f in done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
