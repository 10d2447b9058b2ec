"""The record, its ids and its two encodings: lossless, canonical, refusing everything else."""

import copy
import dataclasses
import json
import pickle
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringrift.core.errors import DataError, UsageError
from ringrift.records import (
    AgentRef,
    GameMeta,
    PlyAnalysis,
    VerificationError,
    analysis_from_bytes,
    analysis_from_json,
    analysis_to_bytes,
    analysis_to_json,
    build_record,
    default_max_plies,
    from_bytes,
    from_json,
    quantize,
    read_jsonl,
    seat_values,
    to_bytes,
    to_json,
    write_jsonl,
)
from ringrift.records.ply_analysis import POLICY_TOTAL, unit
from ringrift.records.varints import pack_numbers, unpack_numbers
from ringrift.rules import BoardSpec, Position

from .conftest import agents, make_analysis, make_game

GAME = make_game(seed=5)
SEARCHED = make_analysis(GAME)


def changed(record, **fields):
    return dataclasses.replace(record, **fields)


# --- identity


def test_the_id_covers_what_identifies_a_game_and_nothing_else():
    other = AgentRef(spec="random", agent_hash="f" * 64)
    kept = [
        changed(GAME, meta=GameMeta(host="elsewhere", ms=3)),
        changed(GAME, marks={}),
        changed(GAME, agents=tuple(dataclasses.replace(a, spec="renamed") for a in GAME.agents)),
    ]
    differing = [
        changed(GAME, seed=6),
        changed(GAME, moves=GAME.moves[:-1]),
        changed(GAME, agents=(GAME.agents[0], other)),
        changed(GAME, agents=GAME.agents[::-1]),
        changed(GAME, start=str(Position.of(GAME.spec))),
        changed(GAME, spec=BoardSpec.create("square8", 2, lps_rounds=4)),
    ]
    assert {record.id for record in kept} == {GAME.id}
    assert len({record.id for record in [GAME, *differing]}) == 7
    assert len(GAME.id) == 64


def test_the_id_of_a_known_game_never_changes():
    # Golden: ids name games in stores, matches and decisions; a new value here orphans them all.
    position, moves = Position.start("square8"), []
    for text in ("P 3,3 2", "M 3,3 3,6", "NL", "NT", "P 5,5 1", "M 5,5 2,2"):
        moves.append(position.pack(text))
        position.play(text)
    known = build_record(position.spec, 7, agents(2), moves, max_plies=6)
    assert known.id == "64b94f9e91deae2f37c3f929aa6db806e7f949fa1f58c56879d66d5f841caf19"
    assert known.result.final_hash == "591e78db7c5b14ab"
    assert known.check == (0xD32CD35C44992FCD,)


# --- building


