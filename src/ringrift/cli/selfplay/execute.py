"""Carry out a resolved run: folder, guard, progress, result."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.heavy import ready_for
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.selfplay.hosts import NoGuard, check_hosts, playing_there
from ringrift.cli.selfplay.order import guard_of, order_of
from ringrift.cli.selfplay.plan_shown import plan_fields, show_plan
from ringrift.cli.selfplay.presets import HEALTH_GAMES
from ringrift.cli.selfplay.resolve import (
    Resolved,
    resolve,
    with_profile,
)
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.output import ProgressTask
    from ringrift.cli.selfplay.options import Options
    from ringrift.cli.selfplay.presets import Preset
    from ringrift.core.interrupt import Stop
    from ringrift.core.settings import Settings
    from ringrift.selfplay.run import Guard, Outcome
    from ringrift.selfplay.summary import Session

PARTLY_DONE = 5
GIB = 1 << 30
HEALTH = "ai-healthcheck"


def perform(preset: Preset, given: Options) -> None:
    """Play what the options ask for and print the result."""
    given = with_profile(given)
    check_hosts(given, current())
    if given.no_numba and given.benchmark:
        raise UsageError("--benchmark measures compiled code alone", where="--no-numba")
    if given.soak_profile == HEALTH:
        _all_configurations(preset, given)
    else:
        _one(preset, given)


def _one(preset: Preset, given: Options) -> None:
    from ringrift.core.interrupt import cooperative_stop

    invocation = current()
    settings = invocation.settings().values
    run = resolve(preset, given, invocation, settings)
    if given.dry_run:
        show_plan(preset, given, run, invocation)
        return
    make_ready(given, run, invocation, settings)
    if given.benchmark:
        _measure(run, invocation)
        return
    with cooperative_stop() as stop:
        outcome = play(preset, given, run, invocation, settings, stop)
        finish(given, invocation, outcome, stop)


def _all_configurations(preset: Preset, given: Options) -> None:
    """Play a few games of each of the twelve configurations."""
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.core.settings import CONFIGURATIONS
    from ringrift.selfplay.run_folder import write_json

    invocation = current()
    settings = invocation.settings().values
    each = [replace(given, config_key=config) for config in CONFIGURATIONS]
    runs = [resolve(preset, one, invocation, settings) for one in each]
    if given.dry_run:
        invocation.out.result(
            {"configurations": [plan_fields(preset, one, run, invocation) for one, run in
                                zip(each, runs, strict=True)]},
            human=f"{len(runs)} configurations, {runs[0].games} games of each",
        )  # fmt: skip
        return
    make_ready(given, runs[0], invocation, settings)
    base = given.output_dir or invocation.paths().selfplay / HEALTH
    found: list[Outcome] = []
    with cooperative_stop() as stop:
        for one, run in zip(each, runs, strict=True):
            place = replace(one, output_dir=base / run.plan.config)
            found.append(play(preset, place, run, invocation, settings, stop))
            if stop.requested or found[-1].busy is not None:
                break
        summary = _together(found)
        write_json(base / "summary.json", summary)
        last = found[-1]
        failed = "; ".join(one.failed for one in found if one.failed) or None
        finish(given, invocation, replace(last, summary=summary, failed=failed), stop)


def _together(found: list[Outcome]) -> dict[str, Any]:
    parts = [outcome.summary for outcome in found]
    anomalies: dict[str, int] = {}
    for part in parts:
        for kind, count in part["anomalies"].items():
            anomalies[kind] = anomalies.get(kind, 0) + count
    return {
        "complete": len(parts) == 12 and all(part["complete"] for part in parts),
        "games": sum(part["games"] for part in parts),
        "plies": sum(part["plies"] for part in parts),
        "requested": HEALTH_GAMES * 12,
        "anomalies": anomalies,
        "seconds": sum(part["seconds"] for part in parts),
        "configurations": parts,
    }


def make_ready(given: Options, run: Resolved, invocation: Invocation, settings: Settings) -> None:
    """Refuse a missing root or a short machine before anything is written."""
    invocation.paths(create=False)
    if given.hosts is not None:
        ready_for(invocation, cpu=False, wait=False, config=run.plan.config, limits=settings.limits)
        return
    ready_for(
        invocation,
        disk_gb=max(0.1, run.games * run.plan.bytes_per_game() / GIB),
        gpu=run.device.gpu is not None,
        memory_gb=run.workers * run.plan.bytes_per_worker() / GIB,
        wait=not given.no_wait,
        config=run.plan.config,
        limits=settings.limits,
    )


def play(
    preset: Preset,
    given: Options,
    run: Resolved,
    invocation: Invocation,
    settings: Settings,
    stop: Stop,
) -> Outcome:
    """Play a run to its end, or as far as signals and the machine let it."""
    from ringrift.models import leases
    from ringrift.models.registry import has_model
    from ringrift.selfplay.run import play_run

    paths = invocation.paths()
    order = order_of(preset, given, run, invocation, settings)
    out = invocation.out
    who = f"{order.workers} workers of {order.games_per_worker} games"
    out.note(
        f"{run.plan.config}, {run.mode}, {order.games} games, seed {run.plan.seed}, "
        f"{who if given.hosts is None else f'on {given.hosts}'}, device {run.device.note}; "
        f"{order.folder.path}"
    )
    for part in run.plan.unavailable:
        out.note(f"left out of {run.mode}: {part}")
    with ExitStack() as stack:
        pool = None
        guard: Guard = NoGuard()
        if given.hosts is not None:
            pool = stack.enter_context(playing_there(given, invocation, settings, order))
        else:
            guard = guard_of(run, paths.root, settings, invocation)
        registered = [m for m in run.plan.models if has_model(paths.model_objects, m)]
        stack.enter_context(leases.held(paths.models, registered))
        progress = stack.enter_context(out.progress())
        task = progress.task("starting workers", total=order.games, unit="games")
        outcome = play_run(
            order,
            guard=guard,
            stop=lambda: stop.requested,
            on_progress=lambda session: _show(task, session, "" if pool is None else pool.words),
            players=pool,
        )
        task.finish()
        if pool is not None:
            out.note(f"games by node: {pool.words or 'none'}")
    if given.summary_json is not None and given.soak_profile != HEALTH:
        from ringrift.selfplay.run_folder import write_json

        given.summary_json.parent.mkdir(parents=True, exist_ok=True)
        write_json(given.summary_json, outcome.summary)
    return outcome


def _show(task: ProgressTask, session: Session, nodes: str = "") -> None:
    from ringrift.selfplay.summary import progress_words

    words = ", ".join(each for each in (progress_words(session), nodes) if each)
    task.update(session.tally.games, name=f"playing ({words})" if words else "playing")


def finish(given: Options, invocation: Invocation, outcome: Outcome, stop: Stop) -> None:
    """Print the result and end with the code that it deserves."""
    from ringrift.cli.selfplay.shown import summary_table

    if outcome.busy is not None:
        raise outcome.busy
    ok = outcome.complete and outcome.failed is None and not outcome.failed_indices
    out = invocation.out
    if not outcome.complete and stop.requested:
        words = [word for word in invocation.arguments if word != "--resume"]
        out.note(
            "stopped; what was finished is kept. To go on: "
            + shlex.join(["ringrift", *words, *(["--resume"] if given.hosts is None else [])])
        )
    out.result(
        outcome.summary, ok=ok, human=lambda console: summary_table(console, outcome.summary)
    )
    if outcome.failed is not None:
        out.note(f"failed: {outcome.failed}")
        raise typer.Exit(NegativeResult.exit_code)
    if not outcome.complete:
        raise typer.Exit(stop.exit_code or 130)
    if outcome.failed_indices:
        raise typer.Exit(PARTLY_DONE)


def _measure(run: Resolved, invocation: Invocation) -> None:
    """Play without keeping anything and print how fast that was."""
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.selfplay.summary import Session
    from ringrift.selfplay.tally import Tally
    from ringrift.selfplay.workers import WorkerPool

    out = invocation.out
    session = Session(tally=Tally(players=run.plan.spec.players), total=run.games)
    with (
        cooperative_stop() as stop,
        WorkerPool(run.workers, run.games_per_worker) as pool,
        out.progress() as progress,
    ):
        task = progress.task("playing", total=run.games, unit="games")
        session.begin()
        plans = run.plan.games(range(run.games))
        for game in pool.play(run.plan.job("benchmark"), plans, lambda: stop.requested):
            session.tally.add(game)
            session.played(game[0])
            session.fill = pool.fill
            _show(task, session)
        session.pause()
        task.finish()
        figures = {
            "benchmark": True,
            "config": run.plan.config,
            "mode": run.mode,
            "complete": session.games == run.games,
            "games": session.games,
            "plies": session.plies,
            "seconds": round(session.seconds, 3),
            "games_per_s": session.games_per_s,
            "plies_per_s": session.plies_per_s,
            "batch_fill": session.fill,
        }
        ok = session.games == run.games
        out.result(
            figures, ok=ok, human=out.table([Column("figure"), Column("value")], figures.items())
        )
        if not ok:
            raise typer.Exit(stop.exit_code)
