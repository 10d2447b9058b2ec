"""Verification: an untouched record passes, a changed one is refused with the reason and the ply."""

import dataclasses
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringrift.core.errors import RingriftError
from ringrift.records import Replayer, VerificationError, build_record, verify
from ringrift.records.record import AgentRef, GameMeta
from ringrift.records.verify import play_hash, verified_play
from ringrift.rules import BoardSpec, Position
from ringrift.rules.moves import NO_LINE, NO_MOVE, NO_PLACE, NO_REGION

from .conftest import agents, make_analysis, make_game

GAME = make_game(seed=5)
SEARCHED = make_analysis(GAME)
RESIGNED = build_record(GAME.spec, 1, agents(2), GAME.moves[:20], end="resigned", resigned=1)


def changed(record, **fields):
    return dataclasses.replace(record, **fields)


def with_result(record, **fields):
    return changed(record, result=dataclasses.replace(record.result, **fields))


def refusal(record, analysis=None):
    with pytest.raises(VerificationError) as caught:
        verify(record, analysis)
    return caught.value


def test_what_was_built_verifies(any_game):
    verify(any_game)
    verify(any_game, make_analysis(any_game))


@pytest.mark.parametrize("seed", range(30))
def test_games_of_every_length_verify(seed):
    for limit in (1, 15, 16, 17, 33):
        verify(make_game("hex8", 2, seed=seed, limit=limit))
    verify(make_game("square8", 2 + seed % 3, seed=seed, swap_rule=seed % 3 == 0))


@pytest.mark.parametrize(
    "fields",
    [
        {"winner": 0},
        {"winner": 3 - GAME.result.winner},
        {"reason": "lps_rounds" if GAME.result.reason != "lps_rounds" else "territory_control"},
        {"ranks": GAME.result.ranks[::-1]},
        {"ranks": ()},
        {"values": GAME.result.values[::-1]},
        {"values": None},
        {"values": (float("nan"), 0.0)},
        {"final_hash": "0" * 16},
        {"elim": (99, 0)},
        {"terr": (99, 0)},
        {"hand": (99, 0)},
        {"end": "max_plies"},
    ],
)
def test_a_changed_result_is_refused(fields):
    error = refusal(with_result(GAME, **fields))
    assert error.reason == "result"
    assert error.ply == len(GAME.moves) - 1


@pytest.mark.parametrize(
    "fields", [{"end": "aborted"}, {"end": "aborted", "reason": "abort:agent failed"}]
)
def test_an_aborted_game_is_refused_as_such(fields):
    assert refusal(with_result(GAME, **fields)).reason == "error_status"


def test_other_ends_are_checked():
    verify(RESIGNED)
    cut = make_game(seed=5, limit=20)
    verify(cut)
    assert refusal(changed(cut, max_plies=21)).reason == "result"
    assert refusal(with_result(cut, end="game_over")).reason == "result"
    assert refusal(with_result(RESIGNED, winner=0)).reason == "result"
    assert refusal(with_result(RESIGNED, winner=1)).reason == "result"
    assert refusal(changed(GAME, max_plies=3)).reason == "malformed"


def test_a_wrong_hash_is_named_with_its_ply():
    for i in range(len(GAME.check)):
        check = list(GAME.check)
        check[i] ^= 1
        error = refusal(changed(GAME, check=tuple(check)))
        assert error.reason == "hash"
        assert error.ply == min(16 * i + 15, len(GAME.moves) - 1)
    assert refusal(changed(GAME, check=GAME.check[:-1])).reason == "malformed"


