"""Beginnings of games: books, positions of stored games, numbers of opening choices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.records.verify import verify
from ringrift.rules import Position
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.openings import Opening, Openings, fork, parse_choices, read_book

from .jobs import SQUARE8, job


def played(plies: int) -> tuple[Position, list[str], list[int]]:
    position = Position.of(SQUARE8)
    texts: list[str] = []
    packed: list[int] = []
    for k in range(plies):
        moves = position.legal_moves()
        move = moves[(7 * k) % len(moves)]
        texts.append(move.text)
        packed.append(move.packed)
        position.play(move)
    return position, texts, packed


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_games_of_a_book(tmp_path: Path) -> None:
    position, texts, packed = played(7)
    book = read_book(
        write(
            tmp_path / "book.jsonl",
            json.dumps({"config": "square8_2p", "moves": ";".join(texts), "name": "line"}),
            "",
            json.dumps({"config": "hex8_2p", "moves": "P x 1"}),
            json.dumps({"start": str(position), "moves": position.legal_moves()[0].text}),
        ),
        SQUARE8,
    )
    assert book == (
        Opening(moves=tuple(packed), tag="book:line"),
        Opening(moves=(position.legal_moves()[0].packed,), start=str(position)),
    )
    plans = selfplay_plans(SQUARE8, range(12), 3, openings=Openings(choices=(2, 2), book=book))
    seen = set()
    for record, _ in play_here(job("random"), plans):
        verify(record)
        which = book[record.start is not None]
        seen.add(which)
        assert record.moves[: len(which.moves)] == which.moves
        marks = list(record.marks.values())
        assert marks == ["book"] * len(which.moves) + ["random"] * 2
        assert record.start == which.start
        assert record.meta.tags == (() if which.tag is None else (which.tag,))
    assert seen == set(book)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON.*line 1"),
        ("[]", "expected an object"),
        ('{"name": "x"}', "neither moves nor start"),
        ('{"moves": 3}', "expected a text.*field moves"),
        ('{"moves": "P a1 1", "x": "y"}', "unknown field 'x'"),
        ('{"moves": "P zz 1"}', "move 0.*line 1 field moves"),
        ('{"start": "nothing"}', "field start"),
        ('{"config": "hex8_2p", "moves": "x"}', "no opening for square8_2p; it has hex8_2p"),
        ("", "no opening for square8_2p"),
    ],
)
def test_books_that_cannot_be_read(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_book(write(tmp_path / "book.jsonl", line), SQUARE8)
    assert str(tmp_path / "book.jsonl") in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_book(tmp_path / "none.jsonl", SQUARE8)


def test_a_share_of_the_games_is_forked() -> None:
    forks = tuple(fork(str(played(n)[0]), SQUARE8, f"fork:game@{n}") for n in (5, 12, 30))
    openings = Openings(choices=(0, 0), forks=forks, fork_fraction=0.4)
    plans = selfplay_plans(SQUARE8, range(200), 3, openings=openings)
    forked = [p for p in plans if p.start is not None]
    assert 60 <= len(forked) <= 100
    assert {p.start for p in forked} == {f.start for f in forks}
    for record, analyses in play_here(job(max_plies=200), forked[:4]):
        verify(record, analyses[0])
        assert record.start is not None
        assert record.meta.tags[0].startswith("fork:game@")
    with pytest.raises(UsageError, match="fork fraction without"):
        Openings(fork_fraction=0.1)


def test_numbers_of_choices() -> None:
    assert (parse_choices("4"), parse_choices("0-8")) == ((4, 4), (0, 8))
    for text in ("", "a", "-3", "3-", "1-2-3"):
        with pytest.raises(UsageError, match="expected k or a-b"):
            parse_choices(text)
    with pytest.raises(UsageError, match="0 <= a <= b"):
        Openings(choices=(3, 2))
    plans = selfplay_plans(SQUARE8, range(60), 3, openings=Openings(choices=(2, 4)))
    assert {p.random_choices for p in plans} == {2, 3, 4}
