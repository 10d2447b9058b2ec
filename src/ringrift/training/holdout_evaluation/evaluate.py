"""Evaluate one model: hold-out against training, overall and by stage, seat and end of the game."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.core.errors import NegativeResult
from ringrift.training.dataset import build_samples
from ringrift.training.holdout_evaluation.games import Game, Trained, held_out, trained_on
from ringrift.training.holdout_evaluation.gap import Gap, gap_of
from ringrift.training.holdout_evaluation.measures import (
    Figures,
    figures,
    joined,
    measure,
    rounded,
    sums_by_game,
)
from ringrift.training.holdout_evaluation.strata import STAGES, movers, searched_states, stages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.nets.model_file import LoadedModel

LEAST_POSITIONS = 200
VERSION = 1
"""Rises whenever the same games and model would give other figures."""
_GAMES_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to evaluate; `stores` are read, nothing is written."""

    stores: Sequence[Path]
    train_loss: float | None = None
    """value loss that takes the place of the measured training side"""
    ids_of: Callable[[str], frozenset[str] | None] = lambda _dataset: None
    """the games of a dataset by its id, where its manifest is here"""
    card_of: Callable[[str], Mapping[str, Any] | None] = lambda _model: None
    """the card of another model by its id, for the lineage"""
    on_games: Callable[[int, int], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model loses on hold-out games, and how much more than on its training games.

    `source` says where the training games are known from; `holdout_games` of `held` hold-out games
    were measured, `left_out` were not because the lineage has seen them; `datasets_unknown` counts
    datasets of the lineage whose games nobody can list. `seen` are hold-out positions that occur in
    the training games too. `strata` has figures by stage, seat and end of the game.
    """

    model: str
    config: str
    set_hash: str
    source: str
    held: int
    left_out: int
    datasets: int
    datasets_unknown: int
    q_mix: float
    holdout: Figures
    training: Figures | None
    train_loss: float | None
    gap: Gap
    policy_gap: Gap | None
    seen: Figures
    unseen: Figures
    strata: Mapping[str, Mapping[str, Figures]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the result as it is kept and printed."""
        return {
            "version": VERSION,
            "model": self.model,
            "config": self.config,
            "set_hash": self.set_hash,
            "source": self.source,
            "held": self.held,
            "left_out": self.left_out,
            "datasets": self.datasets,
            "datasets_unknown": self.datasets_unknown,
            "q_mix": self.q_mix,
            "holdout": self.holdout.as_json(),
            "training": None if self.training is None else self.training.as_json(),
            "train_loss": rounded(self.train_loss),
            "gap": self.gap.as_json(),
            "policy_gap": None if self.policy_gap is None else self.policy_gap.as_json(),
            "seen": self.seen.as_json(),
            "unseen": self.unseen.as_json(),
            "strata": {
                kind: {name: found.as_json() for name, found in by.items()}
                for kind, by in self.strata.items()
            },
        }


def evaluate(model: LoadedModel, options: Options) -> Evaluation:
    """Measure `model` on hold-out games of its configuration and on games it learned from.

    Raises `NegativeResult` (unknown) with fewer than 200 positions on a side.
    """
    training: Mapping[str, Any] = model.card["training"] or {}
    datasets = lineage(model.card, options.card_of)
    known = [options.ids_of(dataset) for dataset in datasets]
    seen_by_lineage = frozenset(game for ids in known if ids is not None for game in ids)
    draw, left_out = held_out(options.stores, model.spec, seen_by_lineage)
    held = sorted(draw.first(), key=_id)
    _require(held, "hold-out", model)
    trained = trained_on(options.stores, model.spec, model.card["training"], options.ids_of)
    learned: list[Game] = []
    if options.train_loss is None:
        learned = sorted(trained.draw.first(len(held)), key=_id)
        _require(learned, "training", model)
    q_mix = float((training.get("options") or {}).get("q_mix", 0.3))
    total = len(held) + len(learned)
    held_side = _Side.of(model, held, q_mix, lambda n: options.on_games(n, total))
    learned_side = _Side.of(model, learned, q_mix, lambda n: options.on_games(len(held) + n, total))
    set_hash = _set_hash(held, learned, options.train_loss, q_mix)
    seed = int(set_hash[:12], 16)
    gap = held_side.gap(
        learned_side if options.train_loss is None else float(options.train_loss),
        "value",
        seed,
    )
    if gap is None:
        raise NegativeResult(
            "unknown: no finished game to measure the value on", where=model.spec.config
        )
    seen = np.isin(held_side.states, trained.states)
    return Evaluation(
        model=model.id,
        config=model.spec.config,
        set_hash=set_hash,
        source=trained.source,
        held=draw.seen,
        left_out=left_out,
        datasets=len(datasets),
        datasets_unknown=_unknown(datasets, known, training, trained),
        q_mix=q_mix,
        holdout=held_side.figures(),
        training=learned_side.figures() if learned else None,
        train_loss=options.train_loss,
        gap=gap,
        policy_gap=held_side.gap(learned_side, "policy", seed) if learned else None,
        seen=held_side.figures(seen),
        unseen=held_side.figures(~seen),
        strata=held_side.strata(),
    )


def lineage(
    card: Mapping[str, Any], card_of: Callable[[str], Mapping[str, Any] | None]
) -> list[str]:
    """Return the ids of the datasets that a model and its ancestors were trained on, newest first."""
    found: dict[str, None] = {}
    waiting, known = [card], set[str]()
    while waiting:
        card = waiting.pop(0)
        dataset = (card.get("training") or {}).get("dataset")
        if isinstance(dataset, str):
            found[dataset] = None
        for parent in card.get("parents") or ():
            identity = str(parent.get("id"))
            other = None if identity in known else card_of(identity)
            known.add(identity)
            if other is not None:
                waiting.append(other)
    return list(found)


def _unknown(
    datasets: Sequence[str],
    known: Sequence[frozenset[str] | None],
    training: Mapping[str, Any],
    trained: Trained,
) -> int:
    """Count the datasets whose games nobody can list; a window that was read again is listed."""
    own = training.get("dataset") if trained.source == "window" else None
    return sum(ids is None and dataset != own for dataset, ids in zip(datasets, known, strict=True))


def _id(game: Game) -> str:
    return game[0].id


def _require(games: Sequence[Game], side: str, model: LoadedModel) -> None:
    positions = sum(len(analysis.plies) for _, analysis in games)
    if positions < LEAST_POSITIONS:
        raise NegativeResult(
            f"unknown: {positions} {side} positions with search statistics; "
            f"expected at least {LEAST_POSITIONS}",
            where=model.spec.config,
            hint="ringrift selfplay run, which makes games",
        )


def _set_hash(
    held: Sequence[Game], learned: Sequence[Game], train_loss: float | None, q_mix: float
) -> str:
    parts = [str(VERSION), repr(train_loss), repr(q_mix)]
    parts += [_id(game) for game in held] + ["|"] + [_id(game) for game in learned]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Side:
    """The positions of one side: their rows, games, stages, seats, hashes, and ends by game."""

    rows: NDArray[np.float64]
    games: NDArray[np.int64]
    stages: NDArray[np.int64]
    movers: NDArray[np.int64]
    states: NDArray[np.uint64]
    ends: tuple[str, ...]

    @classmethod
    def of(
        cls,
        model: LoadedModel,
        games: Sequence[Game],
        q_mix: float,
        on_games: Callable[[int], None],
    ) -> _Side:
        rows = []
        for first in range(0, len(games), _GAMES_AT_ONCE):
            some = games[first : first + _GAMES_AT_ONCE]
            samples = build_samples(some, model.spec, q_mix=q_mix, augment=False)
            rows.append(measure(model.net, samples))
            on_games(first + len(some))
        counts = [len(analysis.plies) for _, analysis in games]
        return cls(
            rows=joined(rows),
            games=np.repeat(np.arange(len(games)), counts),
            stages=_along(stages, games, np.int64),
            movers=_along(movers, games, np.int64),
            states=_along(searched_states, games, np.uint64),
            ends=tuple(record.result.reason or record.result.end for record, _ in games),
        )

    def figures(self, mask: NDArray[np.bool_] | None = None) -> Figures:
        chosen = slice(None) if mask is None else mask
        return figures(self.rows[chosen], self.games[chosen])

    def gap(self, other: _Side | float, part: str, seed: int) -> Gap | None:
        weight = f"{part}_weight"
        mine = sums_by_game(self.rows, self.games, part, weight)
        if isinstance(other, float):
            return gap_of(mine, other, seed=seed)
        return gap_of(mine, sums_by_game(other.rows, other.games, part, weight), seed=seed)

    def strata(self) -> dict[str, dict[str, Figures]]:
        ends = np.array(self.ends)[self.games]
        return {
            "stage": {name: self.figures(self.stages == i) for i, name in enumerate(STAGES)},
            "seat": {
                str(seat): self.figures(self.movers == seat)
                for seat in np.unique(self.movers).tolist()
            },
            "victory_type": {end: self.figures(ends == end) for end in sorted(set(self.ends))},
        }


def _along(
    function: Callable[..., NDArray[Any]], games: Sequence[Game], kind: type[np.generic]
) -> NDArray[Any]:
    parts = [function(record, analysis) for record, analysis in games]
    return np.concatenate(parts) if parts else np.zeros(0, kind)