def test_a_game_without_moves_and_one_that_goes_on_are_refused():
    empty = with_result(changed(GAME, moves=(), check=(), marks={}), plies=0)
    assert refusal(empty).reason == "zero_moves"
    longer = with_result(changed(GAME, moves=(*GAME.moves, 14)), plies=len(GAME.moves) + 1)
    longer = changed(longer, check=(*GAME.check, 0)[: -(-len(longer.moves) // 16)])
    assert refusal(longer).reason in ("illegal_move", "hash")
    shorter = with_result(changed(GAME, moves=GAME.moves[:-1]), plies=len(GAME.moves) - 1)
    shorter = changed(shorter, check=GAME.check[: -(-len(shorter.moves) // 16)])
    assert refusal(shorter).reason in ("result", "hash")


@given(st.integers(0, 1 << 60), st.integers(0, len(GAME.moves) - 1), st.booleans())
@settings(max_examples=200)
def test_another_move_anywhere_is_refused(seed, ply, legal):
    rng, position = random.Random(seed), Position.of(GAME.spec)
    for move in GAME.moves[:ply]:
        position.play(move)
    others = [m for m in position.legal_packed().tolist() if m != GAME.moves[ply]]
    wild = rng.randrange(1 << rng.randrange(1, 41))
    move = rng.choice(others) if legal and others else wild
    moves = (*GAME.moves[:ply], move, *GAME.moves[ply + 1 :])
    record = changed(GAME, moves=moves)
    if move == GAME.moves[ply]:
        verify(record)
        return
    try:
        twin = build_record(GAME.spec, GAME.seed, GAME.agents, moves)
    except RingriftError:
        twin = None
    if twin is not None and (twin.check, twin.result) == (GAME.check, GAME.result):
        # Two ways to one position, such as collapsing nested regions in another order: that is a
        # game of its own, with its own id.
        verify(record)
        assert record.id != GAME.id
        return
    error = refusal(record)
    assert error.reason in ("illegal_move", "non_canonical", "hash", "result")
    assert error.ply >= ply
    if move not in others:
        assert error.reason in ("illegal_move", "non_canonical")
        assert error.ply == ply


@pytest.mark.parametrize("seed", range(4))
def test_a_turn_without_the_record_of_its_phases_is_not_canonical(seed):
    game = make_game(seed=seed)
    left_out = 0
    for ply, move in enumerate(game.moves[:-1]):
        moves = (*game.moves[:ply], *game.moves[ply + 1 :])
        if move in (NO_PLACE, NO_MOVE, NO_LINE, NO_REGION):
            with pytest.raises(VerificationError) as caught:
                build_record(game.spec, 1, agents(2), moves)
            assert (caught.value.reason, caught.value.ply) == ("non_canonical", ply)
            left_out += 1
    assert left_out > 20


def test_an_aborted_game_is_that_before_its_moves_are_looked_at():
    cut = build_record(GAME.spec, 1, agents(2), GAME.moves[:20], end="aborted", reason="died")
    error = refusal(changed(cut, moves=(1 << 30, *cut.moves[1:])))
    assert (error.reason, error.ply) == ("error_status", 19)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (dataclasses.replace(GAME.spec, ring_threshold=5), "spec"),
        (dataclasses.replace(GAME.spec, players=1), "bad_players"),
        (dataclasses.replace(GAME.spec, rings_per_player=500), "spec"),
    ],
)
def test_another_specification_is_refused(spec, reason):
    assert refusal(changed(GAME, spec=spec)).reason == reason


@pytest.mark.parametrize(
    "start", ["", "nonsense", "ph=ring_placement", str(Position.of(GAME.spec)) + " "]
)
def test_a_bad_start_is_refused(start):
    error = refusal(changed(GAME, start=start))
    assert (error.reason, error.where) == ("malformed", "field start")


def test_fields_out_of_range_are_refused():
    bad = [
        changed(GAME, seed=-1),
        changed(GAME, agents=GAME.agents[:1]),
        changed(GAME, agents=(AgentRef(spec="", agent_hash="0" * 64), GAME.agents[1])),
        changed(GAME, agents=(AgentRef(spec="a", agent_hash="A" * 64), GAME.agents[1])),
        changed(GAME, marks={len(GAME.moves): "random"}),
        changed(GAME, marks={0: "guess"}),
        changed(GAME, meta=GameMeta(purpose="fun")),
        changed(GAME, meta=GameMeta(started=float("nan"))),
        changed(GAME, meta=GameMeta(run="a\x00b")),
        changed(GAME, moves=(1 << 40, *GAME.moves[1:])),
    ]
    assert {refusal(record).reason for record in bad} == {"malformed"}


# --- searches


def with_ply(i, **fields):
    plies = list(SEARCHED.plies)
    plies[i] = dataclasses.replace(plies[i], **fields)
    return dataclasses.replace(SEARCHED, plies=tuple(plies))


@pytest.mark.parametrize("i", range(0, len(SEARCHED.plies), 4))
def test_a_policy_move_that_is_not_legal_is_named(i):
    ply = SEARCHED.plies[i]
    for name in ("policy", "visits"):
        counts = getattr(ply, name)
        if counts is None:
            continue
        move = next(iter(counts))
        wrong = {19 | 63 << 5 if m == move else m: n for m, n in counts.items()}
        error = refusal(GAME, with_ply(i, **{name: wrong}))
        assert (error.reason, error.ply) == ("bad_policy", ply.ply)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"policy": {m: k + 1 for m, k in SEARCHED.plies[0].policy.items()}}, "bad_policy"),
        ({"policy": {}}, "bad_policy"),
        ({"ply": len(GAME.moves)}, "bad_policy"),
        ({"value": (1.5, 0.0)}, "malformed"),
        ({"sims": -1}, "malformed"),
        ({"prior_kl": -1.0}, "malformed"),
    ],
)
def test_figures_out_of_range_are_refused(fields, reason):
    assert refusal(GAME, with_ply(0, **fields)).reason == reason


