"""`ringrift eval openings`: what the commands print, write and refuse."""

import json
import signal
import time

import pytest

from ringrift.evaluation.openings import load_book
from ringrift.evaluation.openings.books import shipped
from ringrift.evaluation.openings.building import BuildSettings, build


@pytest.fixture
def book(tmp_path):
    """The first ten lines of a shipped book."""
    path = tmp_path / "mine" / "square8_2p.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(shipped("square8_2p").read_bytes().splitlines(keepends=True)[:10]))
    return path


def test_a_plan_writes_nothing_and_names_twelve_books(ringrift, tmp_path):
    code, out, _ = ringrift("--root", tmp_path, "eval", "openings", "build", "--dry-run", "--json")
    books = json.loads(out)["books"]
    assert (code, len(books)) == (0, 12)
    assert {each["openings"] for each in books} == {2000}
    assert {each["hash"] for each in books} == {None}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--config-key", "square9_2p"], "unknown board"),
        (["--min-choices", "9", "--max-choices", "4"], "9 to 4 choices"),
    ],
)
def test_what_cannot_be_built_is_exit_2(ringrift, options, told):
    code, _, err = ringrift("eval", "openings", "build", "--dry-run", *options)
    assert code == 2
    assert told in err


def test_a_book_is_shown_by_parts(ringrift, book):
    code, out, _ = ringrift(
        "eval", "openings", "show", "--book", book, "--part", "reserved", "--limit", 3, "--json"
    )
    told = json.loads(out)
    found = load_book(book)
    assert (code, told["hash"], told["openings"]) == (0, found.hash, 10)
    assert (told["open"], told["reserved"]) == (5, 5)
    reserved = {opening.id for opening in found.part("reserved")}
    assert [each["id"] for each in told["listed"]] == [
        opening.id for opening in found.openings if opening.id in reserved
    ][:3]


def test_one_opening_is_drawn(ringrift, book):
    opening = load_book(book).openings[4]
    code, out, _ = ringrift("eval", "openings", "show", opening.id[:8], "--book", book)
    assert code == 0
    assert f"id: {opening.id}" in out
    assert "y=7:" in out
    code, _, err = ringrift("eval", "openings", "show", "0" * 16, "--book", book)
    assert code == 2
    assert "opening: none starts with" in err


def test_a_sound_book_passes_and_an_illegal_move_is_exit_6_with_line_and_ply(ringrift, book):
    code, out, _ = ringrift("eval", "openings", "check", book, "--json")
    assert code == 0
    assert json.loads(out)["books"][0]["hash"] == load_book(book).hash
    lines = book.read_text().splitlines()
    tree = json.loads(lines[6])
    first, second, *rest = tree["moves"].split(";")
    tree["moves"] = ";".join([first, "P 9,9 1" if second == first else first, *rest])
    lines[6] = json.dumps(tree)
    book.write_text("\n".join([*lines, ""]))
    code, _, err = ringrift("eval", "openings", "check", book)
    assert code == 6
    assert f"({book}:7)" in err
    assert "at ply 1" in err


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_interrupted_it_says_so_and_the_same_line_goes_on(spawn, tmp_path):
    words = ["--root", str(tmp_path), "-y", "eval", "openings", "build"]
    words += ["--config-key", "square8_2p", "--count", "40", "--output", "books"]
    process = spawn(*words)
    trails = tmp_path / "books" / ".candidates"
    deadline_s = time.monotonic() + 200
    while not any(trail.stat().st_size for trail in trails.glob("*.jsonl")):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "0 of 1 books are complete" in err
    process = spawn(*words)
    process.communicate(timeout=300)
    assert process.returncode == 0
    again = build(BuildSettings(config="square8_2p", count=40), tmp_path)
    assert again.path.read_bytes() == (tmp_path / "books" / "square8_2p.jsonl").read_bytes()


@pytest.mark.acceptance
@pytest.mark.timed
@pytest.mark.timeout(600)
def test_a_hundred_openings_take_less_than_two_minutes(spawn, tmp_path):
    words = ["--root", str(tmp_path), "-y", "eval", "openings", "build"]
    began_s = time.monotonic()
    process = spawn(*words, "--config-key", "square8_2p", "--count", "100", "--json")
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert time.monotonic() - began_s < 120
    assert json.loads(out)["books"][0]["openings"] == 100
