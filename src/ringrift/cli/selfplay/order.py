"""What a resolved run is told to do: folder, places, checks and guard."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.selfplay.models_at_hand import ModelsAtHand
from ringrift.cli.selfplay.presets import PARITY_RATE
from ringrift.cli.selfplay.resolve import (
    Resolved,
    store_path,
    watched_model,
    worker_memory_mb,
)

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.selfplay.options import Options
    from ringrift.cli.selfplay.presets import Preset
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.selfplay.guarding import RunGuard
    from ringrift.selfplay.reload import ModelWatch
    from ringrift.selfplay.run import RunOrder
    from ringrift.selfplay.run_folder import RunFolder
    from ringrift.selfplay.run_plan import RunPlan


def order_of(
    preset: Preset,
    given: Options,
    run: Resolved,
    invocation: Invocation,
    settings: Settings,
) -> RunOrder:
    """Choose the folder, write or check its header, and say what is to be done."""
    from ringrift.selfplay.player import Hygiene
    from ringrift.selfplay.recording import Places
    from ringrift.selfplay.run import RunOrder
    from ringrift.selfplay.run_folder import RunFolder, choose_folder
    from ringrift.selfplay.run_plan import key_of

    paths = invocation.paths()
    tree = run.plan.as_tree()
    key = key_of(tree)
    named = given.output_dir is not None
    base = given.output_dir or default_folder(preset, given, run, paths.selfplay, key)
    if given.hosts is None:
        resume = given.resume or given.resume_from_jsonl
        folder = choose_folder(base, key, resume=resume, named=named)
    else:  # the run is its jobs: the same one goes on
        folder = RunFolder(base)
        resume = folder.started
    store = None if given.no_record_db else store_path(given, invocation)
    lines = given.log_jsonl
    if lines is None and (preset.lines_always or store is None):
        lines = folder.path / "games.jsonl"
    watch = _watch(given, run)
    if resume:
        if watch is not None:
            run = replace(run, plan=_as_begun(run.plan, folder, watch))
            tree = run.plan.as_tree()
        folder.go_on(key_of(tree), tree)
        name = folder.run
    else:
        own = secrets.token_hex(3) if given.hosts is None else "hosts"
        name = f"{preset.name}-{key}-{own}"
        folder.begin(_header(preset, given, run, invocation, folder, name, key, store, lines))
    return RunOrder(
        plan=_with_kept_forks(run, folder, resume=resume),
        run=name,
        games=run.games,
        folder=folder,
        places=Places(
            journal=paths.spool / f"{name}.journal",
            store=store,
            jsonl=lines,
            kind=_kind_of(store, paths),
            brought=given.hosts is not None,
        ),
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
        plain_stops=given.no_numba or (preset.name == "hybrid" and given.parity_mode == "strict"),
        fail_on_anomaly=given.fail_on_anomaly,
        min_game_length=given.min_game_length,
        pools=_pools(given, paths.eval_pools),
        watch=watch,
    )


def _kind_of(store: Path | None, paths: Paths) -> str:
    """Return the kind of a store that is made: only the installation's is a source of training."""
    from ringrift.records.schema import CANONICAL, SELFPLAY

    own = (paths.game_store).resolve()
    return CANONICAL if store is None or store.resolve() == own else SELFPLAY


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
        "device": run.device.note,
        "folder": str(folder.path),
        "store": None if store is None else str(store),
        "jsonl": None if lines is None else str(lines),
        "lean_db": given.lean_db,
        "command": invocation.arguments,
        "versions": {name: installed(name) for name in ("ringrift", "numba", "numpy", "torch")},
        "settings": invocation.settings().as_record(),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def default_folder(preset: Preset, given: Options, run: Resolved, selfplay: Path, key: str) -> Path:
    """Return where a run goes that names no folder."""
    if given.hosts is not None:
        return selfplay / run.plan.config / f"{preset.name}-{key}-hosts"
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
    if given.soak_profile == "python-strict" or given.no_numba:
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


def _watch(given: Options, run: Resolved) -> ModelWatch | None:
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


def _as_begun(plan: RunPlan, folder: RunFolder, watch: ModelWatch) -> RunPlan:
    """Return the plan with the model that a run began with: its alias may mean a newer one by now."""
    from ringrift.selfplay.reload import with_model
    from ringrift.selfplay.run_plan import key_of

    header = folder.header
    for model, file in header.get("models", {}).items():
        begun = with_model(plan, watch.model, model, Path(file))
        if key_of(begun.as_tree()) == header["key"]:
            watch.model = model
            return begun
    return plan


def guard_of(run: Resolved, root: Path, settings: Settings, invocation: Invocation) -> RunGuard:
    """Return the guard that judges the machine while a run goes on."""
    from ringrift.core.watch import ResourceWatch
    from ringrift.selfplay.guarding import RunGuard

    def changed(reasons: tuple[str, ...]) -> None:
        invocation.out.note(f"paused: {'; '.join(reasons)}" if reasons else "going on")

    gpu = run.device.gpu
    return RunGuard(
        watch=ResourceWatch(settings.limits, root, devices=() if gpu is None else (gpu,)),
        root=root,
        config=run.plan.config,
        patience_s=settings.limits.wait_seconds,
        on_change=changed,
    )
