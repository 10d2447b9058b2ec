"""Evaluate one model: hold-out against training, overall and by stage, seat and end of the game."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ringrift.core.errors import NegativeResult
from ringrift.data.dataset.values import VICTORY_TYPES
from ringrift.training.holdout_evaluation.games import (
    ANY_AGE,
    LEAST_POSITIONS,
    MOST_GAMES,
    VERSION,
    Age,
    HeldOut,
    SeenGames,
    held_out,
    trained_on,
)
from ringrift.training.holdout_evaluation.gap import Gap, gap_of
from ringrift.training.holdout_evaluation.measures import (
    Figures,
    figures,
    has_searches,
    joined,
    of_searches,
    rounded,
    rows_of,
    sums_by_game,
)
from ringrift.training.holdout_evaluation.strata import STAGES, stages
from ringrift.training.measuring.positions import Q_MIX
from ringrift.training.measuring.predicting import Predictor, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.rules import BoardSpec
    from ringrift.training.measuring.games import Side


class Model(Protocol):
    """A loaded model of any kind."""

    @property
    def id(self) -> str:
        """64 hex digits."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """The identifying card."""
        ...

    @property
    def spec(self) -> BoardSpec:
        """The rules it is for."""
        ...

    def evaluator(self) -> Predictor:
        """Return an evaluator of its own buffers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to evaluate; `stores` are read, nothing is written."""

    stores: Sequence[Path]
    train_loss: float | None = None
    """value loss that takes the place of the measured training side"""
    seen: SeenGames = field(default_factory=SeenGames)
    most_games: int = MOST_GAMES
    """hold-out games measured at most; of more a part is taken by the hash of their ids"""
    age: Age = ANY_AGE
    """of the games that count"""
    on_games: Callable[[int, int], None] = lambda _done, _total: None

    def held_out(self, spec: BoardSpec) -> HeldOut:
        """Return the hold-out games of these rules that are measured."""
        return held_out(self.stores, spec, self.seen.lineage, most=self.most_games, age=self.age)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model loses on hold-out games, and how much more than on its training games.

    `set_hash` names the hold-out games. `source` says where the training games are known from;
    `holdout.games` of `held` hold-out games were measured, `left_out` were not because the lineage
    has seen them. Of `datasets` of the lineage `datasets_unknown` have games that nobody can list,
    and `ancestors_unknown` models have no card.
    `seen` are hold-out positions that occur in the training games too. `strata` has figures by
    stage, seat and end of the game.
    """

    model: str
    config: str
    set_hash: str
    source: str
    held: int
    left_out: int
    datasets: int
    datasets_unknown: int
    ancestors_unknown: int
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
            "ancestors_unknown": self.ancestors_unknown,
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


def evaluate(model: Model, options: Options, held: HeldOut | None = None) -> Evaluation:
    """Measure `model` on hold-out games of its configuration and on games it learned from.

    `held` are the hold-out games where they have been chosen already. Raises `NegativeResult`
    (unknown) with fewer than 200 positions on a side.
    """
    training: Mapping[str, Any] = model.card["training"] or {}
    seen = options.seen
    held = options.held_out(model.spec) if held is None else held
    source, trained = trained_on(options.stores, model.spec, seen.own)
    learned = trained.drawn(0)
    if options.train_loss is None:
        learned = trained.drawn(len(held.side)).filled(trained, LEAST_POSITIONS)
    q_mix = _q_mix(training)
    total = len(held.side) + len(learned)
    held_side = _Measured.of(model, held.side, q_mix, lambda n: options.on_games(n, total))
    _require(held_side, "hold-out", model)
    learned_side = _Measured.of(
        model, learned, q_mix, lambda n: options.on_games(len(held.side) + n, total)
    )
    if options.train_loss is None:
        _require(learned_side, "training", model)
    sides = [side for side in (held_side, learned_side) if len(side.rows)]
    if all(has_searches(side.rows) for side in sides):
        held_side, learned_side = held_side.of_searches(), learned_side.of_searches()
    seed = int(held.set_hash[:12], 16)
    gap = held_side.gap(
        learned_side if options.train_loss is None else float(options.train_loss),
        "value",
        seed,
    )
    if gap is None:
        raise NegativeResult(
            "unknown: no finished game to measure the value on", where=model.spec.config
        )
    known = np.isin(held_side.states, trained.state_hashes())
    return Evaluation(
        model=model.id,
        config=model.spec.config,
        set_hash=held.set_hash,
        source=source,
        held=held.found,
        left_out=held.left_out,
        datasets=seen.datasets,
        datasets_unknown=seen.datasets_unknown,
        ancestors_unknown=seen.ancestors_unknown,
        q_mix=q_mix,
        holdout=held_side.figures(),
        training=learned_side.figures() if len(learned) else None,
        train_loss=options.train_loss,
        gap=gap,
        policy_gap=held_side.gap(learned_side, "policy", seed) if len(learned) else None,
        seen=held_side.figures(known),
        unseen=held_side.figures(~known),
        strata=held_side.strata(),
    )