def test_a_search_belongs_to_its_game_with_plies_ascending():
    assert refusal(make_game(seed=6), SEARCHED).reason == "malformed"
    backwards = dataclasses.replace(SEARCHED, plies=SEARCHED.plies[::-1])
    assert refusal(GAME, backwards).reason == "bad_policy"
    twice = dataclasses.replace(SEARCHED, plies=(SEARCHED.plies[0], *SEARCHED.plies))
    assert refusal(GAME, twice).reason == "bad_policy"


# --- the hash of the play


def test_the_play_is_named_by_its_move_texts_alone(any_game):
    position, texts = Position.of(any_game.spec), []
    for move in any_game.moves:
        texts.append(position.move_text(move))
        position.play(move)
    replayer = Replayer(any_game.spec, None, any_game.moves)
    assert replayer.texts() == texts
    expected = play_hash(any_game.spec, texts)
    assert verified_play(any_game) == expected
    assert verified_play(changed(any_game, seed=77, meta=GameMeta())) == expected


def test_walking_stops_where_asked():
    replayer = Replayer(GAME.spec, None, GAME.moves)
    position, seen = Position.of(GAME.spec), {}
    for ply, move in enumerate(GAME.moves):
        seen[ply] = (position.fingerprint, position.legal_packed().tolist())
        position.play(move)
    stops = [31, 0, 5, 31, 40]
    walked = {ply: (p.fingerprint, p.legal_packed().tolist()) for ply, p in replayer.walk(stops)}
    assert walked == {ply: seen[ply] for ply in stops}
    assert replayer.position.fingerprint == position.fingerprint == GAME.result.final_hash
    assert replayer.check_hashes() == GAME.check


# --- both engines, and speed

PLAIN = """
from tests_conftest import make_game, make_analysis
from ringrift.records import verify
from ringrift.rules.jitconf import COMPILED
assert not COMPILED
for board, players in (("square8", 2), ("hex8", 3)):
    game = make_game(board, players, seed=4, limit=60)
    verify(game, make_analysis(game))
    print(game.id, *map(hex, game.check))
"""


@pytest.mark.slow
def test_plain_python_verifies_the_same(tmp_path):
    here = Path(__file__).parent
    shutil.copy(here / "conftest.py", tmp_path / "tests_conftest.py")
    done = subprocess.run(
        [sys.executable, "-c", PLAIN],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": f"{tmp_path}:src"},
        capture_output=True,
        text=True,
        check=False,
        cwd=here.parents[1],
    )
    assert done.returncode == 0, done.stderr
    games = [make_game("square8", 2, seed=4, limit=60), make_game("hex8", 3, seed=4, limit=60)]
    expected = [" ".join([g.id, *map(hex, g.check)]) for g in games]
    assert done.stdout.splitlines() == expected


@pytest.mark.acceptance
def test_verification_is_fast_enough():
    games = [make_game(seed=seed) for seed in range(200)]
    plies = sum(len(game.moves) for game in games)
    verify(games[0])
    best = min(_seconds(lambda: [verify(game) for game in games]) for _ in range(3))
    print(f"{plies / best:,.0f} plies/s")
    assert plies / best >= 200_000


def _seconds(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def test_a_specification_of_every_kind_verifies():
    for options in ({"rings_per_player": 5}, {"lps_rounds": 2}, {"base_line_length": 4}):
        game = make_game("hex8", 3, seed=1, **options)
        assert game.spec == BoardSpec.create("hex8", 3, **options)
        verify(game)
