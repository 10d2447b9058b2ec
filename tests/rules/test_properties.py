"""What holds in every game: the self-checks of rules.md 22, round trips, the codec, the hash."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringrift.rules import Position
from ringrift.rules.codec import layout_hash

from .playouts import Game, plies, random_games, random_options
from .positions import CONFIGURATIONS, RINGS, field, legal, play

QUIET = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
ENDS_A_TURN = ("NT", "ST", "E territory", "E recovery", "F")
CHOICES = st.lists(st.integers(0, 2**31), min_size=40, max_size=240)


def chosen(pos: Position, choice: int) -> str:
    """Read one drawn number as a move: odd numbers choose the kind of move first."""
    texts = sorted(legal(pos))
    if choice % 2:
        kinds = sorted({text.split()[0] for text in texts})
        texts = [text for text in texts if text.split()[0] == kinds[choice // 2 % len(kinds)]]
    return texts[choice // 256 % len(texts)]


def started(board: str, players: int, seed: int) -> tuple[Position, int]:
    """A start position with random options, and its rings per player."""
    options = random_options(board, players, random.Random(seed))
    rings = options.get("rings_per_player", RINGS[board])
    return Position.start(board, players=players, **options), rings


def rings_by_colour(pos: Position) -> Counter[int]:
    """Rings in hand and in stacks."""
    count = Counter(dict(enumerate(pos.hands, start=1)))
    for rings in pos.stacks.values():
        count.update(map(int, rings))
    return count


def check_state(pos: Position, rings: int) -> None:
    """22.2 and 22.6, and how a position agrees with itself."""
    cells = [*pos.stacks, *pos.markers, *pos.collapsed]
    assert len(cells) == len(set(cells))
    seats = range(1, len(pos.hands) + 1)
    assert pos.territory == tuple(list(pos.collapsed.values()).count(seat) for seat in seats)
    left = rings_by_colour(pos)
    assert all(left[seat] <= rings for seat in seats)
    assert rings * len(pos.hands) - left.total() == sum(pos.eliminated)
    assert (pos.result is None) != pos.is_over
    if pos.is_over:
        assert (pos.phase, pos.current_player, field(pos, "st")) == ("game_over", 0, "over")
        assert len(pos.result.ranking) == len(pos.hands)
        assert pos.result.ranking[pos.winner - 1] == 1
        assert pos.result.ranking.count(1) == 1


def check_legal_set(pos: Position) -> None:
    """22.3 and 22.4, and the kinds of moves that each phase knows (5)."""
    moves = legal(pos)
    kinds = {text.split()[0] for text in moves}
    assert bool(moves) != pos.is_over
    allowed = {
        "ring_placement": {"P", "SP", "NP", "SW"},
        "movement": {"M", "C", "R", "SR", "NM"},
        "capture": {"C", "SC"},
        "chain_capture": {"K"},
        "line_processing": {"L", "O", "E", "NL"},
        "territory_processing": {"T", "ST", "E", "NT"},
        "forced_elimination": {"F"},
        "game_over": set(),
    }[pos.phase]
    assert kinds <= allowed
    for alone in ("NP", "NM", "NL", "NT"):
        assert alone not in moves or moves <= {alone, "SW"}
    only = field(pos, "only")
    if only != "-" and pos.phase in ("movement", "chain_capture"):
        assert {text.split()[1] for text in moves} == {only}
    if pos.phase in ("line_processing", "territory_processing"):
        assert (kinds == {"E"}) == (field(pos, "pend") != "-")


def check_step(before: Position, text: str, pos: Position) -> None:
    """22.2, 22.5 and 22.7 across one move."""
    colours = rings_by_colour(before)
    assert all(count <= colours[seat] for seat, count in rings_by_colour(pos).items())
    assert all(new >= old for old, new in zip(before.eliminated, pos.eliminated, strict=True))
    assert before.collapsed.items() <= pos.collapsed.items()
    for seat, (old, new) in enumerate(zip(before.eliminated, pos.eliminated, strict=True), start=1):
        assert new == old or seat == before.current_player
    if pos.is_over or pos.current_player != before.current_player:
        assert text.startswith(ENDS_A_TURN)
    if text.startswith(("E territory", "E recovery")):
        assert pos.phase in ("territory_processing", "ring_placement", "game_over")
    assert (pos.last_border is not None) == text.startswith("T ")


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_invariants_of_play(board: str, players: int) -> None:
    """22.2 to 22.7 on every position of random games with few and with many rings."""

    @settings(QUIET, max_examples=20 if board.endswith("8") else 8)
    @given(seed=st.integers(0, 2**16), choices=CHOICES)
    def holds(seed: int, choices: list[int]) -> None:
        pos, rings = started(board, players, seed)
        check_state(pos, rings)
        for choice in choices:
            check_legal_set(pos)
            if pos.is_over:
                break
            text = chosen(pos, choice)
            following = pos.after(text)
            check_step(pos, text, following)
            check_state(following, rings)
            pos = following

    holds()


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_long_games_end_and_hold_their_invariants(board: str, players: int) -> None:
    """Games with three rings each are played to their end, recovery and eliminations included."""
    options = {"rings_per_player": 3, "lps_rounds": 2}
    for seed in range(3):
        before, last = None, ""
        for pos, text in plies(Game(board=board, players=players, options=options), seed, 1500):
            if before is not None:
                check_step(before, last, pos)
            check_state(pos, 3)
            before, last = pos.copy(), text
        assert before is not None
        assert before.after(last).is_over


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_canonical_text_round_trip(board: str, players: int) -> None:
    """A parsed text gives the same text, the same legal set and the same next states."""

    @settings(QUIET, max_examples=12 if board.endswith("8") else 3)
    @given(seed=st.integers(0, 2**16), choices=CHOICES)
    def holds(seed: int, choices: list[int]) -> None:
        options = random_options(board, players, random.Random(seed)) | {"swap_rule": False}
        pos = Position.start(board, players=players, **options)
        for ply, choice in enumerate(choices):
            again = Position.parse(str(pos), board=board, players=players, **options)
            assert str(again) == str(pos)
            assert again.fingerprint == pos.fingerprint
            assert legal(again) == legal(pos)
            if pos.is_over:
                break
            text = chosen(pos, choice)
            pos.play(text)
            if ply % 3 == 0 and not pos.is_over:
                again.play(text)
                assert str(again) == str(pos)

    holds()


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_after_leaves_the_original_untouched(board: str, players: int) -> None:
    rng = random.Random(f"{board}{players}")
    pos, _ = started(board, players, seed=5)
    for _ in range(60):
        if pos.is_over:
            break
        texts = sorted(legal(pos))
        before = (str(pos), pos.lps, pos.hash64, pos.last_border, pos.current_player)
        following = pos.after(rng.choice(texts))
        twin = pos.copy()
        twin.play(rng.choice(texts))
        assert (str(pos), pos.lps, pos.hash64, pos.last_border, pos.current_player) == before
        assert sorted(legal(pos)) == texts
        pos = following


def test_moves_are_accepted_as_objects_and_as_texts() -> None:
    pos = Position.start("hexagonal", players=4)
    for move in pos.legal_moves()[::97]:
        assert str(pos.after(move)) == str(pos.after(str(move)))


def test_codec_is_one_to_one_on_every_legal_set() -> None:
    """Packed integers and texts name the same moves, each move once (design.md 5)."""
    seen: set[str] = set()
    for number, game in zip(range(36), random_games(seed=11), strict=False):
        for pos, _ in plies(game, number, 40):
            moves = pos.legal_moves()
            packed = [move.packed for move in moves]
            assert len(set(packed)) == len(packed)
            assert len({str(move) for move in moves}) == len(moves)
            assert all(0 <= value < 2**63 for value in packed)
            kinds: dict[str, Any] = {}
            for move in moves:
                kinds.setdefault(
                    " ".join(str(move).split()[:2]) if str(move)[0] in "RE" else str(move)[0], move
                )
            for move in (*kinds.values(), *moves[:: max(1, len(moves) // 9)]):
                assert pos.pack(str(move)) == move.packed
                assert pos.move_text(move.packed) == str(move)
            seen |= {str(move).split()[0] for move in moves}
    assert seen >= {
        "P",
        "SP",
        "NP",
        "M",
        "C",
        "K",
        "SC",
        "NM",
        "R",
        "SR",
        "L",
        "O",
        "NL",
        "T",
        "ST",
        "NT",
        "E",
        "F",
    }


def test_codec_packs_a_move_alike_in_every_position() -> None:
    """All but regions: the integer belongs to the text, not to the position."""
    known: dict[tuple[str, str], int] = {}
    for number, game in zip(range(24), random_games(seed=3), strict=False):
        spec = f"{game.board} {game.players} {game.options.get('base_line_length')}"
        for pos, _ in plies(game, number, 30):
            for move in pos.legal_moves():
                if not str(move).startswith("T "):
                    assert known.setdefault((spec, str(move)), move.packed) == move.packed
    assert len(known) > 5_000


def test_layout_hash_is_sixty_four_hex_digits() -> None:
    assert len(layout_hash) == 64
    assert set(layout_hash) <= set("0123456789abcdef")


def collect_hashes(wanted: int, seed: int) -> int:
    """Visit so many positions; equal hashes must mean equal legal sets. Return how many hashes recurred."""
    known: dict[tuple[str, int, str], dict[int, tuple[int, str]]] = {}
    visited = repeated = 0
    for number, game in enumerate(random_games(seed)):
        table = known.setdefault((game.board, game.players, str(sorted(game.options.items()))), {})
        for pos, _ in plies(game, number % 7 + seed, 60):
            moves = hash(frozenset(move.packed for move in pos.legal_moves()))
            entry = (moves, str(pos) if len(pos.stacks) < 3 else "")
            known_entry = table.setdefault(pos.hash64, entry)
            repeated += known_entry is not entry
            assert known_entry[0] == moves, f"{game}: {pos}"
            visited += 1
            if visited >= wanted:
                return repeated
    raise AssertionError


def test_equal_hash_means_equal_legal_set() -> None:
    assert collect_hashes(5_000, seed=1) > 0


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_equal_hash_means_equal_legal_set_on_many_positions() -> None:
    collect_hashes(100_000, seed=100)


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_transpositions_share_a_hash(board: str, players: int) -> None:
    """Two turns of player 1 in either order: where text and counters agree, so do hash and legal set."""
    rng = random.Random(7)
    found = 0
    for _ in range(200):
        if found == 3:
            break
        start = Position.start(board, players=players)
        turns = [random_turn(start, rng) for _ in range(2 * players)]
        first, second = 0, players
        swapped = list(turns)
        swapped[first], swapped[second] = turns[second], turns[first]
        ends = [play_turns(start, order) for order in (turns, swapped)]
        if None in ends or str(ends[0]) != str(ends[1]) or ends[0].lps != ends[1].lps:
            continue
        found += 1
        assert ends[0].hash64 == ends[1].hash64
        assert legal(ends[0]) == legal(ends[1])
    assert found == 3


def random_turn(pos: Position, rng: random.Random) -> str:
    """A placement and the shortest kind of move after it."""
    place = rng.choice(
        sorted(text for text in legal(pos) if text.startswith("P") and text.endswith(" 1"))
    )
    moves = sorted(text for text in legal(play(pos, place)) if text.startswith("M"))
    return f"{place}; {rng.choice(moves)}"


def play_turns(pos: Position, turns: list[str]) -> Position | None:
    """Play the turns one after the other, without captures; None where one is not legal."""
    for turn in turns:
        for text in (*turn.split("; "), "SC", "NL", "NT"):
            if text == "SC" and pos.phase != "capture":
                continue
            if text not in legal(pos):
                return None
            pos = pos.after(text)
    return pos


def test_hash_tells_apart_what_the_legal_set_depends_on() -> None:
    """Must-move cell, chain, debts, flags, hands, ring order, owner: one change, another hash."""
    base = {
        "ph": "movement", "cur": "1", "only": "-", "pend": "-", "act": "0", "rec": "0", "st": "active", "win": "0",
        "hand": "1,1", "elim": "0,0", "terr": "0,0", "S": "0,0:12 3,3:21 5,5:1", "M": "1,1:1 2,2:2", "C": "7,7:1",
    }  # fmt: skip
    changes: list[dict[str, str]] = [
        {}, {"only": "3,3", "act": "1"}, {"only": "5,5", "act": "1"}, {"act": "1"}, {"cur": "2"}, {"hand": "1,2"},
        {"hand": "2,1"}, {"S": "0,0:21 3,3:21 5,5:1"}, {"S": "0,0:12 3,3:211 5,5:1"}, {"M": "1,1:2 2,2:2"},
        {"M": "1,1:1"}, {"C": "7,7:2"}, {"C": ""}, {"ph": "ring_placement"}, {"elim": "1,0"},
        {"ph": "capture", "only": "3,3", "act": "1"}, {"ph": "chain_capture", "only": "3,3", "act": "1"},
        {"ph": "line_processing", "act": "1"}, {"ph": "line_processing", "act": "1", "pend": "line"},
        {"ph": "line_processing", "act": "1", "rec": "1"}, {"ph": "territory_processing", "act": "1"},
        {"ph": "territory_processing", "act": "1", "rec": "1"}, {"ph": "territory_processing", "act": "0"},
        {"ph": "territory_processing", "act": "1", "pend": "territory"},
        {"ph": "territory_processing", "act": "1", "rec": "1", "pend": "recovery"},
        {"ph": "forced_elimination"},
    ]  # fmt: skip
    texts = [
        ";".join(f"{name}={value}" for name, value in (base | change).items()) for change in changes
    ]
    hashes = {Position.parse(text, board="square8", players=2).hash64 for text in texts}
    assert len(hashes) == len(texts) == len(set(texts))
    assert hashes == {Position.parse(text, board="square8", players=2).hash64 for text in texts}


def test_hash_covers_the_round_counters() -> None:
    """The same text with other counters is another position: the next turn may end the game."""
    pos = play(Position.parse(
        "ph=ring_placement;cur=1;only=-;pend=-;act=0;rec=0;st=active;win=0;hand=0,0;elim=0,0;terr=0,0;S=0,0:21;M=;C=",
        board="square8", players=2,
    ), "NP; M 0,0 2,0; NL; NT")  # fmt: skip
    fresh = Position.parse(str(pos), board="square8", players=2)
    assert str(fresh) == str(pos)
    assert fresh.lps != pos.lps
    assert fresh.hash64 != pos.hash64
