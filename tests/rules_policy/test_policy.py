"""The policy layout: sizes, ranges, no two legal moves with one pair, and back to the move."""

import random
from pathlib import Path

import numpy as np
import pytest

from ringrift.records.traces import packaged_traces, read_traces, trace_files
from ringrift.rules import BOARDS, BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules import moves as mv
from ringrift.rules.geometry import board_tables, geometry
from ringrift.rules.policy import entries, move_of, policy_entries, policy_layout

ALL_TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
SIZES = {"square8": 5705, "square19": 63906, "hex8": 4645, "hexagonal": 80677}
CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


def check(position, size):
    """Check the legal set of a position; return the kinds of move it held."""
    legal = position.legal_packed()
    first, second = entries(position._states, board_tables(position.spec), legal)
    assert first.min() >= 0
    assert first.max() < size
    assert second.min() >= -1
    assert second.max() < size
    pairs = np.unique(np.stack((first, second)), axis=1)
    assert pairs.shape[1] == len(legal), [m.text for m in position.legal_moves()]
    return {int(k) for k in legal & mv.KIND_MASK}


def check_trace(trace):
    spec = trace.spec()
    size = policy_layout(spec.board).size
    position, kinds = Position.parse(trace.field("initial", str), spec=spec), set()
    for ply in trace.field("positions", list):
        kinds |= check(position, size)
        position.play(ply["m"])
    return kinds


@pytest.mark.parametrize("board", BOARDS)
def test_layout_has_the_documented_size(board):
    layout = policy_layout(board)
    assert layout.size == SIZES[board]
    assert len(set(layout.planes)) == len(layout.planes)


def test_layout_hashes_differ_between_boards():
    assert len({policy_layout(board).hash for board in BOARDS}) == len(BOARDS)


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_random_games_give_every_legal_move_a_pair_of_its_own(board, players):
    spec = BoardSpec.create(board, players, swap_rule=players == 2)
    rng = random.Random(f"{board}{players}")
    for _ in range(3):
        position = Position.of(spec)
        while not position.is_over and position.ply < 400:
            check(position, SIZES[board])
            position._play_legal(rng.choice(position.legal_packed().tolist()))


def test_packaged_games_have_unique_pairs_for_every_kind_of_move():
    kinds = set()
    for path in packaged_traces():
        for trace in read_traces(path):
            if trace.on_standard_board():
                kinds |= check_trace(trace)
    assert kinds == set(range(1, mv.KINDS))


@pytest.mark.slow
@pytest.mark.skipif(not ALL_TRACES.is_dir(), reason="the full set of recorded games is not here")
def test_all_recorded_games_have_unique_pairs():
    for path in trace_files([ALL_TRACES]):
        for trace in read_traces(path):
            if trace.on_standard_board():
                check_trace(trace)


@pytest.mark.parametrize("board", BOARDS)
def test_every_legal_move_comes_back_from_its_entries(board):
    spec = BoardSpec.create(board, 3)
    rng = random.Random(board)
    position = Position.of(spec)
    tables = board_tables(spec)
    while not position.is_over and position.ply < 60:
        legal = position.legal_packed()
        pairs = entries(position._states, tables, legal)
        for i in rng.sample(range(len(legal)), min(5, len(legal))):
            pair = (int(pairs[0, i]), int(pairs[1, i]))
            assert move_of(pair, position._states, tables, legal) == legal[i]
        position._play_legal(rng.choice(legal.tolist()))


def test_entries_of_no_legal_move_are_refused():
    position = Position.start("square8")
    with pytest.raises(LookupError):
        move_of((5704, -1), position._states, board_tables(position.spec), position.legal_packed())


def pair(board, move, *, players=2, mover=1):
    spec = BoardSpec.create(board, players)
    return policy_entries(lay.view(board_tables(spec))[0], move, mover, players)


def plane_of(board, move, **seats):
    """Name the plane and the key of the cell that a one-entry move has."""
    e1, e2 = pair(board, move, **seats)
    assert e2 == -1
    layout = policy_layout(board)
    return layout.planes[e1 // layout.cells], geometry(board).keys[e1 % layout.cells]


@pytest.mark.parametrize(
    ("board", "text", "plane", "cell"),
    [
        ("square8", "P 3,4 2", "place 2", "3,4"),
        ("square8", "M 1,1 4,4", "ray 1 3", "1,1"),
        ("square8", "M 7,7 7,0", "ray 6 7", "7,7"),
        ("square8", "C 2,2 2,3 2,5", "ray 2 3", "2,2"),
        ("square8", "K 5,0 4,1 2,3", "ray 3 3", "5,0"),
        ("square8", "E recovery 0,0", "pay recovery", "0,0"),
        ("square8", "F 6,1", "pay forced", "6,1"),
        ("square8", "L 0,3|1,3|2,3|3,3", "line 0", "0,3"),
        ("square8", "O 0,0|1,1|2,2|3,3|4,4 *", "line 1", "0,0"),
        ("square8", "O 0,0|1,1|2,2|3,3|4,4 1,1|2,2|3,3|4,4", "window 1", "1,1"),
        ("hex8", "M 0,0,0 -3,3,0", "ray 2 3", "0,0,0"),
        ("hexagonal", "M -12,0,12 12,0,-12", "ray 0 24", "-12,0,12"),
    ],
)
def test_moves_lie_where_the_layout_says(board, text, plane, cell):
    from ringrift.rules.codec import codec

    move = codec(BoardSpec.create(board, 2)).pack(text, (), lambda _: [])
    assert plane_of(board, move) == (plane, cell)


@pytest.mark.parametrize(
    ("wall", "mover", "name"), [(2, 2, "0"), (3, 2, "1"), (1, 2, "2"), (0, 2, "none")]
)
def test_a_region_is_named_by_its_wall_seen_from_the_mover(wall, mover, name):
    move = mv.pack(mv.REGION, 7, 0, 0, wall)
    assert plane_of("square8", move, players=3, mover=mover)[0] == f"region wall {name}"


def test_a_slide_has_two_entries():
    layout = policy_layout("square8")
    by_ring = mv.pack(mv.RECOVER, 9, 10, 30, mv.recovery_x(mv.BY_LINE, 1, 0))
    by_window = mv.pack(mv.RECOVER, 9, 10, 2, mv.recovery_x(mv.BY_LINE, 2, 1))
    e1, e2 = pair("square8", by_ring)
    assert (layout.planes[e1 // 64], e1 % 64) == ("slide 2", 9)
    assert (layout.planes[e2 // 64], e2 % 64) == ("extraction", 30)
    e1, e2 = pair("square8", by_window)
    assert (layout.planes[e1 // 64], e1 % 64) == ("slide 2", 9)
    assert (layout.planes[e2 // 64], e2 % 64) == ("recovery window 1", 2)
