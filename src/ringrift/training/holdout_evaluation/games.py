"""Which games a model is measured on: hold-out games, and as many of those it learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.data.dataset.views import Views
from ringrift.rules import BoardSpec
from ringrift.training.measuring.games import Side, find_games

VERSION = 3
"""Rises whenever the same games and model would give other figures."""
LEAST_POSITIONS = 200
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
class Age:
    """Which games count, by their sequence numbers: from `since` to `upto`, both included.

    None: all from `since` on.
    """

    since: int = 0
    upto: int | None = None


ANY_AGE = Age()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Hold-out games to measure on, of `found`; `left_out` were not taken since they were seen."""

    side: Side
    found: int
    left_out: int

    @property
    def set_hash(self) -> str:
        """The name of these games, 64 hex digits, whatever model is measured on them."""
        return hashlib.sha256("\n".join((str(VERSION), *self.side.ids)).encode()).hexdigest()


def age_of(training: Mapping[str, Any], own: frozenset[str], stores: Sequence[Path]) -> Age:
    """Return the age of the games that a training looked at.

    `training` is what the card says of it, `own` the ids of the games it learned from. What is not
    known does not bound.
    """
    upto = training.get("games_upto")
    with ExitStack() as stack:
        oldest = [stack.enter_context(Views(path)).oldest(sorted(own), "train") for path in stores]
    return Age(
        since=min((seq for seq in oldest if seq is not None), default=0),
        upto=upto if isinstance(upto, int) else None,
    )


def held_out(
    stores: Sequence[Path],
    spec: BoardSpec,
    seen: frozenset[str],
    *,
    most: int = MOST_GAMES,
    age: Age = ANY_AGE,
) -> HeldOut:
    """Return at most so many of the hold-out games of an age that a lineage has not seen.

    Where those have fewer than 200 positions of finished games, the games that came next are taken
    too, as many as it needs.
    """
    every = find_games(stores, spec, "holdout", since=age.since, upto=age.upto)
    left = every.without(seen)
    left_out = len(every) - len(left)
    if age.upto is not None and left.count_valued(LEAST_POSITIONS) < LEAST_POSITIONS:
        later = find_games(stores, spec, "holdout", since=age.upto + 1).without(seen)
        left = left.filled(later, LEAST_POSITIONS)
    return HeldOut(side=left.drawn(most), found=len(left), left_out=left_out)


def trained_on(stores: Sequence[Path], spec: BoardSpec, own: frozenset[str]) -> tuple[str, Side]:
    """Return the games a model learned from and where they are known from; `own` are their ids.

    Where nobody knows them, or none is stored, any trainable games stand in.
    """
    every = find_games(stores, spec, "train")
    known = every.only(own)
    return (DATASET, known) if len(known) else (TRAINABLE, every.newest(MOST_TRAINED))
