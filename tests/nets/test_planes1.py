"""The encoder `planes1` against planes read from texts of the position and its legal moves."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from ringrift.nets.encoder import GLOBALS, encode_one, grid
from ringrift.nets.encoder import PLANES as BASIC_PLANES
from ringrift.nets.encoders import STEPS
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
from ringrift.rules import BOARDS, BoardSpec, InvalidPosition, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables, geometry
from ringrift.rules.position import WORKSPACE

from .sampling import encoded as both
from .sampling import positions

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


CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_planes_are_bytes_of_twenty_fourths(board, players):
    planes, _ = both(positions(BoardSpec.create(board, players), 40))
    counts = np.rint(planes * STEPS)
    assert counts.max() <= 2 * STEPS
    assert (counts.astype(np.uint8).astype(np.float32) / np.float32(STEPS) == planes).all()


def test_bytes_are_exact_for_every_length_of_lines():
    for need in (3, 4):
        for run in range(1, 26):
            value = np.float32(min(2.0, run / need))
            assert np.float32(np.rint(value * STEPS)) / np.float32(STEPS) == value


def rotated(position, k):
    """Parse the position whose seat p is the seat p + k of this one."""
    n = position.spec.players
    fields = dict(part.split("=", 1) for part in str(position).split(";"))

    def seat(digit):
        return str((int(digit) - 1 + k) % n + 1) if digit in "1234" else digit

    for name in "SMC":
        entries = [entry.partition(":") for entry in fields[name].split()]
        moved = [f"{key}:{''.join(map(seat, owners))}" for key, _, owners in entries]
        fields[name] = " ".join(moved)
    for name in ("hand", "elim", "terr"):
        values = fields[name].split(",")
        fields[name] = ",".join(values[(p - k) % n] for p in range(n))
    fields["cur"] = seat(fields["cur"])
    return Position.parse(";".join(f"{k}={v}" for k, v in fields.items()), spec=position.spec)


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_a_mover_sees_the_same_from_whatever_seat(board, players):
    spec = BoardSpec.create(board, players)
    plain = [Position.parse(str(p), spec=spec) for p in positions(spec, 12)]
    planes, numbers = both(plain)
    for k in range(1, players):
        turned = [rotated(p, k) for p in plain]
        assert [str(p) for p in turned] != [str(p) for p in plain]
        found = both(turned)
        assert (found[0] == planes).all()
        assert (found[1] == numbers).all()


def test_rotating_the_seat_permutes_runs_and_leaves_the_legal_set():
    spec = BoardSpec.create("hex8", 3)
    for position in positions(spec, 20):
        views = [encoded(position, seat) for seat in (1, 2, 3)]
        for turn in (1, 2):
            for r in range(3):
                own = views[turn][..., RUNS_AT + r]
                assert (own == views[0][..., RUNS_AT + (r + turn) % 3]).all()
            assert (views[turn][..., PLACE_AT:] == views[0][..., PLACE_AT:]).all()


def inputs_seen(count):
    """The greatest and least of every plane and number over `count` positions of all games."""
    specs = [BoardSpec.create(board, players) for board, players in CONFIGS]
    specs += [BoardSpec.create("square8", n, swap_rule=n == 2, lps_rounds=2) for n in (2, 3, 4)]
    bounds = [[], []]
    for spec in specs:
        chosen = positions(spec, count // len(specs)) + openings(spec) + endings(spec)
        views = [viewed(p, i % spec.players + 1) for i, p in enumerate(chosen)]
        planes, numbers = (np.array(arrays) for arrays in zip(*views, strict=True))
        for kept, array in zip(bounds, (planes.reshape(-1, PLANES), numbers), strict=True):
            kept += [array.max(0), array.min(0)]
    return [(np.max(kept, 0), np.min(kept, 0)) for kept in bounds]


def endings(spec):
    """Positions of the last plies of random games; of large boards none, whose games are long."""
    found = []
    for seed in range(60 if spec.cells < 100 else 0):
        rng, position, played = random.Random(seed), Position.of(spec), []
        while not position.is_over:
            played = [*played[-15:], position.copy()]
            position.play(int(rng.choice(position.legal_packed())))
        found += played
    return found


def viewed(position, seat):
    spec = position.spec
    planes, numbers = (
        np.zeros((*grid(spec.board), PLANES), np.float32),
        np.zeros(GLOBALS, np.float32),
    )
    boards, moves = board_tables(spec), np.zeros(spec.max_moves, np.int64)
    encode_planes1_one(position._states, 0, boards, WORKSPACE.scratch, seat, moves, planes, numbers)
    return planes, numbers


def openings(spec):
    position, found = Position.of(spec), []
    for _ in range(8):
        position.play(position.legal_moves()[0])
        found.append(position.copy())
    return found


@pytest.mark.acceptance
def test_no_input_is_dead_over_ten_thousand_positions():
    planes, numbers = inputs_seen(12_000)
    dead = [PLANES1.planes[i] for i in np.flatnonzero(planes[0] == planes[1])]
    dead += [PLANES1.globals[i] for i in np.flatnonzero(numbers[0] == numbers[1])]
    assert dead == ["present 0", "present 1"]  # two seats are there in every game


def neighbours(position, rng):
    """Yield positions that differ from this one in a field or two of their text."""
    spec, text = position.spec, str(position)
    fields = dict(part.split("=", 1) for part in text.split(";"))
    seats = [str(p) for p in range(1, spec.players + 1)]
    keys = geometry(spec.board).keys
    changes = [{"cur": s} for s in seats] + [{"act": "0"}, {"act": "1"}, {"only": "-"}]
    changes += [{"only": rng.choice(keys)} for _ in range(3)]
    for name in ("hand", "elim", "terr"):
        values = fields[name].split(",")
        for seat in range(spec.players):
            for step in (-1, 1):
                other = [*values]
                other[seat] = str(int(values[seat]) + step)
                changes.append({name: ",".join(other)})
    for name in "SMC":
        entries = fields[name].split()
        for at in range(min(len(entries), 6)):
            changes.append({name: " ".join(entries[:at] + entries[at + 1 :])})
            key, _, owners = entries[at].partition(":")
            for seat in seats:
                changed = owners[:-1] + seat if name == "S" else seat
                more = [owners + seat] if name == "S" else []
                for value in (changed, *more):
                    moved = [*entries[:at], f"{key}:{value}", *entries[at + 1 :]]
                    changes.append({name: " ".join(moved)})
    for change in changes:
        altered = {**fields, **change}
        try:
            yield Position.parse(";".join(f"{k}={v}" for k, v in altered.items()), spec=spec)
        except InvalidPosition:
            continue


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("square8", 3), ("hex8", 4)])
def test_what_changes_the_legal_set_changes_the_encoding(board, players):
    spec, rng, compared = BoardSpec.create(board, players), random.Random(3), 0
    for position in positions(spec, 25):
        plain = Position.parse(str(position), spec=spec)
        legal = {m.text for m in plain.legal_moves()}
        for other in neighbours(plain, rng):
            if not other.is_over and {m.text for m in other.legal_moves()} != legal:
                compared += 1
                one, two = both([plain]), both([other])
                assert any((a != b).any() for a, b in zip(one, two, strict=True)), str(other)
    assert compared > 200


DUMP = """
import hashlib
import numpy as np
from ringrift.nets.encoder import GLOBALS, grid
from ringrift.nets.planes1 import PLANES, encode_known_batch
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
for board, players, texts in {cases!r}:
    spec = BoardSpec.create(board, players)
    chosen = [Position.parse(text, spec=spec) for text in texts]
    legal = [p.legal_packed() for p in chosen]
    offsets = np.zeros(len(chosen) + 1, np.int32)
    offsets[1:] = np.cumsum([len(m) for m in legal])
    planes = np.zeros((len(chosen), *grid(board), PLANES), np.float32)
    numbers = np.zeros((len(chosen), GLOBALS), np.float32)
    encode_known_batch(
        lay.view(np.concatenate([p._states for p in chosen])), 0, len(chosen),
        lay.view(board_tables(spec)), lay.view(lay.zeros(1, lay.SCRATCH)),
        np.zeros(spec.max_moves, np.int64), np.concatenate(legal), offsets, planes, numbers,
    )
    print(hashlib.sha256(planes.tobytes() + numbers.tobytes()).hexdigest())
"""


def test_compiled_and_plain_python_encode_the_same_bits():
    cases = [
        (board, players, [str(p) for p in positions(BoardSpec.create(board, players), 3)])
        for board, players in CONFIGS[::2]
    ]
    found = []
    for plain in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", DUMP.format(cases=cases)],
            env={**os.environ, "NUMBA_DISABLE_JIT": plain},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(done.stdout.split())
    assert len(found[0]) == len(cases)
    assert found[0] == found[1]
