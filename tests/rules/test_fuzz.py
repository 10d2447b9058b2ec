"""Mangled texts: a domain error or a correct position, never another exception."""

from __future__ import annotations

import random

import pytest

from ringrift.core.errors import RingriftError
from ringrift.rules import InvalidOption, Position, parse_config

from .playouts import Game, plies, random_games
from .positions import legal, position

STRANGE = "0123456789,;:|=-*+_ .#abcPMCKRLOTEFSNWABCD\t\n\r\x00é٣²−"
WORDS = (
    "ph=", "game_over", "movement", "capture", "chain_capture", "territory_processing", "line_processing", "-", "0",
    "1", "9" * 20, "-1", "4", "5", ";", ";;", "S=", "0,0:1", "0,0:12121212", "4,-4,0:1", "recovery", "line",
    "active", "over", "act=1", "only=0,0", "win=2", "1,1,1,1", ",", " ", "  ", "1.5", "1e3", "True", "nan", "*", "|",
)  # fmt: skip


def mangled(text: str, rng: random.Random) -> str:
    """Change a text in one to three places: single characters, words, or whole fields."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        parts = text.split(rng.choice((";", " ", ",", ":", "|", "=")))
        text = rng.choice(
            (
                text[:at] + rng.choice(STRANGE) + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + rng.choice(STRANGE) + text[at + 1 :],
                text[:at] + rng.choice(WORDS) + text[at:],
                text[:at] + rng.choice(WORDS) + text[min(to, at + 12) :],
                text[:at],
                text[:at] + text[to:],
                text[:to] + text[at:],
                ";".join(rng.sample(parts, len(parts))) if rng.random() < 0.2 else text[::-1],
                text.replace(rng.choice("0123456789:;,"), rng.choice(STRANGE), 1),
                text.replace(rng.choice("12"), rng.choice("1234"), 3),
                swapped_field(text, rng),
            )
        )
    return text


def swapped_field(text: str, rng: random.Random) -> str:
    """Give one `name=value` field another value of the same text, or a word."""
    fields = text.split(";")
    at, other = rng.randrange(len(fields)), rng.choice(fields)
    value = rng.choice((other.partition("=")[2], rng.choice(WORDS)))
    fields[at] = f"{fields[at].partition('=')[0]}={value}"
    return ";".join(fields)


def check_refusal(error: RingriftError, text: str) -> None:
    """Bad data ends a command with code 6 and one line."""
    assert error.exit_code == 6, text
    assert "\n" not in str(error), text


def check_position_text(text: str, game: Game, rng: random.Random) -> bool:
    """Parse; an accepted text must be a position that can be written, read again and played. True if accepted."""
    try:
        pos = Position.parse(text, board=game.board, players=game.players, **game.options)
    except RingriftError as error:
        check_refusal(error, text)
        return False
    assert str(pos) == text.strip(), text
    again = Position.parse(str(pos), board=game.board, players=game.players, **game.options)
    assert (str(again), again.hash64) == (str(pos), pos.hash64)
    for _ in range(4):
        moves = pos.legal_moves()
        if not moves:
            break
        pos.play(rng.choice(moves))
        again = Position.parse(str(pos), board=game.board, players=game.players, **game.options)
        assert str(again) == str(pos), text
    assert pos.is_over == (pos.phase == "game_over")
    return True


def fuzz_positions(wanted: int, seed: int) -> int:
    """Mangle texts of all configurations; return how many were accepted all the same."""
    rng = random.Random(seed)
    tried = accepted = 0
    for number, game in enumerate(random_games(seed)):
        texts = [str(pos) for pos, _ in plies(game, number, 30)]
        for text in rng.sample(texts, min(len(texts), 6)):
            for _ in range(12):
                accepted += check_position_text(mangled(text, rng), game, rng)
                tried += 1
                if tried >= wanted:
                    return accepted
    raise AssertionError


def fuzz_moves(wanted: int, seed: int) -> int:
    """Play mangled move texts: an error that leaves the position as it was, or exactly a legal move's text."""
    rng = random.Random(seed)
    tried = accepted = 0
    for number, game in enumerate(random_games(seed)):
        for pos, _ in plies(game, number, 25):
            texts = [str(move) for move in pos.legal_moves()]
            before = str(pos)
            for _ in range(8):
                text = mangled(rng.choice(texts), rng)
                copy = pos.copy()
                try:
                    copy.play(text)
                except RingriftError as error:
                    check_refusal(error, text)
                    assert str(copy) == before, text
                else:
                    assert text in texts, f"{text!r} was played in {before}"
                    accepted += 1
                tried += 1
                if tried >= wanted:
                    return accepted
    raise AssertionError


