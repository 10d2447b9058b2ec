"""Names of positions: one for all images under the board's symmetries, another for all others."""

import re

import pytest

from ringrift.evaluation.openings.drawing import draw
from ringrift.evaluation.openings.symmetry import canonical_image, image, position_id
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import geometry
from ringrift.training.samples.symmetry import symmetries

CELL = re.compile(r"-?\d+,-?\d+(,-?\d+)?")
BOARDS = [("square8", 2, 8), ("hex8", 3, 4), ("square19", 2, 8), ("hexagonal", 2, 12)]
PLAIN = ("P ", "M ", "C ", "K ", "SC", "SP", "NP", "NL", "NT")


def drawn(spec, count):
    """Openings of moves whose texts name cells alone."""
    found = []
    for number in range(200):
        moves, position = draw(spec, 5, number, 4, 10) or ((), None)
        at, texts = Position.of(spec), []
        for move in moves:
            texts.append(at.move_text(move))
            at.play(move)
        if position is not None and all(text.startswith(PLAIN) for text in texts):
            found.append((texts, position))
        if len(found) == count:
            return found
    raise AssertionError("too few openings")


@pytest.mark.parametrize(("board", "players", "order"), BOARDS)
def test_playing_the_image_of_each_move_leads_to_the_image(board, players, order):
    spec, g = BoardSpec.create(board, players), geometry(board)
    maps = symmetries(board).cells.tolist()
    assert len(maps) == order
    for texts, position in drawn(spec, 4):
        names = set()
        for cells in maps:
            moved = Position.of(spec)
            for text in texts:
                moved.play(CELL.sub(lambda m, to=cells: g.keys[to[g.index[m[0]]]], text))
            assert str(moved) == image(str(position), board, cells)
            names.add(position_id(moved))
        assert names == {position_id(position)}
        assert canonical_image(position) in {image(str(position), board, c) for c in maps}


def test_other_positions_and_other_rules_have_other_names():
    spec = BoardSpec.create("square8", 2)
    names = [position_id(position) for _, position in drawn(spec, 20)]
    assert len(set(names)) == 20
    assert len(names[0]) == 16
    other = BoardSpec.create("square8", 2, lps_rounds=4)
    assert position_id(Position.of(spec)) != position_id(Position.of(other))
