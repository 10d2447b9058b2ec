"""The encoder: each plane and number by a hand-made position, rotation, parity with plain Python."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from ringrift.nets.encoder import (
    ENCODER,
    GLOBALS,
    PLANES,
    cell_places,
    encode_batch,
    encode_one,
    grid,
)
from ringrift.rules import BOARDS, BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables, geometry

from .sampling import positions

CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


def encoded(position, seat=None):
    """Return (planes by name and key, numbers by name)."""
    spec = position.spec
    height, width = grid(spec.board)
    planes = np.full((height, width, PLANES), 7.0, np.float32)
    numbers = np.full(GLOBALS, 7.0, np.float32)
    seat = position.current_player if seat is None else seat
    encode_one(position._states, 0, board_tables(spec), seat, planes, numbers)
    flat = planes.reshape(-1, PLANES)
    keys, places = geometry(spec.board).keys, cell_places(spec.board)
    by_name = {
        name: {key: float(flat[p, i]) for key, p in zip(keys, places, strict=True) if flat[p, i]}
        for i, name in enumerate(ENCODER.planes)
    }
    return by_name, dict(zip(ENCODER.globals, map(float, numbers), strict=True))


def parsed(board="square8", players=2, **fields):
    """Make a position from canonical fields, the rest as at the start."""
    n = players
    start = {
        "ph": "movement", "cur": "1", "only": "-", "pend": "-", "act": "0", "rec": "0",
        "st": "active", "win": "0", "hand": ",".join(["5"] * n), "elim": ",".join(["0"] * n),
        "terr": ",".join(["0"] * n), "S": "", "M": "", "C": "",
    }  # fmt: skip
    text = ";".join(f"{k}={v}" for k, v in {**start, **fields}.items())
    return Position.parse(text, spec=BoardSpec.create(board, players))


def test_tables_name_every_input_once():
    assert len(ENCODER.planes) == PLANES == len(set(ENCODER.planes))
    assert len(ENCODER.globals) == GLOBALS == len(set(ENCODER.globals))


def test_planes_of_a_hand_made_position():
    position = parsed(
        players=3, cur="2", only="4,1", act="1",
        S="0,7:1 4,1:1322 5,5:33333333333333333 6,6:12121", M="1,0:2 2,0:3 3,0:1", C="0,1:1 7,0:3",
    )  # fmt: skip
    planes, _ = encoded(position)
    # relative seats from seat 2: 2 -> 0, 3 -> 1, 1 -> 2
    assert planes["stack 0"] == {"4,1": 1}
    assert planes["stack 1"] == {"5,5": 1}
    assert planes["stack 2"] == {"0,7": 1, "6,6": 1}
    assert planes["marker 0"] == {"1,0": 1}
    assert planes["marker 1"] == {"2,0": 1}
    assert planes["marker 2"] == {"3,0": 1}
    assert planes["collapsed 1"] == {"7,0": 1}
    assert planes["collapsed 2"] == {"0,1": 1}
    assert planes["collapsed 0"] == {}
    assert planes["rings/4 0"] == {"4,1": 0.5, "6,6": 0.5}
    assert planes["rings/4 1"] == {"4,1": 0.25, "5,5": 2.0}
    assert planes["rings/4 2"] == {"0,7": 0.25, "4,1": 0.25, "6,6": 0.75}
    assert planes["buried 0"] == {"4,1": 1, "6,6": 1}
    assert planes["buried 1"] == {"4,1": 1, "5,5": 1}
    assert planes["buried 2"] == {"4,1": 1, "6,6": 1}
    assert planes["height/8"] == {"0,7": 0.125, "4,1": 0.5, "5,5": 2.0, "6,6": 0.625}
    assert planes["cap/8"] == {"0,7": 0.125, "4,1": 0.25, "5,5": 2.0, "6,6": 0.125}
    assert planes["height 1"] == {"0,7": 1}
    assert planes["height 2"] == planes["height 3"] == {}
    assert planes["height 4+"] == {"4,1": 1, "5,5": 1, "6,6": 1}
    assert planes["cap 1"] == {"0,7": 1, "6,6": 1}
    assert planes["cap 2"] == {"4,1": 1}
    assert planes["cap 3"] == {}
    assert planes["cap 4+"] == {"5,5": 1}
    assert planes["acting cell"] == {"4,1": 1}
    assert set(planes["mask"]) == set(geometry("square8").keys)
    for name in ("stack", "marker", "collapsed", "rings/4", "buried"):
        assert planes[f"{name} 3"] == {}


def test_the_grid_has_rows_y_and_columns_x():
    planes = np.zeros((9, 9, PLANES), np.float32)
    position = parsed("hex8", S="-3,4,-1:1")
    encode_one(
        position._states, 0, board_tables(position.spec), 1, planes, np.zeros(GLOBALS, np.float32)
    )
    assert np.argwhere(planes[:, :, 0]).tolist() == [[4 + 4, -3 + 4]]
    assert planes[:, :, 31].sum() == 61


def test_numbers_of_a_hand_made_position():
    position = parsed(
        players=3, ph="territory_processing", cur="2", pend="territory", act="1", hand="3,0,9",
        elim="6,12,0", terr="1,2,11", S="5,5:33 6,6:3", M="1,0:2 2,0:2 3,0:1", C="0,1:1",
    )  # fmt: skip
    misc = position._states[0]["misc"]
    misc[lay.LPS_STREAK_SEAT], misc[lay.LPS_STREAK] = 3, 2
    misc[lay.LPS_REAL], misc[lay.LPS_FIRST] = 0b1010, 1
    _, numbers = encoded(position)
    on = {name: round(value, 5) for name, value in numbers.items() if value}
    assert on == {
        "phase territory_processing": 1, "mover 0": 1,
        "present 0": 1, "out 0": 1, "elim/T 0": 0.5, "terr/TM 0": round(2 / 22, 5),
        "markers/cells 0": 0.03125,
        "present 1": 1, "hand/R 1": 0.5, "terr/TM 1": 0.5, "stacks/cells 1": 0.03125,
        "streak/required 1": round(2 / 3, 5), "mask bit 1": 1,
        "present 2": 1, "hand/R 2": round(3 / 18, 5), "elim/T 2": 0.25,
        "terr/TM 2": round(1 / 22, 5), "markers/cells 2": 0.01562, "mask bit 2": 1, "first 2": 1,
        "acted": 1, "territory debt": 1, "3 players": 1,
        "R/96": 0.1875, "D/4": 0.75, "L/4": 0.75, "rounds/3": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"ph": "line_processing", "pend": "line"}, "line debt"),
        ({"ph": "territory_processing", "pend": "territory"}, "territory debt"),
        ({"ph": "territory_processing", "pend": "recovery", "rec": "1"}, "recovery debt"),
    ],
)
def test_each_debt_is_a_number_of_its_own(fields, name):
    _, numbers = encoded(parsed(S="0,0:1 1,1:21", **fields))
    debts = {n for n in ("line debt", "territory debt", "recovery debt") if numbers[n]}
    assert debts == {name}
    assert numbers["recovered"] == (1.0 if "rec" in fields else 0.0)


def test_swap_offer_is_seen():
    position = Position.start("square8", swap_rule=True)
    assert encoded(position)[1]["swap legal"] == 0
    while position.current_player == 1:
        position.play(position.legal_moves()[0])
    assert "SW" in {m.text for m in position.legal_moves()}
    assert encoded(position)[1]["swap legal"] == 1


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_rotating_the_seat_permutes_planes_and_numbers(board, players):
    spec = BoardSpec.create(board, players)
    for position in positions(spec, 10):
        views = [encoded(position, seat) for seat in range(1, players + 1)]
        for turn in range(1, players):
            planes, numbers = views[turn]
            for names, own, first in (
                (ENCODER.planes, planes, views[0][0]),
                (ENCODER.globals, numbers, views[0][1]),
            ):
                for name in names:
                    head, _, tail = name.rpartition(" ")
                    per_seat = tail in "0123" and head not in ("height", "cap")
                    if per_seat and int(tail) < players:
                        assert own[name] == first[f"{head} {(int(tail) + turn) % players}"], name
                    else:
                        assert own[name] == first[name], name


@pytest.mark.parametrize("board", BOARDS)
def test_every_plane_varies_and_keeps_to_eighths(board):
    spec = BoardSpec.create(board, 4)
    chosen = positions(spec, 300)
    height, width = grid(board)
    planes = np.zeros((len(chosen), height, width, PLANES), np.float32)
    numbers = np.zeros((len(chosen), GLOBALS), np.float32)
    encode_batch(np.concatenate([p._states for p in chosen]), board_tables(spec), planes, numbers)
    assert (planes * 8 == np.round(planes * 8)).all()
    assert planes.min() == 0
    assert planes.max() <= 2
    variable = np.ptp(planes, axis=(0, 1, 2)) > 0
    dead = {ENCODER.planes[i] for i in np.flatnonzero(~variable)}
    assert dead <= {"mask"}  # which varies over cells on hex boards alone
    assert np.isfinite(numbers).all()


def test_a_larger_grid_is_padding():
    spec = BoardSpec.create("hex8", 2)
    (position,) = positions(spec, 1)
    small, large = np.zeros((9, 9, PLANES), np.float32), np.zeros((25, 25, PLANES), np.float32)
    numbers = np.zeros(GLOBALS, np.float32)
    for planes in (small, large):
        encode_one(position._states, 0, board_tables(spec), 1, planes, numbers)
    assert (large[:9, :9] == small).all()
    assert large.sum() == small.sum()


DUMP = """
import hashlib
import numpy as np
from ringrift.nets.encoder import GLOBALS, PLANES, encode_batch, grid
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
for board, players, texts in {cases!r}:
    spec = BoardSpec.create(board, players)
    height, width = grid(board)
    for text in texts:
        position = Position.parse(text, spec=spec)
        planes = np.zeros((1, height, width, PLANES), np.float32)
        numbers = np.zeros((1, GLOBALS), np.float32)
        encode_batch(lay.view(position._states), lay.view(board_tables(spec)), planes, numbers)
        print(hashlib.sha256(planes.tobytes() + numbers.tobytes()).hexdigest())
"""


def test_compiled_and_plain_python_encode_the_same_bits():
    cases = [
        (board, players, [str(p) for p in positions(BoardSpec.create(board, players), 4)])
        for board, players in CONFIGS
    ]
    script = DUMP.format(cases=cases)
    outputs = []
    for plain in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": plain}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(done.stdout.split())
    assert len(outputs[0]) == 4 * len(CONFIGS)
    assert outputs[0] == outputs[1]


def test_random_field_changes_change_the_encoding():
    rng = random.Random(5)
    for position in positions(BoardSpec.create("square8", 2), 20):
        legal = position.legal_packed()
        before = encoded(position)
        after = position.after(int(rng.choice(legal.tolist())))
        if not after.is_over:
            assert encoded(after, position.current_player) != before
