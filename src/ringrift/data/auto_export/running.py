"""A round of exports: two at a time, each in a process of its own (`data.md` 8)."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import RingriftError
from ringrift.core.files import PARTIAL_SUFFIX, is_locked, write_atomic
from ringrift.core.interrupt import terminate_as_exception
from ringrift.core.log import get_logger
from ringrift.core.processes import begin_worker, threads_of_children
from ringrift.data.dataset.options import ExportOptions
from ringrift.data.dataset.plan import plan_export
from ringrift.data.export.cache import BlockCache
from ringrift.data.export.run import Exporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from ringrift.data.auto_export.deciding import Decision

log = get_logger(__name__)

AT_ONCE = 2
STATE_FORMAT = "ringrift.export-state/1"

_LOOK_EVERY_S = 0.2
_GRACE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one export: a dataset, or the error. `existing`: it was there already."""

    config: str
    id: str | None = None
    path: str | None = None
    games: int = 0
    samples: int = 0
    existing: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Where a round reads and writes: the store, the datasets, the cache of blocks."""

    store: Path
    npz: Path
    cache: Path


def run_round(
    job: Job,
    decisions: Iterable[Decision],
    *,
    stop: Callable[[], bool] = lambda: False,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Export the decided configurations in their order, two at a time; return what became of each.

    Once `stop` says so, running exports are ended: what they finished is used the next time, and
    no dataset is there in part.
    """
    waiting = [decision.config for decision in decisions if decision.exported]
    for config in waiting:
        remove_leftovers(job.npz / config)
    running: dict[Connection, tuple[str, Any]] = {}
    outcomes = []
    try:
        while (waiting or running) and not stop():
            while waiting and len(running) < AT_ONCE:
                config = waiting.pop(0)
                ours, process = _start(job, config)
                running[ours] = (config, process)
            ready = wait(list(running), timeout=_LOOK_EVERY_S)
            for ours in [ours for ours in running if ours in ready]:
                config, process = running.pop(ours)
                outcomes.append(_outcome(config, ours, process))
                on_outcome(outcomes[-1])
    finally:
        _end([process for _, process in running.values()])
    return outcomes


def remove_leftovers(folder: Path) -> None:
    """Delete what killed exports left in a folder of datasets, unless one is running there now."""
    left = list(folder.glob(f".*{PARTIAL_SUFFIX}"))
    if not any(is_locked(path) for path in folder.glob(".export-*.lock")):
        for path in left:
            shutil.rmtree(path, ignore_errors=True)


def write_state(
    path: Path, decisions: Sequence[Decision], outcomes: Iterable[Outcome], *, target_games: int
) -> None:
    """Write the last round for readers; nothing here reads it."""
    by_config = {outcome.config: asdict(outcome) for outcome in outcomes}
    state = {
        "format": STATE_FORMAT,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "target_games": target_games,
        "configurations": [
            {**asdict(decision), "outcome": by_config.get(decision.config)}
            for decision in decisions
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(state, indent=1).encode() + b"\n")


def _start(job: Job, config: str) -> tuple[Connection, Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_export, args=(theirs, job, config), name=f"export-{config}")
    with threads_of_children(1):
        process.start()
    theirs.close()
    log.info("export", config=config, pid=process.pid)
    return ours, process


def _export(answers: Connection, job: Job, config: str) -> None:
    """Export one configuration and send its `Outcome`: the whole life of a process."""
    begin_worker()
    with suppress(KeyboardInterrupt), terminate_as_exception():
        try:
            plan = plan_export([job.store], config, ExportOptions())
            exporter = Exporter(output=job.npz, cache=BlockCache(job.cache))
            done = exporter.export(plan)
        except RingriftError as error:
            answers.send(Outcome(config=config, error=str(error)))
            return
        answers.send(
            Outcome(
                config=config,
                id=done.manifest.id,
                path=str(done.path),
                games=done.manifest.games,
                samples=done.manifest.samples,
                existing=done.existing,
            )
        )


def _outcome(config: str, ours: Connection, process: Any) -> Outcome:
    try:
        outcome: Outcome = ours.recv()
    except EOFError:
        process.join()
        outcome = Outcome(config=config, error=f"its process died (exit code {process.exitcode})")
    ours.close()
    process.join()
    if outcome.error is not None:
        log.warning("an export failed", config=config, error=outcome.error)
    return outcome


def _end(processes: Sequence[Any]) -> None:
    """End exports: they take their partial files away, and those that do not are killed."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()
