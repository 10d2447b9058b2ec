"""Match jobs: games of a plan in chunks, the plan before them, aborted games told."""

import shlex
import sys

import pytest

from ringrift.core.errors import DataError, RefusedError
from ringrift.core.paths import Paths
from ringrift.evaluation.matches import stored
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan
from ringrift.loop.work import matches
from ringrift.records.record import AgentRef
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, Position

from .jobs import after, context, deliver, spooled

SPEC = BoardSpec.create("square8", 2)

QUITTER = """
import sys
for line in sys.stdin:
    word = line.split()[0]
    if word in ("id", "legal"):
        print("id quitter" if word == "id" else "legal {moves}", flush=True)
    if word == "go":
        sys.exit("out of wood")
"""
"""A program that gives up at its first move."""


@pytest.fixture
def root(tmp_path):
    Paths(tmp_path / "root").create()
    return tmp_path / "root"


def plan_of(*specs, games=8, **changes):
    agents = tuple(participant(text, SPEC) for text in specs or ("heuristic:mode=light", "random"))
    return MatchPlan.of_games(
        games, **{"purpose": "test", "spec": SPEC, "agents": agents, "seed": 5, **changes}
    )


def play(root, plan, games, **changes):
    text = plan.text.decode()
    return matches.run(context(root, "match", plan=text, games=list(games), **changes))


def test_chunks_give_the_games_of_the_plan_each_once(root):
    plan = plan_of()
    assert play(root, plan, range(4)).numbers["games"] == 4
    plans, games = spooled(root)
    assert plans == [plan.text]
    assert {(game.meta.run, game.meta.purpose) for game, _ in games} == {(plan.hash, "match")}
    assert not deliver(root).quarantined
    outcome = play(root, plan, range(8))
    assert (outcome.numbers["games"], outcome.numbers["present"]) == (4, 4)
    deliver(root)
    with GameStore.open(Paths(root).game_store) as store:
        tally = stored(plan, store)
        assert (len(tally.games), tally.complete) == (8, True)
        assert [found.hash for found in store.plans.all()] == [plan.hash]
    again = play(root, plan, range(8))
    assert (again.numbers["games"], again.numbers["present"], again.complete) == (0, 8, True)
    assert spooled(root) == ([], [])


def test_a_stopped_job_is_not_complete(root):
    outcome = play(root, plan_of("random", "random"), range(8), stop=after(20))
    assert not outcome.complete


def test_a_game_that_is_aborted_twice_is_told(root):
    moves = "; ".join(move.text for move in Position.of(SPEC).legal_moves())
    (root / "program.py").write_text(QUITTER.format(moves=moves))
    dying = f"engine:{shlex.join([sys.executable, '-S', str(root / 'program.py')])}"
    outcome = play(root, plan_of(dying, "random", games=2), range(1))
    assert outcome.complete
    (told,) = outcome.numbers["aborted"]
    assert told["game"] == 0
    assert "out of wood" in told["reason"]
    assert (outcome.numbers["games"], spooled(root)[1]) == (0, [])


def test_another_agent_than_planned_is_refused(root):
    other = AgentRef(spec="random", agent_hash="0" * 64)
    plan = MatchPlan.of_games(2, purpose="test", spec=SPEC, agents=(other, other), seed=1)
    with pytest.raises(RefusedError, match="is not the agent that the match was planned with"):
        play(root, plan, range(2))
    assert spooled(root)[1] == []


def test_a_plan_that_cannot_be_played_is_named(root):
    with pytest.raises(DataError, match="game 8 of a match of 8 games"):
        play(root, plan_of(), [7, 8])
    with pytest.raises(DataError, match="a plan of square8_2p; the job is of hex8_2p"):
        play(root, plan_of(), [0], config="hex8_2p")
    missing = f"gumbel@{'a' * 64}:sims=8"
    with pytest.raises(DataError, match="has no file"):
        play(root, plan_of(missing, "random"), [0])