def test_mangled_position_texts() -> None:
    accepted = fuzz_positions(3_000, seed=1)
    assert 50 < accepted < 2_000


def test_mangled_move_texts() -> None:
    accepted = fuzz_moves(3_000, seed=2)
    assert 50 < accepted < 2_000


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_mangled_position_texts() -> None:
    fuzz_positions(100_000, seed=3)


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_mangled_move_texts() -> None:
    fuzz_moves(100_000, seed=4)


GOOD = (
    "ph=movement;cur=1;only=3,3;pend=-;act=1;rec=0;st=active;win=0;hand=1,2;elim=0,0;terr=1,0;"
    "S=3,3:21;M=4,4:1;C=0,0:1"
)
MOVING = "ph=movement;cur=1;only=3,3;pend=-;act=1;rec=0;st=active"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("ph=movement", "ph=moving", "ph"), ("ph=movement;", "", "ph"), ("cur=1", "cur=0", "cur"),
        ("cur=1", "cur=3", "cur"), ("cur=1", "cur=01", "cur"), ("only=3,3", "only=9,9", "only"),
        ("only=3,3", "only=5,5", "only"), ("cur=1", "cur=2", "only"), ("pend=-", "pend=line", "pend"),
        ("pend=-", "pend=rent", "pend"), ("act=1", "act=2", "act"), ("rec=0", "rec=", "rec"),
        ("st=active", "st=over", "st"), ("win=0", "win=1", "win"), ("hand=1,2", "hand=1", "hand"),
        ("hand=1,2", "hand=1,2,3", "hand"), ("hand=1,2", "hand=1,-2", "hand"), ("hand=1,2", "hand=1,9999", "hand"),
        ("elim=0,0", "elim=0,x", "elim"), ("terr=1,0", "terr=1,0 ", "terr"), ("S=3,3:21", "S=3,3:23", "S"),
        ("S=3,3:21", "S=3,3:", "S"), ("S=3,3:21", "S=3,3:21 3,3:1", "S"), ("S=3,3:21", "S=3,8:21", "S"),
        ("M=4,4:1", "M=3,3:1", "M"), ("M=4,4:1", "M=4,4:3", "M"), ("M=4,4:1", "M=4,4:1 2,2:1", "M"),
        ("S=3,3:21", f"S=0,1:{'1' * 400} 3,3:{'21' * 60}", "S"), ("hand=1,2", "hand=500,12", "hand"),
        ("only=3,3", "only=0,0", "only"), ("ph=movement", "ph=line_processing", "only"),
        ("ph=movement;cur=1;only=3,3", "ph=capture;cur=1;only=-", "only"),
        ("ph=movement;cur=1;only=3,3", "ph=chain_capture;cur=1;only=-", "only"),
        ("ph=movement;cur=1;only=3,3;pend=-", "ph=line_processing;cur=1;only=-;pend=territory", "pend"),
        ("ph=movement;cur=1;only=3,3;pend=-", "ph=territory_processing;cur=1;only=-;pend=recovery", "pend"),
        (MOVING, "ph=game_over;cur=0;only=-;pend=-;act=1;rec=0;st=over", "act"),
        (MOVING, "ph=game_over;cur=1;only=-;pend=-;act=0;rec=0;st=over", "cur"),
        ("C=0,0:1", "C", "C"), ("S=3,3:21", "S", "S"), ("terr=1,0", "terr", "terr"),
        ("C=0,0:1", "C=4,4:1", "C"), ("C=0,0:1", "C=0,0:0", "C"), ("C=0,0:1", "C=0,0:1;X=", "end"),
    ],
)  # fmt: skip
def test_the_complaint_names_the_field(old: str, new: str, named: str) -> None:
    """One wrong field: one line that names it and what is accepted."""
    assert str(Position.parse(GOOD)) == GOOD
    with pytest.raises(RingriftError) as caught:
        Position.parse(GOOD.replace(old, new))
    assert f"field {named}" in str(caught.value)
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    "text", ["", " ", "P", "P 3,3", "P 3,3 0", "P 3,3 4", "P 3,3 1 1", "P  3,3 1", "p 3,3 1", "P 3,3 1\n", "P 03,3 1",
             "P +3,3 1", "M 3,3", "T", "T ", "T 0,0|", "L 0,0", "L 0,0|5,5", "O 0,0|0,1 *", "O 0,0|1,0|2,0|3,0 9,9",
             "E line", "E house 3,3", "R X 0,0 0,1 0 * 3,3", "R L 0,0 0,1 +1 * 3,3", "F", "K", "\x00",
             "-1", "[]", "None", "P 3,3 1;NM", "M 3,3 4,3 5,3", "R L 0,0 0,1 2 * -"]
)  # fmt: skip
def test_malformed_moves_are_refused_in_one_line(text: str) -> None:
    pos = Position.parse(GOOD)
    with pytest.raises(RingriftError) as caught:
        pos.play(text)
    assert caught.value.exit_code == 6
    assert "\n" not in str(caught.value)
    assert str(pos) == GOOD


