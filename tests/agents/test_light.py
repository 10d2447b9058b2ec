"""Counting by hand: the light features of one position, and the two curves they use."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.agents import light
from ringrift.agents.evaluation import FEATURES
from ringrift.agents.explain import features
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables

from .recount import center_of


def fields(stacks: str, **more: str) -> str:
    base = {
        "ph": "movement", "cur": "1", "only": "-", "pend": "-", "act": "0", "rec": "0",
        "st": "active", "win": "0", "hand": "3,5", "elim": "2,4", "terr": "1,2", "S": stacks,
        "M": "0,7:1 1,7:1 7,7:2", "C": "5,5:1 5,6:2 5,7:2",
    }  # fmt: skip
    return ";".join(f"{k}={v}" for k, v in {**base, **more}.items())


def named(text: str) -> list[dict[str, float]]:
    found = features(Position.parse(text, spec=BoardSpec.create("square8")))
    return [dict(zip(FEATURES, row.tolist(), strict=True)) for row in found]


def test_features_of_a_position_counted_by_hand() -> None:
    first, second = named(fields("0,0:122 3,3:211 4,4:2"))
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
    # 0,0 and 3,3 meet on a diagonal, but 4,4 and the edge leave nowhere to land
    assert (first["attacks"], second["attacks"]) == (0, 0)


def test_a_seat_without_stacks() -> None:
    first, second = named(fields("0,0:2 3,3:12", C="0,1:1 1,0:2 1,1:2", terr="1,2"))
    assert (first["no_stack"], first["recovery"], first["one_stack"]) == (-1, 1, 0)
    assert (second["blocked"], second["no_stack"]) == (-1, 0)
    assert second["fe_risk"] == 0  # eight ways for two stacks
    assert first["fe_risk"] == 0


@pytest.mark.parametrize(
    ("elim", "terr", "rings", "cells"),
    [
        ("17,0", "0,0", 1, 1 / 33),
        ("18,0", "0,0", 1, 1 / 33),
        ("0,0", "10,40", 1 / 18, 1 / 31),  # ahead of the others is farther than the minimum
        ("0,0", "32,3", 1 / 18, 1),
        ("0,0", "40,3", 1 / 18, 1),
    ],
)
def test_goals_are_never_farther_than_one(elim: str, terr: str, rings: float, cells: float) -> None:
    first, _ = named(fields("3,3:1", elim=elim, terr=terr))
    assert (first["ring_goal"], first["territory_goal"]) == pytest.approx((rings, cells))


def test_growth_beyond_five_counts_a_tenth() -> None:
    assert [light.diminishing(x) for x in (0, 5, 6, 15)] == pytest.approx([0, 5, 5.1, 6])


class MemoryBoard:
    """A board record read with Python integers."""

    def __init__(self, record: np.void) -> None:
        for name in record.dtype.names:
            setattr(self, name, memoryview(record[name]))


@pytest.mark.parametrize(
    ("board", "cells"), [("square8", 4), ("square19", 9), ("hex8", 7), ("hexagonal", 19)]
)
def test_central_cells(board: str, cells: int) -> None:
    spec = BoardSpec.create(board)
    b = MemoryBoard(board_tables(spec)[0])
    is_central = getattr(light.is_central, "py_func", light.is_central)
    assert sum(is_central(b, c) for c in range(spec.cells)) == cells == len(center_of(board))
