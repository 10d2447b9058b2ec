"""What a model predicts of finished games, beside what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import NegativeResult
from ringrift.training.measuring.predicting import predict

if TYPE_CHECKING:
    from ringrift.training.calibration.pairs import Floats
    from ringrift.training.measuring.positions import Positions
    from ringrift.training.measuring.predicting import Predicted, Predictor
    from ringrift.training.samples.table import SampleTable

LEAST_POSITIONS = 200


class Head(NamedTuple):
    """Distributions that a net predicts: logarithms, what came true, third of the game, game."""

    logs: Floats  # [K, P]
    came: Floats  # [K, P]
    thirds: NDArray[np.int8]  # [K]
    games: NDArray[np.int64]  # [K]

    def where(self, mask: NDArray[np.bool_]) -> Head:
        """Return some of the rows."""
        return Head(self.logs[mask], self.came[mask], self.thirds[mask], self.games[mask])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Predictions of a model of the decisions of finished games.

    `heads`: the win of each of `positions` and, where ranks are predicted, the rank of each seat. A
    sample is a seat in a position: the mover alone with two players, whose values mirror each other,
    else every seat. `predictions`, `outcomes`: `float64[M]`, in [-1, 1]; `thirds`, `seats` (1-4),
    `plies`, `games`: `[M]`; `agents`: specs of the seats.
    """

    positions: int
    heads: tuple[Head, ...]
    predictions: Floats
    outcomes: Floats
    thirds: NDArray[np.int8]
    seats: NDArray[np.int64]
    plies: NDArray[np.int64]
    games: NDArray[np.int64]
    agents: NDArray[np.str_]


def sample(
    model: Predictor,
    found: Iterable[Positions],
    *,
    on_games: Callable[[int], None] = lambda done: None,
) -> Sampled:
    """Lay positions before a model; raises `NegativeResult` for fewer than 200 of finished games."""
    parts: list[Sampled] = []
    games = 0
    for positions in found:
        rows = np.flatnonzero(positions.table.value_weight > 0)
        parts.append(_sampled(model, positions.take(rows), games))
        games += len(positions.table.games)
        on_games(games)
    count = sum(part.positions for part in parts)
    if count < LEAST_POSITIONS:
        raise NegativeResult(
            f"unknown: {count} positions of finished games; expected at least {LEAST_POSITIONS}",
            hint="ringrift selfplay run, which makes games",
        )
    return _joined([part for part in parts if part.positions])


def _sampled(model: Predictor, positions: Positions, before: int) -> Sampled:
    """Return the samples of some games, which are numbered from `before` on."""
    table = positions.table
    n = table.spec.players
    predicted = predict(model, table)
    won = table.rank[:, :, 0].astype(np.float64)
    games = table.game.astype(np.int64) + before
    heads = [Head(predicted.win, won, predicted.thirds, games)]
    if predicted.rank is not None:
        ranks = table.rank.reshape(-1, n).astype(np.float64)
        thirds, of_seats = np.repeat(predicted.thirds, n), np.repeat(games, n)
        heads.append(Head(predicted.rank.reshape(-1, n), ranks, thirds, of_seats))
    seen = _seats_told(n)
    predictions, outcomes = beside_outcomes(predicted, table)
    seats = (table.mover.astype(np.int64)[:, None] - 1 + np.arange(seen)) % n
    agents = np.array([positions.agents[game] for game in table.game.tolist()], np.str_)
    return Sampled(
        positions=len(table),
        heads=tuple(heads),
        predictions=predictions,
        outcomes=outcomes,
        thirds=np.repeat(predicted.thirds, seen),
        seats=seats.ravel() + 1,
        plies=np.repeat(table.ply.astype(np.int64), seen),
        games=np.repeat(games, seen),
        agents=np.take_along_axis(agents.reshape(-1, n), seats, 1).ravel(),
    )


def beside_outcomes(predicted: Predicted, table: SampleTable) -> tuple[Floats, Floats]:
    """Return predictions and outcomes of positions, `float64[M]` in [-1, 1]: see `Sampled`."""
    seats = _seats_told(table.spec.players)
    won = table.rank[:, :seats, 0].astype(np.float64)
    return win_values(predicted.win, seats), 2.0 * won.ravel() - 1.0


def _seats_told(players: int) -> int:
    return 1 if players == 2 else players


def win_values(logs: Floats, seats: int) -> Floats:
    """Return 2 p - 1 of the first seats of each row of logarithms `[K, P]`, end to end."""
    values: Floats = np.clip(2.0 * np.exp(logs[:, :seats]).ravel() - 1.0, -1.0, 1.0)
    return values


def _joined(parts: Sequence[Sampled]) -> Sampled:
    heads = zip(*(part.heads for part in parts), strict=True)
    arrays = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Sampled)
        if field.name not in ("positions", "heads")
    }
    return Sampled(
        positions=sum(part.positions for part in parts),
        heads=tuple(
            Head(*(np.concatenate(column) for column in zip(*some, strict=True))) for some in heads
        ),
        **arrays,
    )
