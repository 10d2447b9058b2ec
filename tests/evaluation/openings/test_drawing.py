"""Openings: legal, distinct, reproducible, and for every configuration."""

import pytest

from ringrift.core.errors import DataError
from ringrift.evaluation.openings import openings
from ringrift.rules import BoardSpec, Position

CONFIGS = [("square8", 2), ("hex8", 3), ("square19", 2), ("hexagonal", 4)]


def choices_of(spec, moves):
    position, choices = Position.of(spec), 0
    for move in moves:
        choices += len(position.legal_packed()) > 1
        position.play(move)
    return position, choices


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_openings_are_legal_distinct_and_not_over(board, players):
    spec = BoardSpec.create(board, players)
    found = openings(spec, 7, 12)
    positions = [choices_of(spec, moves) for moves in found]
    assert len({position.hash64 for position, _ in positions}) == 12
    low, high = -(-4 * players // 2), -(-10 * players // 2)
    for position, choices in positions:
        assert not position.is_over
        assert low <= choices <= high
        assert len(position.legal_packed()) > 1
    assert len({choices for _, choices in positions}) > 2


def test_the_list_depends_on_the_seed_alone():
    spec = BoardSpec.create("square8", 2)
    assert openings(spec, 3, 20)[:8] == openings(spec, 3, 8)
    assert openings(spec, 3, 8) != openings(spec, 4, 8)


def test_no_swap_is_pending():
    spec = BoardSpec.create("square8", 2, swap_rule=True)
    for moves in openings(spec, 1, 10):
        position, _ = choices_of(spec, moves)
        assert all(str(move) != "SW" for move in position.legal_moves())


def test_too_many_are_refused():
    spec = BoardSpec.create("square8", 2)
    with pytest.raises(DataError, match="distinct openings"):
        openings(spec, 1, 500, min_choices=1, max_choices=1)
