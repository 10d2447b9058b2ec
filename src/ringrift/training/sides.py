"""The two sides of a training, chosen from a dataset by game (training.md 5).

Positions of one game, and games of one play, are on one side only: otherwise the validation loss
would measure memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import NegativeResult, RefusedError
from ringrift.data.dataset.blocks import sample_offset
from ringrift.data.dataset.views import Views
from ringrift.records.columns import split_of
from ringrift.training.samples.table import SampleTable, table_of

if TYPE_CHECKING:
    from ringrift.data.dataset import Dataset, Manifest
    from ringrift.training.sources import Selection

OF_STORE = 0.1
"""Share of games that a store keeps for validation; any other is taken by the same hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Samples to learn from and samples to validate on; `val` may be empty."""

    train: SampleTable
    val: SampleTable

    def facts(self) -> dict[str, Any]:
        """Return the counts, as report and card state them."""
        return {
            "games": _games(self.train),
            "samples": len(self.train),
            "val_games": _games(self.val),
            "val_samples": len(self.val),
        }


def _games(table: SampleTable) -> int:
    return len(np.unique(table.game))


def read_sides(
    dataset: Dataset,
    selection: Selection,
    *,
    q_mix: float = 0.3,
    seed: int = 42,
    given: bool = False,
    stores: Sequence[Path] = (),
) -> Sides:
    """Return the samples that are selected, side by side.

    `given`: nobody made the dataset for this selection, so all of it chooses among the samples.
    `stores` are asked which plays they keep out of training. Raises `RefusedError` for a play on
    both sides or of the hold-out, `NegativeResult` where no sample is left to learn from.
    """
    manifest = dataset.manifest
    refuse_held_out(manifest, stores)
    val_games = validation_games(dataset, selection.val_split)
    refuse_leaks(manifest, val_games)
    table = table_of(dataset.arrays, manifest, q_mix=q_mix)
    chosen = _in_range(table, selection)
    if given:
        chosen &= _chosen(table, selection, seed, int(manifest.options["sample_every"]))
    on_val = val_games[table.game]
    train = table.take(_at_most(np.flatnonzero(chosen & ~on_val), selection.max_samples, seed))
    if not len(train):
        raise NegativeResult(
            f"zero samples: none of {len(table):,} is selected for training",
            where=f"dataset {manifest.id[:12]}",
            hint="fewer limits on games and moves",
        )
    return Sides(train=train, val=table.take(np.flatnonzero(chosen & on_val)))


def validation_games(dataset: Dataset, share: float) -> NDArray[np.bool_]:
    """Return which games are for validation, `bool[games]`.

    With the store's own share its `val` games are; any other is taken from the same range of the
    play's hash. Raises `RefusedError` for a game whose positions are on both sides.
    """
    manifest = dataset.manifest
    if share != OF_STORE:
        percent = round(100 * share)
        plays = [str(facts["play"]) for facts in manifest.game_facts]
        sides = [
            split_of(play, "selfplay", holdout_percent=0, val_percent=percent) for play in plays
        ]
        return np.array([side == "val" for side in sides], np.bool_)
    games, held = dataset.arrays["game"], dataset.arrays["split_val"].astype(np.bool_)
    on_val = np.zeros(len(manifest.game_ids), np.bool_)
    on_val[games[held]] = True
    torn = np.flatnonzero(on_val[games] & ~held)
    if len(torn):
        raise RefusedError(
            "leak: positions of one game are on the sides of training and validation",
            where=f"game {manifest.game_ids[int(games[torn[0]])]}",
            hint="ringrift data export, which splits by game",
        )
    return on_val


def refuse_leaks(manifest: Manifest, val_games: NDArray[np.bool_]) -> None:
    """Raise `RefusedError` for a play that is on both sides."""
    sides: dict[str, tuple[bool, int]] = {}
    for number, facts in enumerate(manifest.game_facts):
        play, side = str(facts["play"]), bool(val_games[number])
        before = sides.setdefault(play, (side, number))
        if before[0] != side:
            raise RefusedError(
                f"leak: the play {play[:16]} is on the sides of training and validation",
                where=f"games {manifest.game_ids[before[1]][:12]}, {manifest.game_ids[number][:12]}",
                hint="ringrift data export, which keeps each play once",
            )


def refuse_held_out(manifest: Manifest, stores: Sequence[Path]) -> None:
    """Raise `RefusedError` for a game whose play is held out, by its hash or in one of the stores."""
    plays = [str(facts["play"]) for facts in manifest.game_facts]
    held: set[str] = set()
    with ExitStack() as stack:
        for path in stores:
            held |= stack.enter_context(Views(path)).held_out(plays)
    for identity, play in zip(manifest.game_ids, plays, strict=True):
        if play in held or split_of(play, "selfplay") == "holdout":
            raise RefusedError(
                f"hold-out leak: the play {play[:16]} is kept out of training",
                where=f"game {identity}",
                hint="ringrift data export",
            )


def _in_range(table: SampleTable, selection: Selection) -> NDArray[np.bool_]:
    """Return which samples are of the plies that are wanted, `bool[N]`."""
    chosen = np.ones(len(table), np.bool_)
    if selection.min_move_number is not None:
        chosen &= table.ply >= selection.min_move_number
    if selection.max_move_number is not None:
        chosen &= table.ply <= selection.max_move_number
    return chosen


def _chosen(
    table: SampleTable, selection: Selection, seed: int, made_with: int
) -> NDArray[np.bool_]:
    """Return which samples of a dataset not made for this selection it means, `bool[N]`.

    Of a dataset that has every k-th decision only (`made_with`) no further ones are left out.
    """
    chosen: NDArray[np.bool_] = table.total_plies >= selection.min_game_length
    if selection.max_games is not None:
        chosen &= table.game < selection.max_games
    if made_with == 1 and selection.sample_every_n > 1:
        chosen &= _every(table, selection.sample_every_n, seed)
    return chosen


def _every(table: SampleTable, every: int, seed: int) -> NDArray[np.bool_]:
    """Take every so-manieth sample of a game, beginning as an export does."""
    starts = np.flatnonzero(np.diff(table.game, prepend=-1))
    first = np.zeros(len(table.games), np.int64)
    first[table.game[starts]] = starts
    offsets = np.array([sample_offset(game, every, seed) for game in table.games])
    number = np.arange(len(table)) - first[table.game]
    taken: NDArray[np.bool_] = (number - offsets[table.game]) % every == 0
    return taken


def _at_most(rows: NDArray[np.int64], most: int | None, seed: int) -> NDArray[np.int64]:
    """Return `most` of the rows, drawn by the seed, in their order."""
    if most is None or len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