def test_the_result_is_computed(any_game):
    result = any_game.result
    assert result.end == "game_over"
    assert result.ranks[result.winner - 1] == 1
    assert sum(result.values) == pytest.approx(0)
    assert result.values[result.winner - 1] == max(result.values)
    assert result.plies == len(any_game.moves)
    assert len(any_game.check) == -(-result.plies // 16)


def test_a_limit_is_an_end_without_values():
    record = make_game(seed=1, limit=20)
    assert (record.result.end, record.result.reason) == ("max_plies", "timeout")
    assert (record.result.winner, record.result.ranks, record.result.values) == (0, (), None)


def test_an_abort_and_a_resignation_say_so():
    spec, moves = GAME.spec, GAME.moves[:10]
    aborted = build_record(spec, 1, agents(2), moves, end="aborted", reason="agent failed")
    assert aborted.result.reason == "abort:agent failed"
    resigned = build_record(spec, 1, agents(2), moves, end="resigned", resigned=1)
    assert (resigned.result.winner, resigned.result.ranks) == (2, (2, 1))
    assert resigned.result.values == (-1.0, 1.0)


@pytest.mark.parametrize(
    "end",
    [
        {"end": None},
        {"end": "game_over"},
        {"end": "max_plies"},
        {"end": "resigned"},
        {"end": "resigned", "resigned": 3},
    ],
)
def test_an_end_that_does_not_fit_is_refused(end):
    with pytest.raises(UsageError):
        build_record(GAME.spec, 1, agents(2), GAME.moves[:10], **end)


def test_an_illegal_move_is_named_with_its_ply():
    moves = list(GAME.moves)
    moves[7] = 1 << 30
    with pytest.raises(VerificationError) as caught:
        build_record(GAME.spec, 1, agents(2), moves)
    assert (caught.value.reason, caught.value.ply) == ("illegal_move", 7)
    for wild in (-1, 1 << 40, 1 << 62, (1 << 40) - 1, 511 << 5 | 17, 511 << 5 | 5):
        moves[7] = wild
        with pytest.raises(VerificationError) as caught:
            build_record(GAME.spec, 1, agents(2), moves)
        assert (caught.value.reason, caught.value.ply) == ("illegal_move", 7)


def test_limits_by_configuration():
    limits = [
        default_max_plies(BoardSpec.create(b, n)) for b in ("hex8", "square19") for n in (2, 4)
    ]
    assert limits == [500, 1200, 1200, 2000]


@pytest.mark.parametrize(
    ("ranks", "values"),
    [
        ((1, 2), (1, -1)),
        ((2, 1, 3), (0, 1, -1)),
        ((1, 2, 2), (1, -0.5, -0.5)),
        ((1, 2, 3, 4), (1, 1 / 3, -1 / 3, -1)),
        ((1, 2, 2, 4), (1, 0, 0, -1)),
    ],
)
def test_values_follow_the_ranks(ranks, values):
    assert seat_values(ranks) == pytest.approx(values)


# --- quantised policies


@given(
    st.dictionaries(
        st.integers(0, (1 << 40) - 1), st.floats(0, 1e6, allow_subnormal=False), min_size=1
    ).filter(lambda policy: sum(policy.values()) > 0)
)
def test_a_policy_is_rounded_to_its_total(policy):
    rounded = quantize(policy)
    total = sum(policy.values())
    assert sum(rounded.values()) == POLICY_TOTAL
    for move, weight in policy.items():
        assert abs(rounded.get(move, 0) - weight / total * POLICY_TOTAL) < 1
    assert quantize(rounded) == rounded


@pytest.mark.parametrize("weights", [{}, {1: 0.0}, {1: -1.0, 2: 2.0}, {1: float("nan")}])
def test_weights_that_are_no_distribution_are_refused(weights):
    with pytest.raises((DataError, ValueError)):
        quantize(weights)


# --- bytes


@given(st.lists(st.integers(0, (1 << 40) - 1)))
@example([0, 127, 128, (1 << 35) - 1, 1 << 35, (1 << 40) - 1])
def test_numbers_survive_packing(numbers):
    assert unpack_numbers(pack_numbers(numbers), "here") == numbers


@given(st.binary(max_size=40))
def test_any_bytes_are_numbers_or_an_error(data):
    try:
        numbers = unpack_numbers(data, "here")
    except VerificationError:
        return
    assert all(0 <= number < 1 << 40 for number in numbers)


def test_bytes_and_json_are_lossless(any_game):
    analysis = make_analysis(any_game, every=7)
    data = to_bytes(any_game)
    assert from_bytes(data) == any_game
    assert to_bytes(from_bytes(data)) == data
    line = to_json(any_game)
    assert from_json(line) == any_game
    assert to_json(from_json(line)) == line
    assert analysis_from_bytes(analysis_to_bytes(analysis)) == analysis
    line = analysis_to_json(analysis, any_game)
    again = analysis_from_json(line, any_game)
    assert again == analysis
    assert analysis_to_json(again, any_game) == line
    assert again.id == analysis.id


def test_a_start_position_survives(game):
    position = Position.of(GAME.spec)
    for move in GAME.moves[:12]:
        position.play(move)
    spec, start = GAME.spec, str(position)
    follow = Position.parse(start, spec=spec)
    moves = []
    while not follow.is_over and len(moves) < 60:
        moves.append(int(follow.legal_packed()[0]))
        follow.play(moves[-1])
    limit = None if follow.is_over else len(moves)
    record = build_record(spec, 9, agents(2), moves, start=start, max_plies=limit)
    assert from_bytes(to_bytes(record)) == record == from_json(to_json(record))
    assert record.id != build_record(spec, 9, agents(2), GAME.moves).id


def test_sizes_stay_within_the_limits():
    games = [make_game(seed=seed) for seed in range(20)]
    assert max(len(to_bytes(record)) for record in games) <= 2_000
    full, searches = 0, 0
    for record in games:
        search = make_analysis(record, every=1, entries=40)
        plies = tuple(
            dataclasses.replace(p, visits=None, nodes=None, depth=None, ms=None, prior_kl=None)
            for p in search.plies
            if len(p.policy) == 40
        )
        searches += len(plies)
        full += len(analysis_to_bytes(dataclasses.replace(search, plies=plies)))
    assert searches > 100
    assert 100 * full / searches + 1_000 <= 24_000  # 100 searched plies of 40 entries


@pytest.mark.parametrize("seed", range(3))
def test_every_flipped_byte_is_refused(seed):
    rng = random.Random(seed)
    record, analysis = make_game(seed=seed, limit=30), None
    analysis = make_analysis(record, every=5, entries=4)
    for data, decode in (
        (to_bytes(record), from_bytes),
        (analysis_to_bytes(analysis), analysis_from_bytes),
    ):
        for at in range(len(data)):
            altered = bytearray(data)
            altered[at] ^= rng.randrange(1, 256)
            with pytest.raises(DataError):
                decode(bytes(altered))
        for cut in range(len(data)):
            with pytest.raises(DataError):
                decode(data[:cut])
        with pytest.raises(DataError):
            decode(data + b"\0")


@given(st.binary(max_size=200))
def test_foreign_bytes_are_a_data_error(data):
    for decode in (from_bytes, analysis_from_bytes):
        with pytest.raises(DataError):
            decode(data)


# --- JSON


def test_a_line_has_the_documented_fields():
    line = json.loads(to_json(GAME))
    assert list(line) == [
        "type",
        "format",
        "id",
        "rules",
        "spec",
        "max_plies",
        "start",
        "seed",
        "agents",
        "moves",
        "marks",
        "result",
        "check",
        "meta",
    ]
    assert line["type"] == "game"
    assert line["format"] == "ringrift.game/1"
    assert line["agents"][0]["kind"] == "gumbel"
    assert line["moves"].split(";")[0].startswith("P ")
    position = Position.of(GAME.spec)
    for text in line["moves"].split(";"):
        position.play(text)
    assert position.fingerprint == line["result"]["final_hash"]


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([[], {}, "\ud800", "x" * 2000, [1, 2], {"a": 1}]),
)


