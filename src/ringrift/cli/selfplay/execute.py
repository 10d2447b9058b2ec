"""Carry out a resolved run: folder, guard, progress, result."""

from __future__ import annotations

import os
import secrets
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.heavy import ready_for
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.selfplay.models_at_hand import ModelsAtHand
from ringrift.cli.selfplay.presets import HEALTH_GAMES, PARITY_RATE
from ringrift.cli.selfplay.resolve import (
    STORE,
    Resolved,
    resolve,
    store_path,
    watched_model,
    worker_memory_mb,
)
from ringrift.core.errors import NegativeResult
from ringrift.core.paths import Paths

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.output import ProgressTask
    from ringrift.cli.selfplay.options import Options
    from ringrift.cli.selfplay.presets import Preset
    from ringrift.core.interrupt import Stop
    from ringrift.core.settings import Settings
    from ringrift.selfplay.guarding import RunGuard
    from ringrift.selfplay.run import Outcome, RunOrder
    from ringrift.selfplay.run_folder import RunFolder
    from ringrift.selfplay.summary import Session

PARTLY_DONE = 5
GIB = 1 << 30
HEALTH = "ai-healthcheck"


def perform(preset: Preset, given: Options) -> None:
    """Play what the options ask for and print the result."""
    with _rules_as_asked(given):
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
        _show_plan(preset, given, run, invocation)
        return
    _make_ready(given, run, invocation, settings)
    if given.benchmark:
        _measure(run, invocation)
        return
    with cooperative_stop() as stop:
        outcome = _play(preset, given, run, invocation, settings, stop)
        _finish(given, invocation, outcome, stop)


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
            {"configurations": [_plan_fields(preset, one, run, invocation) for one, run in
                                zip(each, runs, strict=True)]},
            human=f"{len(runs)} configurations, {runs[0].games} games of each",
        )  # fmt: skip
        return
    _make_ready(given, runs[0], invocation, settings)
    base = given.output_dir or invocation.paths().selfplay / HEALTH
    found: list[Outcome] = []
    with cooperative_stop() as stop:
        for one, run in zip(each, runs, strict=True):
            place = replace(one, output_dir=base / run.plan.config)
            found.append(_play(preset, place, run, invocation, settings, stop))
            if stop.requested or found[-1].busy is not None:
                break
        summary = _together(found)
        write_json(base / "summary.json", summary)
        last = found[-1]
        failed = "; ".join(one.failed for one in found if one.failed) or None
        _finish(given, invocation, replace(last, summary=summary, failed=failed), stop)


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


def _make_ready(given: Options, run: Resolved, invocation: Invocation, settings: Settings) -> None:
    """Refuse a missing root or a short machine before anything is written."""
    invocation.paths(create=False)
    ready_for(
        invocation,
        disk_gb=max(0.1, run.games * run.plan.bytes_per_game() / GIB),
        memory_gb=run.workers * run.plan.bytes_per_worker() / GIB,
        wait=not given.no_wait,
        config=run.plan.config,
        limits=settings.limits,
    )


def _play(
    preset: Preset,
    given: Options,
    run: Resolved,
    invocation: Invocation,
    settings: Settings,
    stop: Stop,
) -> Outcome:
    from ringrift.selfplay.run import play_run

    paths = invocation.paths()
    order = _order(preset, given, run, invocation, settings)
    out = invocation.out
    out.note(
        f"{run.plan.config}, {run.mode}, {order.games} games, seed {run.plan.seed}, {order.workers} "
        f"workers of {order.games_per_worker} games, device {run.device_note}; {order.folder.path}"
    )
    for part in run.plan.unavailable:
        out.note(f"left out of {run.mode}: {part}")
    guard = _guard(run.plan.config, paths.root, settings, invocation)
    with out.progress() as progress:
        task = progress.task("playing", total=order.games, unit="games")
        outcome = play_run(
            order,
            guard=guard,
            stop=lambda: stop.requested,
            on_progress=lambda session: _show(task, session),
        )
        task.finish()
    if given.summary_json is not None and given.soak_profile != HEALTH:
        from ringrift.selfplay.run_folder import write_json

        given.summary_json.parent.mkdir(parents=True, exist_ok=True)
        write_json(given.summary_json, outcome.summary)
    return outcome


