"""Deeper play is stronger play."""

from __future__ import annotations

import random

import pytest

from ringrift.agents.alphabeta.agent import AlphaBetaAgent
from ringrift.agents.alphabeta.leaf import heuristic_leaf
from ringrift.agents.weights import default_profile
from ringrift.rules import BoardSpec, Position

from .positions import agent, decide

OPENING_CHOICES = 8


def opening(spec: BoardSpec, seed: int) -> Position:
    """Play some choices at random, to the start of a turn."""
    draw = random.Random(seed)
    position = Position.of(spec)
    made = 0
    while made < OPENING_CHOICES or position.phase != "ring_placement":
        legal = position.legal_packed().tolist()
        made += len(legal) > 1
        position._play_legal(draw.choice(legal))
        if position.is_over:
            return opening(spec, seed + 1_000_000)
    return position


def winner(position: Position, first: AlphaBetaAgent, second: AlphaBetaAgent) -> int:
    """Play a game to its end; return the winning seat."""
    position = position.copy()
    while not position.is_over:
        player = first if position.current_player == 1 else second
        position._play_legal(decide(player, position).move)
    return position.winner


def score(spec: BoardSpec, deep: int, shallow: int, pairs: int) -> float:
    """Play every opening from both sides; return the share of games that the deeper player won."""
    leaf = heuristic_leaf(default_profile(spec.config))
    one, two = agent(spec, leaf, depth=deep, tt_mb=16), agent(spec, leaf, depth=shallow)
    won = 0
    for seed in range(pairs):
        start = opening(spec, seed)
        won += (winner(start, one, two) == 1) + (winner(start, two, one) == 2)
    return won / (2 * pairs)


@pytest.mark.acceptance
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("deep", "shallow"), [(2, 1), (4, 2)])
def test_the_deeper_player_wins(deep: int, shallow: int) -> None:
    share = score(BoardSpec.create("square8"), deep, shallow, 100)
    print(f"depth {deep} against {shallow}: {share:.1%} of 200 games")
    assert share >= 0.55


@pytest.mark.slow
def test_two_choices_ahead_beat_one() -> None:
    """A sample of the acceptance match, of a turn against half a turn."""
    assert score(BoardSpec.create("square8"), 2, 1, 10) > 0.5
