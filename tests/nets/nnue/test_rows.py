"""Rows of the policy head: what each kind of move adds up, by name, and that moves stay apart."""

import pytest

from ringrift.nets.nnue.rows import MOST_ROWS, policy_rows
from ringrift.rules import BOARDS, BoardSpec
from ringrift.rules.moves import REGION, kind_of

from ..sampling import positions
from .nets import parsed, rows_of


def named(position, text):
    """Return the names of the rows of a move given as text."""
    names = policy_rows(position.spec.board).names
    texts = [m.text for m in position.legal_moves()]
    return [names[i] for i in rows_of(position)[texts.index(text)]]


@pytest.mark.parametrize(
    ("board", "cells", "rays"),
    [("square8", 64, 56), ("hex8", 61, 48), ("square19", 361, 144), ("hexagonal", 469, 144)],
)
def test_number_of_rows(board, cells, rays):
    names = policy_rows(board).names
    assert len(names) == len(set(names)) == 18 * cells + 9 + 8 + rays + 25 + 8


def test_rows_of_placements():
    position = parsed(ph="ring_placement", S="3,3:2 5,5:11")
    assert named(position, "P 0,0 2") == ["target place 0,0", "place count 2", "place on none"]
    assert named(position, "P 3,3 1") == ["target place 3,3", "place count 1", "place on 1"]
    assert named(position, "P 5,5 1") == ["target place 5,5", "place count 1", "place on 0"]


def test_rows_of_a_move_over_markers():
    position = parsed(cur="2", S="0,0:22", M="1,0:2 2,0:1 3,0:1 4,0:1")
    assert named(position, "M 0,0 4,0") == [
        "origin move 0,0", "target move 4,0", "ray 0 4", "height 2", "flips 2", "collapses 1",
        "lands on marker 1",
    ]  # fmt: skip


def test_rows_of_a_capture():
    position = parsed(S="0,0:2111 0,2:122", M="0,1:2 0,4:3", players=3)
    assert named(position, "C 0,0 0,2 0,4") == [
        "origin capture 0,0", "target capture 0,4", "ray 2 4", "height 4", "flips 1", "collapses 0",
        "lands on marker 2", "captures from 1", "captured cap 2",
    ]  # fmt: skip


def test_rows_of_lines_and_windows():
    position = parsed(ph="line_processing", M=" ".join(f"{x},1:1" for x in range(5)), S="7,7:1")
    texts = [m.text for m in position.legal_moves()]
    assert len(texts) == 3
    found = [named(position, t) for t in texts]
    assert found == [
        ["origin line 0,1", "target line 4,1"],
        ["origin window 0,1", "target window 3,1"],
        ["origin window 1,1", "target window 4,1"],
    ]


def test_rows_of_payments_and_words():
    position = parsed(ph="line_processing", pend="line", S="0,0:1 5,5:1121")
    assert named(position, "E line 5,5") == ["origin payment 5,5"]
    names = policy_rows("square8").names
    seen = {}
    for position in positions(BoardSpec.create("square8", 2), 200):
        for move, rows in zip(position.legal_moves(), rows_of(position), strict=True):
            if " " not in move.text:
                seen[move.text] = [names[i] for i in rows]
    assert seen
    assert all(rows == [f"scalar {text}"] for text, rows in seen.items())


def test_rows_of_a_region():
    # the corner holds a ring of seat 1 on one of seat 2, walled by markers of seat 1
    position = parsed(
        ph="territory_processing", S="0,0:21 5,5:2 7,7:1", M="0,2:1 1,2:1 2,0:1 2,1:1 2,2:1",
    )  # fmt: skip
    regions = [m for m in position.legal_moves() if m.text.startswith("T ")]
    assert regions
    assert named(position, regions[0].text) == [
        "origin region 0,0", "target region 1,1", "region of 3-5", "own rings 1",
    ]  # fmt: skip


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("players", [2, 4])
def test_every_legal_move_has_rows_of_its_own(board, players):
    spec = BoardSpec.create(board, players)
    size = len(policy_rows(board).names)
    for position in positions(spec, 40):
        rows = rows_of(position)
        assert all(0 < len(r) <= MOST_ROWS and min(r) >= 0 and max(r) < size for r in rows)
        moves = position.legal_packed().tolist()
        # two regions may agree in first and last cell and in size
        apart = [tuple(r) for r, m in zip(rows, moves, strict=True) if kind_of(m) != REGION]
        assert len(set(apart)) == len(apart)