@pytest.mark.parametrize(
    "text", ["R  3,3 2,3 0 * 7,7", "R FS 3,3 2,3 0 * 7,7", "R f 3,3 2,3 0 * 7,7", "R F 3,3 2,3 +0 * 7,7",
             "R F 3,3 2,3 00 * 7,7", "R F 3,3 2,3 ٠ * 7,7", "R F 3,3 2,3 0 * 07,7", "R F 3,3 2,3 0_0 * 7,7"]
)  # fmt: skip
def test_a_legal_slide_has_one_text_only(text: str) -> None:
    """`R F 3,3 2,3 0 * 7,7` is legal; texts that merely look alike are not."""
    pos = position(phase="movement", stacks={"4,4": "12", "7,7": "112"}, markers={1: "3,3"})
    assert "R F 3,3 2,3 0 * 7,7" in legal(pos)
    with pytest.raises(RingriftError):
        pos.play(text)


@pytest.mark.parametrize(
    "text", ["L 3,0|2,0|1,0|0,0", "L 0,0|1,0|2,0|3,0|3,0", "O 0,0|1,0|2,0|3,0 *", "O 0,0|1,0|2,0|3,0 0,0|1,0|2,0|3,0",
             "L 0,0|1,0|2,0", "L 0,0|1,0|2,0|3,0|"]
)  # fmt: skip
def test_a_legal_line_has_one_text_only(text: str) -> None:
    """Cells in key order, each once; an exact line is processed, not chosen from (9.3)."""
    pos = position("a a a a", phase="line_processing", stacks={"7,7": "1"})
    assert legal(pos) == {"L 0,0|1,0|2,0|3,0"}
    with pytest.raises(RingriftError):
        pos.play(text)


@pytest.mark.parametrize(
    "text", ["T 0,1|0,0|1,0", "T 0,0|0,1", "T 0,0|0,1|1,0|", "T 0,0", "T 0,0|0,1|1,0|1,0"]
)
def test_a_legal_region_has_one_text_only(text: str) -> None:
    pos = position(". . a\n. a\na", phase="territory_processing", stacks={"7,7": "1", "5,6": "2"})
    assert legal(pos) == {"T 0,0|0,1|1,0", "ST"}
    with pytest.raises(RingriftError):
        pos.play(text)


@pytest.mark.parametrize("packed", [-1, 0, 1, 31, 2**40, 2**62, 2**63, -(2**70)])
def test_integers_that_are_no_legal_move_are_refused(packed: int) -> None:
    pos = position(stacks={"3,3": "1", "7,7": "2"}, phase="movement")
    with pytest.raises(RingriftError):
        pos.play(packed)


@pytest.mark.parametrize(
    "text",
    [
        "square8",
        "square8_5p",
        "square8_1p",
        "square8_²p",
        "square8_٢p",
        "_2p",
        "square8_2",
        "",
        "ring_2p",
    ],
)
def test_configuration_names_are_checked(text: str) -> None:
    with pytest.raises(InvalidOption):
        parse_config(text)
