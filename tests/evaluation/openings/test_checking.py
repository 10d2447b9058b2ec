"""Replaying a book: each kind of line that cannot be an opening is found, with line and ply."""

from dataclasses import replace
from pathlib import Path

import pytest

from ringrift.core.errors import DataError
from ringrift.evaluation.openings.books import Book, Opening
from ringrift.evaluation.openings.checking import check
from ringrift.evaluation.openings.drawing import draw
from ringrift.evaluation.openings.symmetry import position_id
from ringrift.rules import BoardSpec, Position

SPEC = BoardSpec.create("square8", 2)
FILE = Path("square8_2p.jsonl")


def opening_of(texts, shares=(0.25, 0.75)):
    position, moves = Position.of(SPEC), []
    for text in texts:
        moves.append(position.pack(text) if isinstance(text, str) else text)
        position.play(moves[-1])
    return Opening(id=position_id(position), moves=tuple(moves), shares=shares)


def drawn(number):
    return opening_of(draw(SPEC, 2, number, 4, 10)[0])


def book_of(*openings):
    return Book(spec=SPEC, hash="0" * 64, openings=openings)


def test_a_sound_book_has_its_lengths_told():
    openings, calls = [drawn(number) for number in range(20)], []
    found = check(book_of(*openings), FILE, on_opening=lambda: calls.append(1))
    lengths = [len(opening.moves) for opening in openings]
    assert found.plies == (min(lengths), max(lengths))
    assert 4 <= found.choices[0] < found.choices[1] <= 10
    assert len(calls) == 20


def over():
    """A whole game of random moves."""
    import random

    rng, position, moves = random.Random(1), Position.of(SPEC), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    return opening_of(moves)


FIRST_TURN = ["P 3,3 1", "M 3,3 3,5", "NL", "NT"]
BAD = {
    "expected a legal move": lambda: replace(drawn(1), moves=drawn(1).moves[:3] * 2),
    "a game that is over": over,
    "a pending swap": lambda: opening_of(FIRST_TURN),
    "shares beyond half": lambda: replace(drawn(1), shares=(0.2188, 0.7812)),
    "lead to position": lambda: replace(drawn(1), id=drawn(2).id),
}


@pytest.mark.parametrize("found", BAD)
def test_what_is_no_opening_is_named_with_its_line(found):
    with pytest.raises(DataError, match=found) as caught:
        check(book_of(drawn(0), BAD[found]()), FILE)
    assert caught.value.where == f"{FILE}:2"


def test_an_illegal_move_is_named_with_its_ply():
    with pytest.raises(DataError, match=r"found 'P \S+ \d' at ply 3"):
        check(book_of(replace(drawn(0), moves=(*drawn(0).moves[:3], drawn(0).moves[0]))), FILE)
