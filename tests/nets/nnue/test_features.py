"""The features: each by a hand-made position, parity with the reference, all seats alike."""

import numpy as np
import pytest

from ringrift.nets.nnue import features, reference
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables, geometry

from ..sampling import positions
from .nets import CONFIGS, parsed


def named(position, seat):
    """Return (features of cells as (key, name), names of the position) that are active."""
    spec = position.spec
    found, counts = features.active(
        position._states, board_tables(spec), spec.board, np.array([seat], np.int8)
    )
    keys, split = geometry(spec.board).keys, 53 * spec.cells
    inputs = found[0, : counts[0]].tolist()
    cells = {(keys[i // 53], features.NAMES[i % 53]) for i in inputs if i < split}
    return cells, {features.NAMES[53 + i - split] for i in inputs if i >= split}


@pytest.mark.parametrize(
    ("board", "size"),
    [("square8", 3590), ("hex8", 3431), ("square19", 19_331), ("hexagonal", 25_055)],
)
def test_number_of_inputs(board, size):
    assert features.input_count(board) == size
    assert len(features.NAMES) == len(set(features.NAMES)) == 53 + 198


def test_cells_of_a_hand_made_position():
    position = parsed(
        players=3, cur="2", only="4,1", act="1",
        S="0,7:1 4,1:1322 5,5:33333333333333333 6,6:12121", M="1,0:2 2,0:3 3,0:1", C="0,1:1 7,0:3",
    )  # fmt: skip
    cells, _ = named(position, 2)  # relative seats from seat 2: 2 -> 0, 3 -> 1, 1 -> 2
    top = {key: text for key, text in cells if text.startswith("height")}
    assert top == {"0,7": "height 1 2", "4,1": "height 4 0", "5,5": "height 5+ 1",
                   "6,6": top["6,6"]}  # fmt: skip
    stack = {key: {name for k, name in cells if k == key} for key in ("4,1", "5,5", "0,7")}
    assert stack["0,7"] == {"height 1 2", "cap 1 2"}
    assert stack["5,5"] == {"height 5+ 1", "cap 4+ 1", "buried 2+ 1"}
    assert stack["4,1"] == {
        "height 4 0", "cap 2 0", "buried 1 0", "buried 1 1", "buried 1 2", "acting",
    }  # fmt: skip
    assert {c for c in cells if c[0][2] == "0"} == {
        ("1,0", "marker 0"), ("2,0", "marker 1"), ("3,0", "marker 2"), ("7,0", "collapsed 1"),
    }  # fmt: skip
    assert ("0,1", "collapsed 2") in cells


def test_numbers_of_a_hand_made_position():
    position = parsed(
        players=3, ph="territory_processing", cur="2", pend="territory", act="1", hand="3,0,18",
        elim="6,12,0", terr="1,2,11", S="5,5:33 6,6:3", M="1,0:2 2,0:2 3,0:1", C="0,1:1",
    )  # fmt: skip
    misc = position._states[0]["misc"]
    misc[lay.LPS_STREAK_SEAT], misc[lay.LPS_STREAK] = 3, 2
    _, names = named(position, 2)
    assert names == {
        "hand 0/7 0", "elim 8/16 0", "territory 1/16 0", "streak 0 0",
        "hand 7/7 1", "elim 0/16 1", "territory 8/16 1", "streak 2 1",
        "hand 2/7 2", "elim 4/16 2", "territory 0/16 2", "streak 0 2",
        "phase territory_processing", "mover 0", "3 players", "acted", "territory debt",
    }  # fmt: skip
    assert "mover 2" in named(position, 3)[1]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"ph": "line_processing", "pend": "line"}, "line debt"),
        ({"ph": "territory_processing", "pend": "territory"}, "territory debt"),
        ({"ph": "territory_processing", "pend": "recovery", "rec": "1"}, "recovery debt"),
    ],
)
def test_each_debt_is_a_feature_of_its_own(fields, name):
    _, names = named(parsed(S="0,0:1 1,1:21", **fields), 1)
    assert {n for n in names if n.endswith("debt")} == {name}
    assert ("recovered" in names) == ("rec" in fields)


def test_rules_of_the_board_are_features():
    assert {"L = 4"} == named(parsed("square8", 2), 1)[1] & {"D = 4", "L = 4"}
    assert not named(parsed("hex8", 3), 1)[1] & {"D = 4", "L = 4"}
    assert named(parsed("square19", 2), 1)[1] >= {"D = 4", "L = 4"}


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_the_reference_lists_the_same_inputs_from_every_seat(board, players):
    spec = BoardSpec.create(board, players)
    states = np.concatenate([p._states for p in positions(spec, 25)])
    for seat in range(1, players + 1):
        found, counts = features.active(
            states, board_tables(spec), board, np.full(len(states), seat, np.int8)
        )
        for state, row, n in zip(states, found, counts, strict=True):
            assert sorted(row[:n].tolist()) == reference.active_inputs(state, spec, seat)
            assert n <= features.most_active(board)


def test_every_bit_of_a_mask_is_found():
    assert [features.bit_index(1 << i) for i in range(53)] == list(range(53))