def paths(tree, here=()):
    yield here
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*here, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*here, key))


def put(tree, path, value):
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value


def refused_or_equal(text, decode, expected):
    try:
        found = decode(text)
    except DataError as error:
        complaint = error
    else:
        assert found == expected
        return
    assert str(complaint.where).startswith("f.jsonl:7")
    assert "\n" not in str(complaint)


GAME_TREE = json.loads(to_json(GAME))
SEARCH_TREE = json.loads(analysis_to_json(SEARCHED, GAME))


@given(st.data())
@pytest.mark.parametrize("which", ["game", "analysis"])
def test_a_mutated_line_is_refused_or_equal(which, data):
    tree = GAME_TREE if which == "game" else SEARCH_TREE
    path = data.draw(st.sampled_from([p for p in paths(tree) if p]))
    value = data.draw(LEAVES)
    mutant = copy.deepcopy(tree)
    put(mutant, path, value)
    text = json.dumps(mutant)
    if which == "game":
        refused_or_equal(text, lambda t: from_json(t, where="f.jsonl:7"), GAME)
    else:
        refused_or_equal(text, lambda t: analysis_from_json(t, GAME, where="f.jsonl:7"), SEARCHED)


@given(st.data())
def test_an_altered_character_is_refused_or_equal(data):
    line = to_json(GAME).encode()
    at = data.draw(st.integers(0, len(line) - 1))
    by = data.draw(st.integers(0, 255))
    altered = line[:at] + bytes([by]) + line[at + 1 :]
    refused_or_equal(altered, lambda t: from_json(t, where="f.jsonl:7"), GAME)


@given(
    st.one_of(
        st.binary(max_size=100), st.text(max_size=100).map(lambda t: t.encode("utf-8", "replace"))
    )
)
@example(b"[" * 100_000)
@example(b'{"type":' + b"[" * 100_000)
@example(b'{"type":"game","meta":' + b"[" * 100_000)
def test_foreign_text_is_a_data_error(text):
    for decode in (from_json, lambda t, where: analysis_from_json(t, GAME, where=where)):
        with pytest.raises(DataError) as caught:
            decode(text, where="f.jsonl:7")
        assert str(caught.value.where).startswith("f.jsonl:7")


