"""What the options of an export ask for: its plans, and what the gate refused (`data.md` 5, 6)."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.data.parts import board_of, stores_of
from ringrift.cli.heavy import ready_for
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from ringrift.cli.invocation import Invocation
    from ringrift.data.dataset import ExportOptions, Plan

ENCODERS = {
    "default": "planes1",
    "v3": "planes1",
    "v2": "planes1-basic",
    "planes1": "planes1",
    "planes1-basic": "planes1-basic",
    "nnue1": "nnue1",
}

_AS_GIVEN = (
    "contents", "sample_every", "max_games", "min_moves", "max_moves", "max_move_index",
    "require_completed", "exclude_recovery", "exclude_timeout", "exclude_random",
    "min_simulations", "analysis", "policy_target", "rank_aware_values", "decay_half_life",
    "surprise_weight", "window_base", "max_reuse", "seed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan for each configuration; of JSON lines, how many games were refused for which reason."""

    plans: list[Plan]
    refused: dict[str, int] = field(default_factory=dict)


def plans_of(
    invocation: Invocation, given: Mapping[str, Any], stack: ExitStack, *, heavy: bool
) -> Planned:
    """Plan a dataset for each configuration that is there and wanted; `given` are option values.

    What is `heavy` waits for the machine. JSON lines go through the gate first, into a store
    that lasts as long as `stack`. Raises `RefusedError` for a store that is no source,
    `NegativeResult` where there is no game.
    """
    options, quality = _options_of(given)
    if given["inputs"] or given["input_dir"]:
        return _planned_lines(invocation, options, quality, given, stack, heavy=heavy)
    if given["gpu_selfplay"]:
        raise UsageError("no JSON lines are given", where="--gpu-selfplay", hint="--input FILE")
    from ringrift.data.verify_sources import require_sources

    stores = stores_of(invocation, given["db"])
    require_sources(stores)
    if heavy:
        _wait(invocation, given)
    return Planned(_plans(stores, options, quality, given))


def _wait(invocation: Invocation, given: Mapping[str, Any]) -> None:
    ready_for(invocation, disk_gb=0.5, wait=not given["no_wait"])


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


def _plans(
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


def _planned_lines(
    invocation: Invocation,
    options: ExportOptions,
    quality: Mapping[str, float] | None,
    given: Mapping[str, Any],
    stack: ExitStack,
    *,
    heavy: bool,
) -> Planned:
    from ringrift.data.export.inputs import input_files, store_of_lines

    if given["db"]:
        raise UsageError("--db and --input name different things", where="--db", hint="one of them")
    files = input_files(given["inputs"] or [], given["input_dir"])
    if heavy:
        _wait(invocation, given)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringrift-export-")))
    with invocation.out.progress() as progress:
        task = progress.task("taking games", unit="games")
        report = store_of_lines(
            files,
            folder / "lines.db",
            legacy=given["gpu_selfplay"],
            completed=given["require_completed"],
            on_progress=lambda found: task.update(found.considered),
        )
        task.finish()
    refused = sum((found.ingest.reasons for found in report.inputs), Counter[str]())
    plans = _plans([folder / "lines.db"], options, quality, given)
    # A store that is gone afterwards has no sequence to go on from.
    return Planned([replace(plan, games_upto={}) for plan in plans], dict(sorted(refused.items())))


def _encoder_of(name: str) -> str:
    if name not in ENCODERS:
        raise UsageError(f"unknown encoder {name!r}", where="--encoder", hint=", ".join(ENCODERS))
    return ENCODERS[name]


def _window_of(text: str) -> str | int:
    if text in ("all", "auto"):
        return text
    number = text.replace("_", "").replace(",", "")
    if not number.isdecimal() or int(number) < 1:
        raise UsageError(
            f"window is {text!r}; expected all, auto or a number of samples", where="--window"
        )
    return int(number)


def _types_of(given: list[str] | None) -> tuple[str, ...]:
    """Return agent kinds or specs; raises `UsageError` for one that is none."""
    from ringrift.agents.spec import parse_spec

    found = tuple(sorted({part for text in given or () for part in str(text).split(",") if part}))
    for text in found:
        parse_spec(text)
    return found


def _quality(path: Path | None) -> tuple[dict[str, float] | None, str | None]:
    if path is None:
        return None, None
    from ringrift.data.dataset.write import file_digest
    from ringrift.data.quality.weights import read_weights

    if not path.is_file():
        raise UsageError(f"no file {path}", where="--weights", hint="ringrift data filter")
    return read_weights(path), file_digest(path)
