"""Which games a model is measured on: hold-out games, and as many of those it learned from."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.nets.encoder import ENCODER
from ringrift.records.record import Analysis, GameRecord
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.rules.policy import policy_layout
from ringrift.training.holdout_evaluation.strata import searched_states

Game = tuple[GameRecord, Analysis]
Card = Mapping[str, Any]

MOST_GAMES = 2_000
"""Hold-out games measured at most; of more a part is taken by the hash of their ids."""
MOST_TRAINED = 20_000
"""Newest trainable games looked at where nobody knows which ones a model was trained on."""
DATASET, WINDOW, SAMPLE = "dataset", "window", "trainable"
"""Where the training side comes from: a dataset's manifest, the window that the card names and whose
id it has, or any trainable games."""


@dataclass(slots=True)
class Draw:
    """Keeps the games with the smallest hash of their id: a random part, and always the same."""

    most: int
    seen: int = 0
    _kept: list[tuple[int, str, Game]] = field(default_factory=list)

    def add(self, game: Game) -> None:
        """Take a game into account."""
        self.seen += 1
        identity = game[0].id
        order = -int(hashlib.sha256(identity.encode()).hexdigest()[:16], 16)
        item = (order, identity, game)
        if len(self._kept) < self.most:
            heapq.heappush(self._kept, item)
        elif item[:2] > self._kept[0][:2]:
            heapq.heapreplace(self._kept, item)

    def first(self, count: int | None = None) -> list[Game]:
        """Return the games kept, in the order of that hash, at most `count`."""
        found = sorted(self._kept, key=lambda item: (-item[0], item[1]))
        return [game for _, _, game in found[:count]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Games a model learned from: where they are known from, a draw of them, their positions.

    `states`: `uint64[...]`, the sorted hashes of their searched positions.
    """

    source: str
    games: int
    draw: Draw
    states: NDArray[np.uint64]


def held_out(stores: Sequence[Path], spec: BoardSpec, left_out: frozenset[str]) -> tuple[Draw, int]:
    """Return a draw of the hold-out games with search statistics, and how many were left out."""
    draw, without = Draw(MOST_GAMES), 0
    for game in searched_games(stores, spec, split="holdout"):
        if game[0].id in left_out:
            without += 1
        else:
            draw.add(game)
    return draw, without


def trained_on(
    stores: Sequence[Path],
    spec: BoardSpec,
    training: Card | None,
    ids_of: Callable[[str], frozenset[str] | None],
) -> Trained:
    """Return games the model learned from, as its card's part `training` tells.

    `ids_of` returns the game ids of a dataset whose manifest is here. Without one the window that
    the card names is read again; where that is another set of games now, or the card says nothing,
    any trainable games stand in.
    """
    told = training or {}
    ids = ids_of(str(told.get("dataset")))
    if ids is not None:
        found, _ = _collected(DATASET, spec, searched_games(stores, spec, split="train", only=ids))
        if found.games:
            return found
    if isinstance(told.get("games_upto"), int):
        found, identity = _collected(WINDOW, spec, _window(stores, spec, told))
        if identity == told.get("dataset"):
            return found
    anything = searched_games(stores, spec, split="train", most=MOST_TRAINED)
    return _collected(SAMPLE, spec, anything)[0]


def _window(stores: Sequence[Path], spec: BoardSpec, told: Card) -> Iterator[Game]:
    """Read the newest games of a training window again; see `training.dataset.window`."""
    most = told.get("window_games")
    return searched_games(
        stores,
        spec,
        split="train",
        most=most if isinstance(most, int) else None,
        up_to_seq=told["games_upto"],
        run=told.get("run"),
        purpose="selfplay",
    )


def _collected(source: str, spec: BoardSpec, games: Iterable[Game]) -> tuple[Trained, str]:
    """Read games once; return what is known of them, and the id of samples made of them all."""
    draw, positions = Draw(MOST_GAMES), 0
    ids: list[str] = []
    states: list[NDArray[np.uint64]] = []
    for game in games:
        draw.add(game)
        ids.append(game[0].id)
        states.append(searched_states(*game))
        positions += len(game[1].plies)
    known = np.unique(np.concatenate(states)) if states else np.zeros(0, np.uint64)
    trained = Trained(source=source, games=draw.seen, draw=draw, states=known)
    return trained, samples_id(spec, positions, ids)


def samples_id(spec: BoardSpec, positions: int, games: Iterable[str]) -> str:
    """Return the id that `training.dataset.Samples` of so many positions of these games has."""
    layout = policy_layout(spec.board).hash
    parts = (spec.hash, ENCODER.hash, layout, str(positions), *sorted(games))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def searched_games(
    stores: Sequence[Path],
    spec: BoardSpec,
    *,
    split: str,
    only: frozenset[str] | None = None,
    most: int | None = None,
    up_to_seq: int | None = None,
    run: str | None = None,
    purpose: str | None = None,
) -> Iterator[Game]:
    """Yield the games of a split that have search statistics and these rules, newest first."""
    for path in stores:
        with GameStore.open(path) as store:
            count = 0
            for seq, record, analysis in store.records(
                spec.config, split=split, newest_first=True, run=run, purpose=purpose
            ):
                if most is not None and count == most:
                    break
                if up_to_seq is not None and seq > up_to_seq:
                    continue
                if analysis is None or not analysis.plies or record.spec != spec:
                    continue
                if only is None or record.id in only:
                    count += 1
                    yield record, analysis
