"""Where the samples of a training come from: a dataset, game stores, or JSON lines (training.md 5).

All three end in a dataset, and only games that passed the gate can be in one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ringrift.core.errors import NegativeResult, RefusedError, UsageError
from ringrift.core.log import get_logger
from ringrift.data.dataset import Dataset, ExportOptions, Manifest, Plan, plan_export
from ringrift.data.export.cache import BlockCache
from ringrift.data.export.inputs import store_of_lines
from ringrift.data.export.run import Exporter
from ringrift.data.verify_sources import require_sources

log = get_logger(__name__)

WINDOW_BASE = {"cpu": 20_000, "cuda": 250_000}
"""Samples from which the automatic window grows slower than the data, by device (data.md 4)."""

MAKE_GAMES = "ringrift selfplay run --board {board} --players {players} --num-games 50"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which games and positions are learned from.

    Lengths and move numbers are plies. `max_samples` and `min_move_number` choose among the samples
    of the dataset, the others what the dataset is made of, and `surprise_weight` how it weighs them;
    of a dataset that is given they choose among its samples too.
    """

    sample_every_n: int = 1
    min_game_length: int = 10
    max_games: int | None = None
    max_samples: int | None = None
    min_move_number: int | None = None
    max_move_number: int | None = None
    val_split: float = 0.1
    surprise_weight: float = 0.5
    max_reuse: float | None = 8.0
    window: str | int = "all"
    window_base: int = WINDOW_BASE["cpu"]
    policy_target: str = "auto"

    def __post_init__(self) -> None:
        """Check what the export does not; raises `UsageError`."""
        if not 0 <= self.val_split < 1:
            raise UsageError(
                f"val_split is {self.val_split}; expected 0 to below 1", where="--val-split"
            )
        for name in ("sample_every_n", "max_games", "max_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(
                    f"{name} is {value}; expected at least 1", where="--" + name.replace("_", "-")
                )

    def export_options(self) -> ExportOptions:
        """Return the options of the dataset."""
        return ExportOptions(
            sample_every=self.sample_every_n,
            min_moves=self.min_game_length,
            max_games=self.max_games,
            max_move_index=self.max_move_number,
            surprise_weight=self.surprise_weight,
            max_reuse=self.max_reuse,
            window=self.window,
            window_base=self.window_base,
            policy_target=self.policy_target,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was named: a dataset, stores, or files of JSON lines; at most one of them."""

    data_path: Path | None = None
    stores: tuple[Path, ...] = ()
    jsonl: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Raise `UsageError` where two of them are named."""
        named = [
            option
            for option, given in (
                ("--data-path", self.data_path),
                ("--db", self.stores),
                ("--jsonl", self.jsonl),
            )
            if given
        ]
        if len(named) > 1:
            raise UsageError(f"{' and '.join(named)} name different sources", where=named[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where datasets are made: `npz` and the cache of the data root."""

    npz: Path
    cache: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The dataset of a training. `refused`: games of JSON lines the gate refused, by reason."""

    dataset: Dataset
    refused: Mapping[str, int]


def find_samples(
    source: Source,
    config: str,
    selection: Selection,
    places: Places,
    *,
    uses: Mapping[str, float] | None = None,
    upto: int | None = None,
    workers: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Open the dataset of a source, exporting it first where it is not there yet.

    `uses` says how many passes the lineage has made over a game. Games of stores with a sequence
    number above `upto` do not count. Raises `NegativeResult` naming the
    command that makes games where there is none, `RefusedError` for a store or dataset that is no
    source of training.
    """
    if source.data_path is not None:
        return Found(dataset=_given(source.data_path, config), refused={})
    if source.jsonl:
        with tempfile.TemporaryDirectory(prefix="ringrift-train-") as folder:
            store = Path(folder) / "lines.db"
            report = store_of_lines(_existing(source.jsonl), store, legacy=False, completed=True)
            refused: dict[str, int] = {}
            for taken in report.inputs:
                for reason, games in taken.ingest.reasons.items():
                    refused[reason] = refused.get(reason, 0) + games
            if refused:
                log.warning("the gate refused games", **refused)
            plan = _planned((store,), config, selection, uses)
            # A store that is gone afterwards has no sequence to go on from.
            plan = replace(plan, games_upto={})
            return _exported(plan, places, workers, on_progress, dict(sorted(refused.items())))
    require_sources(source.stores)
    plan = _planned(source.stores, config, selection, uses, upto)
    return _exported(plan, places, workers, on_progress, {})


def plan_samples(
    source: Source,
    config: str,
    selection: Selection,
    *,
    uses: Mapping[str, float] | None = None,
) -> Plan | Manifest | None:
    """Say what `find_samples` would open, having made nothing; None for JSON lines."""
    if source.data_path is not None:
        return _given(source.data_path, config).manifest
    if source.jsonl:
        _existing(source.jsonl)
        return None
    require_sources(source.stores)
    return _planned(source.stores, config, selection, uses)


def _existing(files: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in files:
        if not path.is_file():
            raise UsageError(f"no file {path}", where="--jsonl", hint="an existing file")
    return files


def _given(path: Path, config: str) -> Dataset:
    if not path.exists():
        raise UsageError(f"no dataset {path}", where="--data-path", hint="ringrift data export")
    dataset = Dataset.open(path)
    if dataset.manifest.config != config:
        raise UsageError(
            f"a dataset of {dataset.manifest.config}; expected {config}",
            where=str(path),
            hint=f"--config-key {dataset.manifest.config}",
        )
    if "holdout" in dataset.manifest.options["splits"]:
        raise RefusedError(
            "a dataset of the hold-out is not trained on",
            where=str(path),
            hint="ringrift data holdout --evaluate, which measures on it",
        )
    return dataset


def _planned(
    stores: tuple[Path, ...],
    config: str,
    selection: Selection,
    uses: Mapping[str, float] | None,
    upto: int | None = None,
) -> Plan:
    try:
        return plan_export(stores, config, selection.export_options(), uses=uses, upto=upto)
    except NegativeResult as error:
        if not error.message.startswith("zero samples"):
            raise
        board, players = config.rsplit("_", 1)
        hint = MAKE_GAMES.format(board=board, players=players.rstrip("p"))
        raise NegativeResult(error.message, where=error.where, hint=hint) from None


def _exported(
    plan: Plan,
    places: Places,
    workers: int,
    on_progress: Callable[[int, int], None],
    refused: Mapping[str, int],
) -> Found:
    total = len(plan.games)
    exported = Exporter(
        output=places.npz,
        workers=workers,
        cache=BlockCache(places.cache / "export"),
        on_games=lambda games, samples: on_progress(games, total),
    ).export(plan)
    return Found(dataset=Dataset.open(exported.path), refused=refused)