def _q_mix(training: Mapping[str, Any]) -> float:
    """Return the share of search values in the win target that a model learned."""
    found = (training.get("hyperparameters") or {}).get("q_mix", Q_MIX)
    return float(found)


def _require(side: _Measured, name: str, model: Model) -> None:
    positions = len(side.rows)
    if positions < LEAST_POSITIONS:
        raise NegativeResult(
            f"unknown: {positions} {name} positions; expected at least {LEAST_POSITIONS}",
            where=model.spec.config,
            hint="ringrift selfplay run, which makes games",
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    """The positions of one side: their rows, games, stages, movers, hashes, ends of their games."""

    rows: NDArray[np.float64]
    games: NDArray[np.int64]
    stages: NDArray[np.int64]
    movers: NDArray[np.int64]
    states: NDArray[np.uint64]
    ends: NDArray[np.int64]

    @classmethod
    def of(
        cls, model: Model, side: Side, q_mix: float, on_games: Callable[[int], None]
    ) -> _Measured:
        evaluator = model.evaluator()
        parts: list[tuple[NDArray[Any], ...]] = []
        done = 0
        for positions in side.positions(q_mix=q_mix):
            table = positions.table
            predicted = predict(evaluator, table)
            parts.append(
                (
                    rows_of(predicted, table),
                    table.game + done,
                    stages(positions.decisions()),
                    table.mover,
                    predicted.hashes,
                    table.victory_type,
                )
            )
            done += len(table.games)
            on_games(done)
        rows, *others = zip(*parts, strict=True) if parts else [()] * 6
        games, stage, movers, states, ends = (_end_to_end(some) for some in others)
        return cls(joined(rows), games, stage, movers, states.astype(np.uint64), ends)

    def of_searches(self) -> _Measured:
        """Return the positions where only searched ones count for the policy."""
        return replace(self, rows=of_searches(self.rows))

    def figures(self, mask: NDArray[np.bool_] | None = None) -> Figures:
        chosen = slice(None) if mask is None else mask
        return figures(self.rows[chosen], self.games[chosen])

    def gap(self, other: _Measured | float, part: str, seed: int) -> Gap | None:
        weight = f"{part}_weight"
        mine = sums_by_game(self.rows, self.games, part, weight)
        if isinstance(other, float):
            return gap_of(mine, other, seed=seed)
        return gap_of(mine, sums_by_game(other.rows, other.games, part, weight), seed=seed)

    def strata(self) -> dict[str, dict[str, Figures]]:
        return {
            "stage": {name: self.figures(self.stages == i) for i, name in enumerate(STAGES)},
            "seat": {
                str(seat): self.figures(self.movers == seat)
                for seat in np.unique(self.movers).tolist()
            },
            "victory_type": {
                VICTORY_TYPES[end]: self.figures(self.ends == end)
                for end in np.unique(self.ends).tolist()
            },
        }


def _end_to_end(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
