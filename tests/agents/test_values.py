"""Value vectors of finished games against the ranking of the rules (agents.md 2)."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.agents.values import final_values, values_of_ranks
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.position import board_view
from ringrift.rules.ranking import ranks

from .games import compiled, random_game


@compiled
def read(states, boards, out):
    final_values(states[0], boards[0], out)


@pytest.mark.parametrize("players", [2, 3, 4])
def test_values_are_those_of_the_ranking(players: int) -> None:
    spec = BoardSpec.create("square8", players)
    out = np.zeros(4)
    for seed in range(60):
        end = random_game(spec, seed)[-1]
        read(end._view, board_view(spec), out)
        expected = values_of_ranks(ranks(end._states[0], spec))
        assert out[:players].tolist() == pytest.approx(expected)
        assert sum(out[:players]) == pytest.approx(0, abs=1e-9)
        assert out[end.winner - 1] == 1


def test_every_tie_break_is_used() -> None:
    """Random records, so that seats tie in some fields and differ in others."""
    spec = BoardSpec.create("square8", 4)
    draw = np.random.default_rng(1)
    out = np.zeros(4)
    for _ in range(500):
        states = lay.zeros(1, lay.STATE)
        s = states[0]
        s["misc"][lay.WINNER] = draw.integers(1, 5)
        s["misc"][lay.HANDS_COUNTED] = draw.integers(0, 2)
        for name in ("terr", "elim", "hand", "out_turn"):
            s[name][1:5] = draw.integers(0, 2, 4)
        s["count"][1:5] = draw.integers(0, 2, 4)
        read(lay.view(states), board_view(spec), out)
        assert out.tolist() == pytest.approx(values_of_ranks(ranks(s, spec)))


@pytest.mark.parametrize(
    ("ranking", "values"),
    [
        ((1, 2), (1, -1)),
        ((2, 1), (-1, 1)),
        ((1, 2, 3), (1, 0, -1)),
        ((1, 2, 2), (1, -0.5, -0.5)),
        ((2, 4, 1, 3), (1 / 3, -1, 1, -1 / 3)),
        ((1, 2, 2, 4), (1, 0, 0, -1)),
    ],
)
def test_values_of_rankings(ranking: tuple[int, ...], values: tuple[float, ...]) -> None:
    assert values_of_ranks(ranking) == pytest.approx(values)