@pytest.mark.parametrize(
    ("path", "value", "reason", "field"),
    [
        (("format",), "ringrift.game/2", "malformed", "format"),
        (("extra",), 1, "malformed", "extra"),
        (("result", "extra"), 1, "malformed", "result"),
        (("seed",), -1, "malformed", "seed"),
        (("seed",), 1 << 64, "malformed", "seed"),
        (("seed",), "1", "malformed", "seed"),
        (("spec", "board"), "hex9", "unknown_board", "spec"),
        (("spec", "players"), 5, "bad_players", "spec.players"),
        (("spec", "rings_per_player"), 19, "spec", "spec"),
        (("spec", "ring_threshold"), 19, "spec", "spec.ring_threshold"),
        (("rules", "version"), "0", "rules_version", "rules.version"),
        (("agents", 0, "seat"), 2, "malformed", "agents[0].seat"),
        (("agents", 0, "kind"), "random", "malformed", "agents[0].kind"),
        (("agents", 0, "agent_hash"), "abc", "malformed", "agents[0].agent_hash"),
        (("marks", "900"), "random", "malformed", "marks"),
        (("marks", "0"), "guess", "malformed", "marks.0"),
        (("result", "plies"), 3, "result", "result.plies"),
        (("check", "hashes", 0), "0", "malformed", "check.hashes[0]"),
        (("meta", "purpose"), "fun", "malformed", "meta.purpose"),
        (("meta", "host"), "a\nb", "malformed", "meta.host"),
        (("meta", "ms"), -1, "malformed", "meta.ms"),
        (("meta", "ms"), 99, "malformed", "check.digest"),
        (("id",), "0" * 64, "id_mismatch", "id"),
    ],
)
def test_the_reason_and_the_field_are_named(path, value, reason, field):
    mutant = copy.deepcopy(GAME_TREE)
    put(mutant, path, value)
    with pytest.raises(VerificationError) as caught:
        from_json(json.dumps(mutant), where="f.jsonl:7")
    assert caught.value.reason == reason
    assert caught.value.where.startswith("f.jsonl:7 field") or "extra" in field
    assert field in f"{caught.value.where} {caught.value.detail}"
    assert caught.value.exit_code == 6


def test_bad_moves_are_named_with_their_ply():
    for text, ply in (("X 1,1", 4), ("M 9,9 0,0", 4), ("T 0,0", 4)):
        mutant = copy.deepcopy(GAME_TREE)
        moves = mutant["moves"].split(";")
        moves[ply] = text
        mutant["moves"] = ";".join(moves)
        with pytest.raises(VerificationError) as caught:
            from_json(json.dumps(mutant))
        assert (caught.value.reason, caught.value.ply) == ("illegal_move", ply)


def test_a_policy_key_that_is_not_legal_is_an_error():
    mutant = copy.deepcopy(SEARCH_TREE)
    policy = mutant["plies"][1]["policy"]
    policy["NL"] = policy.pop(next(iter(policy)))
    with pytest.raises(VerificationError) as caught:
        analysis_from_json(json.dumps(mutant), GAME, where="f.jsonl:2")
    assert caught.value.reason == "bad_policy"
    assert caught.value.ply == mutant["plies"][1]["ply"]
    assert "plies[1].policy" in caught.value.where


def test_a_search_without_finite_values_is_refused():
    with pytest.raises(VerificationError):
        PlyAnalysis(
            ply=0,
            kind="full",
            sims=1,
            value=(float("nan"), 0),
            root_value=(0, 0),
            policy={1: 65535},
        )


# --- files


def test_a_file_comes_back(tmp_path, two_games):
    path = tmp_path / "games.jsonl"
    first, second = two_games
    analyses = [make_analysis(first), make_analysis(first, sims=32)]
    assert write_jsonl(path, [(first, analyses), (second, [])]) == 2
    assert list(read_jsonl(path)) == [(first, analyses[0]), (first, analyses[1]), (second, None)]


@pytest.mark.parametrize(
    "bad",
    ["", "{}", "[1]", '{"type":"note"}', '{"type":7}', "\x00", "nonsense", '{"type":"game"}'],
)
def test_a_bad_line_is_named(tmp_path, bad):
    path = tmp_path / "games.jsonl"
    path.write_text(f"{to_json(GAME)}\n{bad}\n{to_json(GAME)}\n", encoding="utf-8")
    reader = read_jsonl(path)
    with pytest.raises(DataError) as caught:
        list(reader)
    assert str(caught.value.where).startswith(f"{path}:2")


def test_an_analysis_needs_its_game(tmp_path):
    path = tmp_path / "games.jsonl"
    path.write_text(analysis_to_json(SEARCHED, GAME) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="game before its analysis"):
        list(read_jsonl(path))
    other = make_game(seed=6)
    path.write_text(f"{to_json(other)}\n{analysis_to_json(SEARCHED, GAME)}\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(read_jsonl(path))
    assert str(caught.value.where).startswith(f"{path}:2")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl"):
        list(read_jsonl(tmp_path / "none.jsonl"))


def test_an_error_survives_the_way_between_processes():
    error = VerificationError("hash", "found a; expected b", ply=15, where="field check")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason, again.ply, again.where) == (
        str(error),
        "hash",
        15,
        "field check",
    )
    assert pickle.loads(pickle.dumps(GAME)) == GAME


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.8e306, 1.8e307])
def test_a_value_beyond_what_an_analysis_stores_is_refused(value):
    with pytest.raises(DataError, match="finite number"):
        unit(value)
