"""What the options of an export ask for: its plans, and where they go (`data.md` 5, 6)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.data.export import _encoder_of, _quality, _types_of, _window_of
from ringrift.cli.data.parts import board_of, stores_of
from ringrift.cli.heavy import ready_for
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from ringrift.cli.invocation import Invocation
    from ringrift.data.dataset import ExportOptions, Plan
    from ringrift.data.export.run import Exporter

_AS_GIVEN = (
    "contents", "sample_every", "max_games", "min_moves", "max_moves", "max_move_index",
    "require_completed", "exclude_recovery", "exclude_timeout", "exclude_random",
    "min_simulations", "analysis", "policy_target", "rank_aware_values", "decay_half_life",
    "surprise_weight", "window_base", "max_reuse", "seed",
)  # fmt: skip


def plans_of(
    invocation: Invocation, given: Mapping[str, Any], stack: ExitStack, *, heavy: bool
) -> list[Plan]:
    """Plan a dataset for each configuration that is there and wanted; `given` are option values.

    What is `heavy` waits for the machine first. JSON lines go through the gate first, into a store
    that lasts as long as `stack`. Raises `RefusedError` for a store that is no source,
    `NegativeResult` where there is no game.
    """
    options, quality = _options_of(given)
    if heavy:
        ready_for(invocation, disk_gb=0.5, wait=not given["no_wait"])
    if given["inputs"] or given["input_dir"]:
        store = _store_of_lines(invocation, given, stack)
        plans = _planned([store], options, quality, given)
        return [replace(plan, games_upto={}) for plan in plans]
    if given["gpu_selfplay"]:
        raise UsageError("no JSON lines are given", where="--gpu-selfplay", hint="--input FILE")
    from ringrift.data.verify_sources import require_sources

    stores = stores_of(invocation, given["db"])
    require_sources(stores)
    return _planned(stores, options, quality, given)


def exporter_of(invocation: Invocation, given: Mapping[str, Any]) -> Exporter:
    """Return what writes the datasets where the options say."""
    from ringrift.data.export.run import Exporter

    output = given["output"] or invocation.paths().npz
    return Exporter(output=output, force=given["force_export"])


def _options_of(given: Mapping[str, Any]) -> tuple[ExportOptions, Mapping[str, float] | None]:
    """Return the options that name a dataset, and the weights of games."""
    from ringrift.data.dataset import ExportOptions

    quality, digest = _quality(given["weights"])
    options = ExportOptions(
        **{name: given[name] for name in _AS_GIVEN},
        encoder=_encoder_of(given["encoder"]),
        ai_types=_types_of(given["ai_types"]),
        window=_window_of(given["window"]),
        quality_weights=digest,
    )
    return options, quality


def _planned(
    stores: Sequence[Path],
    options: ExportOptions,
    quality: Mapping[str, float] | None,
    given: Mapping[str, Any],
) -> list[Plan]:
    from ringrift.data.dataset import configurations, plan_export
    from ringrift.rules import parse_config

    board, players = board_of(given["board"]), given["players"]
    pairs = [(key, *parse_config(key)) for key in configurations(stores, options.splits)]
    wanted = [key for key, on, by in pairs if board in (None, on) and players in (None, by)]
    if not wanted:
        raise NegativeResult(
            "zero samples: no game to learn from",
            where=", ".join(map(str, stores)),
            hint="ringrift selfplay run, or ringrift data pool",
        )
    output = given["output"]
    if output is not None and output.suffix == ".npz" and len(wanted) > 1:
        raise UsageError(
            f"one file for {len(wanted)} configurations",
            where="--output",
            hint="--board and --players, or a folder",
        )
    return [plan_export(stores, key, options, weights=quality) for key in wanted]


def _store_of_lines(invocation: Invocation, given: Mapping[str, Any], stack: ExitStack) -> Path:
    from ringrift.data.export.inputs import input_files, store_of_lines

    if given["db"]:
        raise UsageError("--db and --input name different things", where="--db", hint="one of them")
    files = input_files(given["inputs"] or [], given["input_dir"])
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringrift-export-")))
    with invocation.out.progress() as progress:
        task = progress.task("taking games", unit="games")
        store_of_lines(
            files,
            folder / "lines.db",
            legacy=given["gpu_selfplay"],
            completed=given["require_completed"],
            on_progress=lambda found: task.update(found.considered),
        )
        task.finish()
    return folder / "lines.db"