def _order(
    preset: Preset,
    given: Options,
    run: Resolved,
    invocation: Invocation,
    settings: Settings,
) -> RunOrder:
    """Choose the folder, write or check its header, and say what is to be done."""
    from ringrift.selfplay.recording import Places
    from ringrift.selfplay.run import RunOrder
    from ringrift.selfplay.run_folder import choose_folder
    from ringrift.selfplay.run_plan import key_of
    from ringrift.selfplay.workers import Hygiene

    paths = invocation.paths()
    tree = run.plan.as_tree()
    key = key_of(tree)
    named = given.output_dir is not None
    base = given.output_dir or _default_folder(preset, run, paths.selfplay, key)
    resume = given.resume or given.resume_from_jsonl
    folder = choose_folder(base, key, resume=resume, named=named)
    store = None if given.no_record_db else store_path(given, invocation)
    lines = given.log_jsonl
    if lines is None and (preset.lines_always or store is None):
        lines = folder.path / "games.jsonl"
    if resume:
        folder.go_on(key, tree)
        name = folder.run
    else:
        name = f"{preset.name}-{key}-{secrets.token_hex(3)}"
        folder.begin(_header(preset, given, run, invocation, folder, name, key, store, lines))
    return RunOrder(
        plan=_with_kept_forks(run, folder, resume=resume),
        run=name,
        games=run.games,
        folder=folder,
        places=Places(journal=paths.spool / f"{name}.journal", store=store, jsonl=lines),
        resume=resume,
        workers=run.workers,
        games_per_worker=run.games_per_worker,
        hygiene=Hygiene(
            gc_games=given.gc_interval,
            gc_steps=given.intra_game_gc_interval,
            memory_mb=worker_memory_mb(given, run.workers),
        ),
        shadow_rate=_shadow_rate(preset, given, settings),
        shadow_threshold=given.shadow_threshold,
        plain_rate=_plain_rate(preset, given),
        plain_stops=preset.name == "hybrid" and given.parity_mode == "strict",
        fail_on_anomaly=given.fail_on_anomaly,
        min_game_length=given.min_game_length,
        pools=_pools(given, paths.eval_pools),
        watch=_watch(given, run),
    )


