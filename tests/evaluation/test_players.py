"""Matches in worker processes: several through one pool, programs of others, moves that come late."""

import os
import shlex
import signal
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from ringrift.core.errors import RefusedError
from ringrift.evaluation.matches import MatchAborted, stored_games
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice
from ringrift.evaluation.players import MatchPlayers, play_match, play_matches
from ringrift.evaluation.results import PlayedGame
from ringrift.evaluation.sprt import SequentialTest
from ringrift.records.record import AgentRef
from ringrift.records.store import GameStore
from ringrift.records.verify import verify
from ringrift.rules import BoardSpec

SQUARE = BoardSpec.create("square8", 2)
PROGRAM = Path(__file__).parents[1] / "agents" / "foreign_program.py"


def engine(*words):
    return f"engine:{shlex.join([sys.executable, str(PROGRAM), *words])}"


def plan_of(games, *specs, spec=SQUARE, budget=None, seed=5, **changes):
    agents = tuple(participant(text, spec, budget=budget) for text in specs or ("random", "random"))
    return MatchPlan.of_games(
        games,
        purpose="manual",
        spec=spec,
        agents=agents,
        seed=seed,
        budget=budget,
        openings=OpeningChoice(),
        **changes,
    )


@pytest.fixture(scope="module")
def players():
    with MatchPlayers(workers=2) as players:
        yield players


@pytest.fixture
def store(tmp_path):
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        yield store


def ids(plan, store):
    return {game.meta.index: game.id for game in stored_games(plan, store)}


def test_several_matches_through_one_pool_give_what_each_gives_alone(players, tmp_path):
    plans = [plan_of(12, seed=1), plan_of(8, "heuristic:mode=light", "random"), plan_of(6, seed=2)]
    found = []
    with GameStore.open(tmp_path / "one.db", writer=True) as store:
        alone = [play_match(plan, store, players) for plan in plans]
        found.append([ids(plan, store) for plan in plans])
    with GameStore.open(tmp_path / "all.db", writer=True) as store:
        seen = set()
        together = play_matches(
            [*plans, plans[0]],
            store,
            players,
            titles=["match"] * 4,
            on_progress=lambda tally: seen.add(tally.plan.hash),
        )
        found.append([ids(plan, store) for plan in plans])
        assert play_matches(plans, store, players) == together[:3]  # nothing is left to play
    assert [result.as_tree() | {"ms_per_ply": 0} for result in together[:3]] == [
        result.as_tree() | {"ms_per_ply": 0} for result in alone
    ]
    assert together[3] == together[0]
    assert seen == {plan.hash for plan in plans}
    assert found[0] == found[1]
    assert [len(games) for games in found[0]] == [12, 8, 6]


def test_a_verdict_ends_its_own_match_alone(players, store):
    test = SequentialTest(elo1=50, min_games=8, max_games=400)
    tested = plan_of(400, "heuristic:mode=light", "random", test=test)
    result, other = play_matches([tested, plan_of(10)], store, players)
    assert result.verdict == "accept"
    assert result.games < 200
    assert (other.games, other.complete) == (10, True)


def test_a_killed_worker_changes_no_game(players, store, tmp_path):
    plans = [plan_of(40, seed=1), plan_of(40, seed=2)]
    with GameStore.open(tmp_path / "undisturbed.db", writer=True) as other:
        wanted = play_matches(plans, other, players)
    killed = []

    def kill_once(tally):
        if not killed and len(tally.games) > 2:
            killed.append(players._pool.pids[0])
            os.kill(killed[0], signal.SIGKILL)

    found = play_matches(plans, store, players, on_progress=kill_once)
    assert killed
    assert [result.counts for result in found] == [result.counts for result in wanted]


def test_a_game_of_an_agent_that_has_changed_is_refused(players, store):
    plan = plan_of(2, "random", "random")
    other = AgentRef(spec="random", agent_hash="0" * 64)
    with pytest.raises(RefusedError, match="random is not the agent that the match was planned"):
        play_match(
            MatchPlan.of_games(2, purpose="manual", spec=SQUARE, agents=(other, other), seed=1),
            store,
            players,
        )
    assert ids(plan, store) == {}


@pytest.mark.acceptance
def test_a_program_plays_a_match_and_the_same_again(players, tmp_path):
    found = []
    for name in ("a", "b"):
        with GameStore.open(tmp_path / f"{name}.db", writer=True) as store:
            plan = plan_of(4, engine(), "random")
            result = play_match(plan, store, players)
            assert (result.games, result.complete) == (4, True)
            found.append(ids(plan, store))
            assert {a.spec for g in stored_games(plan, store) for a in g.agents} == {
                engine(),
                "random",
            }
    assert found[0] == found[1]


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("illegal", "3"), "answered the illegal move 'M 9,9 9,9'"),
        (("die", "3"), "ended with exit code 3: out of wood"),
    ],
)
def test_a_program_that_fails_twice_ends_the_match_naming_it(store, words, why):
    plan = plan_of(2, engine(*words), "random")
    with MatchPlayers(workers=1) as players, pytest.raises(MatchAborted) as caught:
        play_match(plan, store, players)
    assert caught.value.exit_code == 5
    assert f"game 0 of match {plan.hash[:12]} was aborted twice at ply " in str(caught.value)
    assert why in str(caught.value)
    assert PROGRAM.name in str(caught.value)
    assert store.count() == 0


@pytest.mark.acceptance
@pytest.mark.parametrize("seats", [2, 3])
def test_a_late_move_loses(store, seats):
    spec = BoardSpec.create("square8", seats)
    late = engine("sleep", "4", "900")
    plan = plan_of(seats, late, "random", spec=spec, budget=("time_ms", 100))
    with MatchPlayers(workers=1) as players:
        result = play_match(plan, store, players)
    (game, *_) = [g for g in stored_games(plan, store) if g.meta.tags]
    verify(game)
    seat = plan.game(game.meta.index).seats.index(0)
    assert game.meta.tags == (f"late:{seat + 1}",)
    assert (result.timeouts, result.reasons["late"], result.capped) == (1, 1, 0)
    assert result.status == "invalid"
    assert "lost by a late move" in result.invalid
    shares = [PlayedGame.of(game).score(other, seats) for other in range(seats)]
    assert shares == [int(other != seat) / Fraction(seats - 1) for other in range(seats)]


@pytest.mark.acceptance
def test_a_game_that_takes_too_long_is_aborted(store):
    plan = plan_of(2, engine("sleep", "2", "1500"), "random")
    with (
        MatchPlayers(workers=1, game_timeout_s=1.0) as players,
        pytest.raises(MatchAborted, match=r"it took more than 1 s|did not answer within 1 s"),
    ):
        play_match(plan, store, players)
