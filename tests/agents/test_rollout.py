"""The rollout evaluator: what it plays, that it is a function of the position, and its priors."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.agents.evaluators import PRIOR_TEMPERATURE, HeuristicEvaluator
from ringrift.agents.listing import legal_lists
from ringrift.agents.rollout import ROLLOUT_TEMPERATURE, RolloutEvaluator
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables

from .games import SMALL, batch_of, choices, random_game


def evaluated(evaluator: RolloutEvaluator | HeuristicEvaluator, positions: list[Position]):
    spec, states = positions[0].spec, batch_of(positions).states
    moves, offsets = legal_lists(spec, states)
    return evaluator.evaluate(states, board_tables(spec), moves, offsets)


def settled(position: Position) -> Position:
    """Play the forced plies of a position, in place."""
    while len(position.legal_packed()) == 1:
        position.play(int(position.legal_packed()[0]))
    return position


@pytest.mark.parametrize(("board", "players"), SMALL)
def test_values_are_those_of_positions_after_the_rollout(board: str, players: int) -> None:
    """One choice: the value is the full heuristic's after one of the moves and its forced plies."""
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 20)
    logits, values = evaluated(RolloutEvaluator(spec, choices=1), positions)
    heuristic = HeuristicEvaluator(spec)
    assert (logits == evaluated(heuristic, positions)[0]).all()
    for position, value in zip(positions, values, strict=True):
        ends = []
        for move in position.legal_packed().tolist():
            after = settled(position.after(move))
            if after.is_over:
                n = players - 1
                r = after.result.ranking
                ends.append([sum((o > own) - (o < own) for o in r) / n for own in r])
            else:
                ends.append(evaluated(heuristic, [after])[1][0])
        assert np.abs(np.array(ends) - value).max(axis=1).min() < 1e-6


@pytest.mark.parametrize(("board", "players"), SMALL)
def test_a_value_depends_on_the_position_alone(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 24)
    together = evaluated(RolloutEvaluator(spec), positions)[1].copy()
    backwards = evaluated(RolloutEvaluator(spec), positions[::-1])[1][::-1].copy()
    alone = [evaluated(RolloutEvaluator(spec), [p])[1][0].copy() for p in positions]
    assert (together == backwards).all()
    assert (together == np.array(alone)).all()
    assert together.sum(axis=1) == pytest.approx(0, abs=1e-5)
    assert (np.abs(together) <= 1).all()


def test_moves_are_drawn_by_a_softmax_of_light_scores() -> None:
    """Late positions, where moves differ: the mover gains what a softmax at 0.3 would give it."""
    spec = BoardSpec.create("square8")
    positions = [
        p
        for seed in range(120)
        for p in random_game(spec, seed)[-30:-6]
        if 1 < len(p.legal_packed()) < 20
    ]
    heuristic = HeuristicEvaluator(spec)
    logits, values = (x.copy() for x in evaluated(RolloutEvaluator(spec, choices=1), positions))
    gains, expected, at = [], [], 0
    for position, value in zip(positions, values, strict=True):
        legal, seat = position.legal_packed().tolist(), position.current_player - 1
        scores = logits[at : at + len(legal)] * PRIOR_TEMPERATURE
        at += len(legal)
        ends = [settled(position.after(move)) for move in legal]
        if not any(end.is_over for end in ends):
            after = evaluated(heuristic, ends)[1][:, seat]
            shares = np.exp((scores - scores.max()) / ROLLOUT_TEMPERATURE)
            gains.append(value[seat] - after.mean())
            expected.append(after @ shares / shares.sum() - after.mean())
    error = float(np.std(gains)) / len(gains) ** 0.5
    assert np.mean(gains) > 3 * error
    assert np.mean(gains) == pytest.approx(np.mean(expected), abs=3 * error)


def test_rollouts_may_end_games() -> None:
    spec = BoardSpec.create("square8", 3)
    late = [
        p for seed in range(3) for p in random_game(spec, seed)[-20:-1] if len(p.legal_packed()) > 1
    ]
    values = evaluated(RolloutEvaluator(spec, choices=30), late)[1]
    assert set(np.abs(values).max(axis=1).tolist()) == {1.0}
    with pytest.raises(UsageError, match="at least 1"):
        RolloutEvaluator(spec, choices=0)
