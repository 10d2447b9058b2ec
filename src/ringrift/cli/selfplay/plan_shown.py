"""A run as `--dry-run` shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.output import Column
from ringrift.cli.selfplay.order import default_folder
from ringrift.cli.selfplay.resolve import Resolved
from ringrift.core.paths import Paths

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.selfplay.options import Options
    from ringrift.cli.selfplay.presets import Preset


def show_plan(preset: Preset, given: Options, run: Resolved, invocation: Invocation) -> None:
    """Print what a run would do."""
    fields = plan_fields(preset, given, run, invocation)
    out = invocation.out
    rows: list[tuple[str, Any]] = [
        ("run folder", fields["folder"]),
        ("store", fields["store"]),
        ("games", fields["games"]),
        ("seed", run.plan.seed),
        ("workers", f"{run.workers} of {run.games_per_worker} games"),
        ("device", run.device.note),
        ("ply limit", run.plan.max_plies),
        ("disk, MB", round(fields["disk_mb"], 1)),
        ("memory, MB", round(fields["memory_mb"])),
        *((f"agent {a['hash'][:12]}", a["spec"]) for a in fields["plan"]["agents"]),
        *(("left out", part) for part in fields["unavailable"]),
    ]
    title = f"{run.plan.config}, {run.mode}"
    out.result(fields, human=out.table([Column("plan"), Column("value")], rows, title=title))


def plan_fields(
    preset: Preset, given: Options, run: Resolved, invocation: Invocation
) -> dict[str, Any]:
    """Return what a run would do as fields."""
    from ringrift.selfplay.plans import game_seed
    from ringrift.selfplay.run_plan import key_of

    plan = run.plan
    tree = plan.as_tree()
    key = key_of(tree)
    paths = Paths(invocation.known_root() or Path.cwd())
    folder = given.output_dir or default_folder(preset, given, run, paths.selfplay, key)
    store = None if given.no_record_db else given.record_db or paths.game_store
    return {
        "plan": tree,
        "key": key,
        "mode": run.mode,
        "games": run.games,
        "workers": run.workers,
        "games_per_worker": run.games_per_worker,
        "device": run.device.note,
        "folder": str(folder),
        "store": None if store is None else str(store),
        "unavailable": list(plan.unavailable),
        "first_seeds": [game_seed(plan.seed, plan.config, i) for i in range(min(3, run.games))],
        "disk_mb": run.games * plan.bytes_per_game() / 1e6,
        "memory_mb": run.workers * plan.bytes_per_worker() / 1e6,
    }