def _header(
    preset: Preset,
    given: Options,
    run: Resolved,
    invocation: Invocation,
    folder: RunFolder,
    name: str,
    key: str,
    store: Path | None,
    lines: Path | None,
) -> dict[str, Any]:
    from ringrift.core.versions import installed

    return {
        "run": name,
        "key": key,
        "preset": preset.name,
        "mode": run.mode,
        "plan": run.plan.as_tree(),
        "models": dict(run.plan.models),
        "unavailable": list(run.plan.unavailable),
        "device": run.device_note,
        "folder": str(folder.path),
        "store": None if store is None else str(store),
        "jsonl": None if lines is None else str(lines),
        "lean_db": given.lean_db,
        "command": invocation.arguments,
        "versions": {name: installed(name) for name in ("ringrift", "numba", "numpy", "torch")},
        "settings": invocation.settings().as_record(),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _default_folder(preset: Preset, run: Resolved, selfplay: Path, key: str) -> Path:
    if preset.folder is not None:
        return selfplay / preset.folder
    return selfplay / run.plan.config / f"{preset.name}-{key}"


def _with_kept_forks(run: Resolved, folder: RunFolder, *, resume: bool) -> Any:
    """Return the plan with the positions that the run began with."""
    from ringrift.selfplay.forks import keep_forks, kept_forks

    openings = run.plan.openings
    if not openings.forks:
        return run.plan
    kept = kept_forks(folder.path) if resume else None
    if kept is None:
        keep_forks(folder.path, openings.forks)
        return run.plan
    return replace(run.plan, openings=replace(openings, forks=kept))


def _shadow_rate(preset: Preset, given: Options, settings: Settings) -> float:
    if preset.name != "gpu" or settings.selfplay.skip_shadow_contracts:
        return 0.0
    return given.shadow_sample_rate


def _plain_rate(preset: Preset, given: Options) -> float:
    if given.soak_profile == "python-strict":
        return 1.0
    return PARITY_RATE if preset.name == "hybrid" and given.parity_mode != "off" else 0.0


def _pools(given: Options, eval_pools: Path) -> Any:
    from ringrift.cli.selfplay.options import POOL_DEFAULT
    from ringrift.selfplay.state_pools import PoolOrder

    asked = (
        ("square8", given.square8_pool, given.square8_pool_states, given.square8_pool_every),
        ("square19", given.square19_pool, given.square19_pool_states, given.square19_pool_every),
        ("hexagonal", given.hex_pool, given.hex_pool_states, given.hex_pool_every),
    )
    found = []
    for board, path, most, every in asked:
        if path is not None and most > 0 and every > 0:
            place = eval_pools / board / "pool_v1.jsonl" if path == POOL_DEFAULT else Path(path)
            found.append(PoolOrder(board=board, path=place, most=most, every=every))
    return tuple(found)


def _watch(given: Options, run: Resolved) -> Any:
    from ringrift.selfplay.reload import ModelWatch

    model = watched_model(given, run.models, run.plan)
    if model is None:
        return None
    models: ModelsAtHand = run.models
    name = given.nn_model_id or "champion"
    if given.model_alias_path is not None:
        name = str(given.model_alias_path)
    return ModelWatch(
        model=model,
        every=given.model_reload_interval,
        current=lambda: models.current(name),
        alerts=[],
    )


def _guard(config: str, root: Path, settings: Settings, invocation: Invocation) -> RunGuard:
    from ringrift.core.watch import ResourceWatch
    from ringrift.selfplay.guarding import RunGuard

    def changed(reasons: tuple[str, ...]) -> None:
        invocation.out.note(f"paused: {'; '.join(reasons)}" if reasons else "going on")

    return RunGuard(
        watch=ResourceWatch(settings.limits, root),
        root=root,
        config=config,
        patience_s=settings.limits.wait_seconds,
        on_change=changed,
    )


def _show(task: ProgressTask, session: Session) -> None:
    from ringrift.selfplay.summary import progress_words

    words = progress_words(session)
    task.update(session.tally.games, name=f"playing ({words})" if words else "playing")


def _finish(given: Options, invocation: Invocation, outcome: Outcome, stop: Stop) -> None:
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
            + shlex.join(["ringrift", *words, "--resume"])
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


# --- plan and speed alone


def _show_plan(preset: Preset, given: Options, run: Resolved, invocation: Invocation) -> None:
    fields = _plan_fields(preset, given, run, invocation)
    out = invocation.out
    rows: list[tuple[str, Any]] = [
        ("run folder", fields["folder"]),
        ("store", fields["store"]),
        ("games", fields["games"]),
        ("seed", run.plan.seed),
        ("workers", f"{run.workers} of {run.games_per_worker} games"),
        ("device", run.device_note),
        ("ply limit", run.plan.max_plies),
        ("disk, MB", round(fields["disk_mb"], 1)),
        ("memory, MB", round(fields["memory_mb"])),
        *((f"agent {a['hash'][:12]}", a["spec"]) for a in fields["plan"]["agents"]),
        *(("left out", part) for part in fields["unavailable"]),
    ]
    title = f"{run.plan.config}, {run.mode}"
    out.result(fields, human=out.table([Column("plan"), Column("value")], rows, title=title))


def _plan_fields(
    preset: Preset, given: Options, run: Resolved, invocation: Invocation
) -> dict[str, Any]:
    from ringrift.selfplay.plans import game_seed
    from ringrift.selfplay.run_plan import key_of

    plan = run.plan
    tree = plan.as_tree()
    key = key_of(tree)
    paths = Paths(invocation.known_root() or Path.cwd())
    folder = given.output_dir or _default_folder(preset, run, paths.selfplay, key)
    store = None if given.no_record_db else given.record_db or paths.games / STORE
    return {
        "plan": tree,
        "key": key,
        "mode": run.mode,
        "games": run.games,
        "workers": run.workers,
        "games_per_worker": run.games_per_worker,
        "device": run.device_note,
        "folder": str(folder),
        "store": None if store is None else str(store),
        "unavailable": list(plan.unavailable),
        "first_seeds": [game_seed(plan.seed, plan.config, i) for i in range(min(3, run.games))],
        "disk_mb": run.games * plan.bytes_per_game() / 1e6,
        "memory_mb": run.workers * plan.bytes_per_worker() / 1e6,
    }


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


@contextmanager
def _rules_as_asked(given: Options) -> Iterator[None]:
    """Let the processes that play run plain Python where it was asked for."""
    if not given.no_numba:
        yield
        return
    name = "NUMBA_DISABLE_JIT"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
