"""The search against minimax and max-n that prune nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ringrift.agents import evaluation
from ringrift.agents.alphabeta.leaf import Leaf, heuristic_leaf, nnue_leaf
from ringrift.agents.alphabeta.scores import as_value
from ringrift.agents.listing import scratch
from ringrift.agents.weights import default_profile
from ringrift.nets.nnue import forward, network
from ringrift.nets.nnue.arrays import new_work
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables

from ..games import choices
from .positions import MOST_CHOICES, agent, decide, endings
from .reference import LeafValues, Reference, TooLarge, seat_to_move

TWO = [("square8", 2, None), ("square8", 2, 3), ("hex8", 2, 4)]
MORE = [("square8", 3, None), ("square8", 3, 3), ("hex8", 4, 3)]
CASES = [(*c, "paranoid") for c in TWO] + [
    (*c, mode) for c in MORE for mode in ("paranoid", "maxn", "brs")
]


def ref_of(position: Position, mode: str) -> int:
    return 1 if position.spec.players == 2 else seat_to_move(position)


def check_ending(player: Any, position: Position, mode: str) -> None:
    ref = Reference(position.spec, mode, ref_of(position, mode))
    mover = seat_to_move(position)
    scores = ref.moves(position, MOST_CHOICES)
    best = max(scores.values(), key=lambda v: ref.better(mover, v))
    found = decide(player, position)
    assert ref.better(mover, scores[found.move]) == ref.better(mover, best)
    values = [as_value(v) for v in best]
    if mode == "maxn":
        expected = [v - sum(values) / len(values) for v in values]
        assert found.value == pytest.approx(expected, abs=1e-12)
    else:
        own = values[mover - 1] if position.spec.players > 2 else values[0] * (3 - 2 * mover)
        assert found.value[mover - 1] == pytest.approx(own, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("board", "players", "rings", "mode"), CASES)
@pytest.mark.parametrize("tt_mb", [0, 1])
def test_endings_have_the_value_of_unpruned_search(
    board: str, players: int, rings: int | None, mode: str, tt_mb: int
) -> None:
    positions = endings(board, players, rings, 20)
    player = agent(positions[0].spec, depth=MOST_CHOICES, multi=mode, tt_mb=tt_mb)
    for position in positions:
        check_ending(player, position, mode)


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("board", "players", "rings", "mode"), CASES)
def test_five_hundred_endings(board: str, players: int, rings: int | None, mode: str) -> None:
    """500 in all for two players and for each way of playing with more."""
    positions = endings(board, players, rings, 167, 2000)
    player = agent(positions[0].spec, depth=MOST_CHOICES, multi=mode)
    for position in positions:
        check_ending(player, position, mode)


def light_leaf(spec: BoardSpec) -> tuple[Leaf, LeafValues]:
    """The light heuristic, for the search and for the reference."""
    profile = default_profile(spec.config)

    def values(position: Position) -> tuple[float, ...]:
        out = np.zeros((1, spec.players))
        evaluation.evaluate_all(
            position._states, 1, board_tables(spec), scratch(),
            profile.effective(full=False), profile.gain, out,
        )  # fmt: skip
        return tuple(out[0])

    return heuristic_leaf(profile, full=False), values


def random_net(spec: BoardSpec) -> tuple[Leaf, LeafValues]:
    """A net of random weights, for the search and for the reference."""
    shape = network.Shape(board=spec.board, players=spec.players, hidden=32, policy=False)
    net = network.lay_out(network.quantise(network.random_weights(shape, seed=1), shape), shape)
    work = new_work(net, spec.players)

    def values(position: Position) -> tuple[float, ...]:
        out = np.zeros(4)
        forward.evaluate(position._states[0], board_tables(spec)[0], net, work, out)
        return tuple(out[: spec.players])

    return nnue_leaf(net, new_work(net, spec.players), default_profile(spec.config)), values


@pytest.mark.slow
@pytest.mark.parametrize("make", [light_leaf, random_net])
@pytest.mark.parametrize(
    ("board", "players", "mode"),
    [
        ("square8", 2, "paranoid"),
        ("hex8", 2, "paranoid"),
        ("hex8", 3, "paranoid"),
        ("square8", 3, "maxn"),
        ("hex8", 4, "maxn"),
    ],
)
def test_estimates_and_quiescence_are_those_of_unpruned_search(
    board: str,
    players: int,
    mode: str,
    make: Callable[[BoardSpec], tuple[Leaf, LeafValues]],
) -> None:
    """One choice deep and two; all phases come up."""
    spec = BoardSpec.create(board, players)
    leaf, values = make(spec)
    player = agent(spec, leaf, multi=mode, q=2)
    small = [p for p in choices(spec, 60, seed=5) if len(p.legal_packed()) <= 12][:6]
    compared = 0
    for position in small:
        ref = Reference(spec, mode, ref_of(position, mode), values, q=2)
        mover = seat_to_move(position)
        for at in (1, 2):
            try:
                scores = ref.moves(position, at)
            except TooLarge:
                continue
            compared += 1
            best = max(scores.values(), key=lambda v: ref.better(mover, v))
            found = decide(player, position, depth=at)
            assert ref.better(mover, scores[found.move]) == ref.better(mover, best)
    assert compared >= 6
