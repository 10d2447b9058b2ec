"""Which games a model is measured on: hold-out games, and as many of those it learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ringrift.rules import BoardSpec
from ringrift.training.measuring.games import Side, find_games

MOST_GAMES = 2_000
"""Hold-out games measured at most, unless told otherwise."""
MOST_TRAINED = 20_000
"""Newest trainable games looked at where nobody knows which ones a model was trained on."""
DATASET, TRAINABLE = "dataset", "trainable"
"""Where the training side comes from: the dataset that the card names, or any trainable games."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenGames:
    """Ids of games that a model learned from, as manifests list them.

    `own` are those of its own datasets, `lineage` these and those of its ancestors. Of `datasets` in
    the lineage `datasets_unknown` have no manifest; `ancestors_unknown` models have no card.
    """

    own: frozenset[str] = frozenset()
    lineage: frozenset[str] = frozenset()
    datasets: int = 0
    datasets_unknown: int = 0
    ancestors_unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Hold-out games to measure on, of `found`; `left_out` were not taken since they were seen."""

    side: Side
    found: int
    left_out: int


def held_out(
    stores: Sequence[Path],
    spec: BoardSpec,
    seen: frozenset[str],
    *,
    most: int = MOST_GAMES,
    upto: int | None = None,
) -> HeldOut:
    """Return at most so many of the hold-out games that a lineage has not seen.

    Games with a sequence number above `upto` do not count, here and in `trained_on`.
    """
    every = find_games(stores, spec, "holdout", upto=upto)
    left = every.without(seen)
    return HeldOut(side=left.drawn(most), found=len(left), left_out=len(every) - len(left))


def trained_on(
    stores: Sequence[Path], spec: BoardSpec, own: frozenset[str], *, upto: int | None = None
) -> tuple[str, Side]:
    """Return the games a model learned from and where they are known from; `own` are their ids.

    Where nobody knows them, or none is stored, any trainable games stand in.
    """
    every = find_games(stores, spec, "train", upto=upto)
    known = every.only(own)
    return (DATASET, known) if len(known) else (TRAINABLE, every.newest(MOST_TRAINED))
