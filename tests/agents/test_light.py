"""The light heuristic: each feature where it can be counted by hand, and what must hold for all."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.agents import light
from ringrift.agents.evaluators import HeuristicEvaluator
from ringrift.agents.listing import legal_lists
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables
from ringrift.rules.position import board_view

from .games import CONFIGURATIONS, choices, compiled, random_game


@compiled
def read(states, boards, f):
    light.features(states[0], boards[0], f)


def features(position: Position) -> np.ndarray:
    f = np.zeros((5, len(light.FEATURES)))
    read(position._view, board_view(position.spec), f)
    return f


def values(positions: list[Position]) -> np.ndarray:
    spec = positions[0].spec
    states = np.concatenate([p._states for p in positions])
    out = np.zeros((len(positions), spec.players))
    light.evaluate_all(
        states, len(states), board_tables(spec), light.default_weights(spec), light.GAIN, out
    )
    return out


def fields(stacks: str, **more: str) -> str:
    base = {
        "ph": "movement", "cur": "1", "only": "-", "pend": "-", "act": "0", "rec": "0",
        "st": "active", "win": "0", "hand": "3,5", "elim": "2,4", "terr": "1,2", "S": stacks,
        "M": "0,7:1 1,7:1 7,7:2", "C": "5,5:1 5,6:2 5,7:2",
    }  # fmt: skip
    return ";".join(f"{k}={v}" for k, v in {**base, **more}.items())


def named(position: Position, seat: int) -> dict[str, float]:
    return dict(zip(light.FEATURES, features(position)[seat].tolist(), strict=True))


def test_features_of_a_position_counted_by_hand() -> None:
    position = Position.parse(fields("0,0:122 3,3:211 4,4:2"), spec=BoardSpec.create("square8"))
    first, second = named(position, 1), named(position, 2)
    assert (first["stacks"], second["stacks"]) == (1, 2)
    assert (first["height"], second["height"]) == (3, 4)
    assert (first["cap"], second["cap"]) == (2, 3)
    assert (first["hand"], second["hand"]) == (3, 5)
    assert (first["elim"], second["elim"]) == (2, 4)
    assert (first["territory"], second["territory"]) == (1, 2)
    assert (first["markers"], second["markers"]) == (2, 1)
    assert (first["center"], second["center"]) == (1, 1)
    assert (first["ring_goal"], second["ring_goal"]) == (1 / 16, 1 / 14)
    assert (first["territory_goal"], second["territory_goal"]) == (1 / 32, 1 / 31)
    # 3,3: all eight directions, over the weaker 4,4 too; 4,4: not onto 3,3 nor 5,5; 0,0: three
    assert (first["mobility"], second["mobility"]) == (8, 6 + 3)
    assert (first["adjacent"], second["adjacent"]) == (0.5, -0.5)
    assert (first["buried"], second["buried"]) == (1 + 1, 1 + 1)
    assert (first["one_stack"], second["one_stack"]) == (-1, 0)
    assert first["no_stack"] == first["blocked"] == first["fe_risk"] == first["recovery"] == 0


def test_a_seat_without_stacks() -> None:
    position = Position.parse(
        fields("0,0:2 3,3:12", C="0,1:1 1,0:2 1,1:2", terr="1,2"), spec=BoardSpec.create("square8")
    )
    first, second = named(position, 1), named(position, 2)
    assert (first["no_stack"], first["recovery"], first["one_stack"]) == (-1, 1, 0)
    assert (second["blocked"], second["no_stack"]) == (-1, 0)
    assert second["fe_risk"] == 0  # eight ways for two stacks
    assert first["fe_risk"] == 0


def test_growth_beyond_five_counts_a_tenth() -> None:
    assert [light.diminishing(x) for x in (0, 5, 6, 15)] == pytest.approx([0, 5, 5.1, 6])


@pytest.mark.parametrize(
    ("board", "cells"), [("square8", 4), ("square19", 9), ("hex8", 7), ("hexagonal", 19)]
)
def test_central_cells(board: str, cells: int) -> None:
    spec = BoardSpec.create(board)
    b = board_tables(spec)[0]
    central = [c for c in range(spec.cells) if light.is_central.py_func(MemoryBoard(b), c)]
    assert len(central) == cells


class MemoryBoard:
    """A board record read with Python integers."""

    def __init__(self, record: np.void) -> None:
        for name in record.dtype.names:
            setattr(self, name, memoryview(record[name]))


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_values_sum_to_nothing_and_stay_in_range(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    game = random_game(spec, 3, most=300)
    found = values(game)
    assert np.abs(found).max() <= 1
    assert np.abs(found.sum(axis=1)).max() < 1e-6
    assert found[0] == pytest.approx(0, abs=1e-9)  # the start favours nobody


def test_a_finished_game_has_the_value_of_its_ranking() -> None:
    end = random_game(BoardSpec.create("square8", 3), 5)[-1]
    assert values([end])[0][end.winner - 1] == 1


def test_exchanging_colours_exchanges_values() -> None:
    swap = str.maketrans("12", "21")
    text = fields("0,0:122 3,3:211 4,4:2")
    mirrored = fields(
        "0,0:211 3,3:122 4,4:1", cur="2", hand="5,3", elim="4,2", terr="2,1",
        M=" ".join(p[:-1] + p[-1].translate(swap) for p in ["0,7:1", "1,7:1", "7,7:2"]),
        C=" ".join(p[:-1] + p[-1].translate(swap) for p in ["5,5:1", "5,6:2", "5,7:2"]),
    )  # fmt: skip
    spec = BoardSpec.create("square8")
    one, other = values([Position.parse(text, spec=spec), Position.parse(mirrored, spec=spec)])
    assert one.tolist() == pytest.approx(other[::-1].tolist())


def test_the_evaluator_scores_moves_by_the_position_after_them() -> None:
    spec = BoardSpec.create("hex8", 3)
    position = choices(spec, 1, seed=4)[0]
    moves, offsets = legal_lists(spec, position._states)
    logits, found = HeuristicEvaluator(spec).evaluate(
        position._states, board_tables(spec), moves, offsets
    )
    assert found[0].tolist() == pytest.approx(values([position])[0].tolist(), abs=1e-6)
    seat = position.current_player - 1
    after = values([position.after(m) for m in moves.tolist()])[:, seat]
    assert (logits * 0.5).tolist() == pytest.approx(after.tolist(), abs=1e-6)
