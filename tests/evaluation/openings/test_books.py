"""Books: what is read, how they are halved and ordered, and what is refused."""

import hashlib
import json

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.evaluation.openings import load_book
from ringrift.evaluation.openings.books import line_of, read_book
from ringrift.evaluation.openings.drawing import draw
from ringrift.evaluation.openings.symmetry import position_id
from ringrift.rules import BoardSpec, Position

SPEC = BoardSpec.create("square8", 2)


def lines(count=9):
    found = []
    for number in range(count):
        position, texts = Position.of(SPEC), []
        for move in draw(SPEC, 2, number, 4, 10)[0]:
            texts.append(position.move_text(move))
            position.play(move)
        found.append(line_of(position_id(position), ";".join(texts), (0.25, 0.75)))
    return found


LINES = lines()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "square8_2p.jsonl"
    path.write_bytes(b"".join(LINES))
    return path


def test_a_book_holds_its_lines_and_is_named_by_its_bytes(path):
    book = load_book(path)
    assert book.hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (book.spec_hash, len(book.openings)) == (SPEC.hash, 9)
    for line, opening in zip(LINES, book.openings, strict=True):
        position = Position.of(SPEC)
        for move in opening.moves:
            position.play(move)
        assert position_id(position) == opening.id == json.loads(line)["id"]
        assert opening.shares == (0.25, 0.75)


def test_a_book_is_kept_until_its_file_changes(path):
    book = load_book(path)
    assert load_book(str(path)) is book
    path.write_bytes(b"".join(LINES[:5]))
    assert len(load_book(path).openings) == 5


def test_halves_go_by_the_hash_of_the_id_whatever_the_order_of_the_file(path):
    book = load_book(path)
    halves = book.part("open"), book.part("reserved")
    assert [len(half) for half in halves] == [5, 4]
    ranks = [hashlib.sha256(o.id.encode()).hexdigest() for half in halves for o in half]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 9
    turned = read_book(b"".join(reversed(LINES)), SPEC, where="turned")
    assert turned.part("reserved") == book.part("reserved")
    assert turned.hash != book.hash


def test_a_plan_takes_a_half_in_the_order_of_its_seed(path):
    book = load_book(path)
    orders = {seed: book.order("open", seed) for seed in range(5)}
    assert all(sorted(o.id for o in order) == sorted(o.id for o in book.part("open"))
               for order in orders.values())  # fmt: skip
    assert len({tuple(o.id for o in order) for order in orders.values()}) > 1
    assert orders[3] == book.order("open", 3)


def test_a_half_of_another_name_is_refused(path):
    with pytest.raises(UsageError, match="open or reserved"):
        load_book(path).part("closed")


def altered(line, **changes):
    return json.dumps({**json.loads(line), **changes}).encode() + b"\n"


MOVES = json.loads(LINES[1])["moves"].split(";")
FAULTS = {
    "a JSON object": b"{\n",
    "the fields id, moves, shares": b'{"id": "0"}\n',
    "16 hex digits": altered(LINES[1], id="0123"),
    "each position once": LINES[0],
    "2 numbers, sum 1": altered(LINES[1], shares=[0.5, 0.4, 0.1]),
    "at ply 2; expected a legal move": altered(LINES[1], moves=";".join([*MOVES[:2], "NX"])),
    "at ply 1; expected a legal move": altered(LINES[1], moves=";".join([MOVES[0], "NL"])),
}


@pytest.mark.parametrize("expected", FAULTS)
def test_a_bad_line_is_named_with_what_was_expected(tmp_path, expected):
    path = tmp_path / "square8_2p.jsonl"
    path.write_bytes(LINES[0] + FAULTS[expected] + LINES[2])
    with pytest.raises(DataError, match=expected) as caught:
        load_book(path)
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize("text", [b"", LINES[0][:-1], b"[" * 100_000 + b"\n", b"\xff\n"])
def test_what_is_no_book_is_refused(path, text):
    path.write_bytes(text)
    with pytest.raises(DataError):
        load_book(path)


def test_a_missing_book_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(DataError, match="build --config-key hex8_3p"):
        load_book(tmp_path / "hex8_3p.jsonl")
    (tmp_path / "hex8_2p").mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        load_book(tmp_path / "hex8_2p")


def test_a_file_says_its_configuration_by_its_name_or_the_caller_does(path, tmp_path):
    other = tmp_path / "mine.jsonl"
    other.write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match="which configuration"):
        load_book(other)
    assert load_book(other, spec=SPEC).openings == load_book(path).openings
