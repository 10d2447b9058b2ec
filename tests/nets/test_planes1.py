"""The encoder `planes1` against planes read from texts of the position and its legal moves."""

import random

import numpy as np
import pytest

from ringrift.nets.encoder import GLOBALS, encode_one, grid
from ringrift.nets.encoder import PLANES as BASIC_PLANES
from ringrift.nets.planes1 import (
    BASIC,
    FROM_AT,
    LINE_AT,
    MASK_AT,
    PAY_AT,
    PLACE_AT,
    PLANES,
    PLANES1,
    REGION_AT,
    RUNS_AT,
    TARGET_AT,
    TO_AT,
    encode_planes1_one,
)
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables, geometry
from ringrift.rules.position import WORKSPACE

SPECS = [
    BoardSpec.create("square8", 2, swap_rule=True),
    BoardSpec.create("square8", 3),
    BoardSpec.create("hex8", 4),
    BoardSpec.create("hexagonal", 2),
]


def encoded(position, seat):
    spec = position.spec
    height, width = grid(spec.board)
    planes = np.full((height, width, PLANES), 9.0, np.float32)
    numbers = np.zeros(GLOBALS, np.float32)
    states = lay.view(np.array([position.record()], lay.STATE))
    moves = np.zeros(spec.max_moves, np.int64)
    boards = lay.view(board_tables(spec))
    encode_planes1_one(states, 0, boards, WORKSPACE.scratch, seat, moves, planes, numbers)
    basic = np.zeros((height, width, BASIC_PLANES), np.float32)
    other = np.zeros(GLOBALS, np.float32)
    encode_one(states, 0, boards, seat, basic, other)
    assert np.array_equal(planes[..., :BASIC], basic[..., :BASIC])
    assert np.array_equal(planes[..., MASK_AT], basic[..., BASIC])
    assert np.array_equal(numbers, other)
    return planes


def keys_of(planes, plane, spec):
    """Keys of the cells where a plane is set."""
    g = geometry(spec.board)
    return {
        key
        for key, c in zip(g.keys, g.coordinates, strict=True)
        if planes[c[1] + g.radius, c[0] + g.radius, plane]
    }


def expected(position):
    """The cells of each plane of legal moves, out of their texts (rules.md 3)."""
    found = {plane: set() for plane in range(PLACE_AT, MASK_AT)}
    for move in position.legal_moves():
        kind, *words = move.text.split()
        if kind == "P":
            found[PLACE_AT].add(words[0])
        elif kind == "M":
            found[FROM_AT].add(words[0])
            found[TO_AT].add(words[1])
        elif kind in "CK":
            found[FROM_AT].add(words[0])
            found[TARGET_AT].add(words[1])
            found[TO_AT].add(words[2])
        elif kind == "E":
            found[PAY_AT].add(words[1])
        elif kind == "F":
            found[PAY_AT].add(words[0])
        elif kind == "T":
            found[REGION_AT] |= {cell for word in words for cell in word.split("|")}
        elif kind in "LO":
            found[LINE_AT] |= set(words[0].split("|"))
    return found


def longest(position, key):
    """The longest straight line of one colour of markers through a cell."""
    markers, g = position.markers, geometry(position.spec.board)
    places = {key: c[:2] for key, c in zip(g.keys, g.coordinates, strict=True)}
    names = {place: name for name, place in places.items()}
    best = 1
    for dx, dy in (step[:2] for step in g.directions):
        length = 1
        for sign in (1, -1):
            x, y = places[key]
            while True:
                x, y = x + sign * dx, y + sign * dy
                if markers.get(names.get((x, y))) != markers[key]:
                    break
                length += 1
        best = max(best, length)
    return best


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.config)
def test_planes_of_the_legal_set_and_of_runs(spec):
    seen = set()
    for seed in range(4 if spec.board != "hexagonal" else 1):
        rng, position = random.Random(seed), Position.of(spec)
        while not position.is_over and position.ply < (400 if spec.cells < 100 else 120):
            mover = position.current_player
            planes = encoded(position, mover)
            slides = any(move.text.startswith("R ") for move in position.legal_moves())
            for plane, cells in expected(position).items():
                found = keys_of(planes, plane, spec)
                if slides and plane in (FROM_AT, TO_AT, PAY_AT):
                    assert found >= cells
                else:
                    assert found == cells, (plane, position)
                if cells:
                    seen.add(plane)
            g = geometry(spec.board)
            for key, owner in position.markers.items():
                x, y = g.coordinates[g.index[key]][:2]
                row = planes[y + g.radius, x + g.radius, RUNS_AT : RUNS_AT + 4]
                relative = (owner - mover) % spec.players
                value = min(2.0, longest(position, key) / spec.line_length)
                assert row[relative] == np.float32(value)
                assert np.count_nonzero(row) == 1
            position.play(int(rng.choice(position.legal_packed())))
    assert {PLACE_AT, FROM_AT, TO_AT, TARGET_AT} <= seen


def test_slides_show_where_they_begin_land_and_take_from():
    spec = BoardSpec.create("square8", 3)
    found = 0
    for seed in range(300):
        rng, position = random.Random(seed), Position.of(spec)
        while not position.is_over and position.ply < 300 and found < 20:
            slides = [m.text.split() for m in position.legal_moves() if m.text.startswith("R ")]
            if slides:
                found += 1
                planes = encoded(position, position.current_player)
                assert {words[2] for words in slides} <= keys_of(planes, FROM_AT, spec)
                assert {words[3] for words in slides} <= keys_of(planes, TO_AT, spec)
            position.play(int(rng.choice(position.legal_packed())))
        if found == 20:
            break
    assert found == 20


def test_there_are_43_named_planes():
    assert len(PLANES1.planes) == PLANES == 43
    assert len(set(PLANES1.planes)) == PLANES
    assert PLANES1.planes[MASK_AT] == "mask"
