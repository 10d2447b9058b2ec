"""Self-play jobs: each game once, the same ones again, held and stopped between steps."""

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.core.paths import Paths
from ringrift.loop.work import selfplay, training
from ringrift.records.store import GameStore

from .jobs import after, context, deliver, spooled, stored_ids

GAMES = 6


@pytest.fixture
def root(tmp_path):
    Paths(tmp_path / "root").create()
    return tmp_path / "root"


def play(root, **changes):
    spec = {"agent": "random", "model": None, "run": "loop/a", "seed": 3, "first": 0}
    return selfplay.run(context(root, "selfplay", **{**spec, "games": GAMES, **changes}))


def ids(root):
    return {game.meta.index: game.id for game, _ in spooled(root)[1]}


def test_a_job_done_twice_gives_the_same_games(tmp_path):
    found = []
    for name in "ab":
        Paths(tmp_path / name).create()
        outcome = play(tmp_path / name, first=4)
        assert outcome.complete
        assert outcome.numbers["games"] == GAMES
        found.append(ids(tmp_path / name))
    assert found[0] == found[1]
    assert sorted(found[0]) == list(range(4, 4 + GAMES))


def test_games_that_the_store_has_are_not_played_again(root):
    play(root, games=4)
    deliver(root)
    outcome = play(root)
    assert (outcome.numbers["games"], outcome.numbers["present"]) == (2, 4)
    assert sorted(ids(root)) == [4, 5]
    deliver(root)
    again = play(root)
    assert (again.numbers["games"], again.numbers["present"], again.complete) == (0, 6, True)
    assert spooled(root) == ([], [])


def test_a_stopped_job_keeps_what_is_finished_and_its_rest_is_the_same(root, tmp_path):
    Paths(tmp_path / "whole").create()
    play(tmp_path / "whole")
    wanted = ids(tmp_path / "whole")
    told = []
    outcome = play(root, report=lambda **it: told.append(it), stop=lambda: bool(told))
    assert not outcome.complete
    finished = ids(root)
    assert 0 < len(finished) < GAMES
    assert finished.items() <= wanted.items()
    deliver(root)
    assert play(root).complete
    deliver(root)
    assert stored_ids(root) == set(wanted.values())


def test_no_game_begins_while_held(root):
    told = []
    outcome = play(root, hold=lambda: True, stop=after(3), report=lambda **it: told.append(it))
    assert not outcome.complete
    assert (told, spooled(root)) == ([], ([], []))
    asked = iter([True])
    assert play(root, hold=lambda: next(asked, False)).complete


def test_progress_and_numbers_count_the_games(root):
    told = []
    numbers = play(root, report=lambda **it: told.append(it)).numbers
    assert [each["done"] for each in told] == list(range(1, GAMES + 1))
    assert {each["total"] for each in told} == {GAMES}
    games = [game for game, _ in spooled(root)[1]]
    assert numbers["plies"] == sum(game.result.plies for game in games)
    assert (numbers["aborted"], numbers["choices"]) == (0, 0)
    assert numbers["cpu_seconds"] > 0


@pytest.mark.slow
def test_games_of_a_model_pass_the_gate_with_their_searches(root):
    values = {"hidden_dim": 32}
    made = training.run(
        context(root, "train", kind="nnue-policy", seed=1, init="random", values=values)
    ).numbers
    agent = f"gumbel@{made['model_id']}:sims=8,m=4,scale=1"
    search = {"agent": agent, "model": made["model_id"], "full_fraction": 0.25, "cheap_sims": 4}
    numbers = play(root, preset="aggressive_exploration", **search).numbers
    assert 0 < numbers["full"] < numbers["choices"]
    report = deliver(root)
    assert (report.added, report.quarantined) == (GAMES, 0)
    with GameStore.open(Paths(root).game_store) as store:
        for _, game, analysis in store.records(run="loop/a"):
            assert game.meta.purpose == "selfplay"
            assert {agent.model_id for agent in game.agents} == {made["model_id"]}
            assert all("temp=aggressive_exploration" in agent.spec for agent in game.agents)
            assert {ply.kind for ply in analysis.plies} == {"full", "cheap"}


def agents(root):
    return {agent.spec for game, _ in spooled(root)[1] for agent in game.agents}


def test_games_end_at_the_ply_limit_of_their_job(root):
    assert play(root, max_plies=30).numbers["move_limit"] == GAMES
    games = [game for game, _ in spooled(root)[1]]
    assert {game.max_plies for game in games} == {30}
    deliver(root)
    assert play(root, run="loop/b").numbers["move_limit"] == 0


def test_an_engine_mode_seats_its_agents(root):
    play(root, agent=None, mode={"name": "heuristic-only", "sims": 8})
    assert all(spec.startswith("heuristic") for spec in agents(root))
    deliver(root)
    band = {"name": "mixed", "sims": 8, "band": "light"}
    play(root, run="loop/b", games=3, agent=None, mode=band, cheap_sims=2, full_fraction=0.0)
    found = {spec.partition(":")[0] for spec in agents(root)}
    assert found <= {"random", "heuristic", "mcts"}  # level 4 has no NNUE, and this is told
    assert {"unavailable:level 4"} <= {
        tag for game, _ in spooled(root)[1] for tag in game.meta.tags
    }
    with pytest.raises(UsageError, match="no champion"):
        play(root, run="loop/c", agent=None, mode={"name": "gumbel-mcts-only", "sims": 8})


@pytest.mark.slow
def test_the_champion_plays_former_ones_in_rotating_seats(root):
    values = {"hidden_dim": 32}
    models = [
        training.run(
            context(root, "train", kind="nnue-policy", seed=seed, init="random", values=values)
        ).numbers["model_id"]
        for seed in (1, 2)
    ]
    mode = {"name": "best-vs-pool", "sims": 4, "pool": models[1:]}
    play(root, agent=None, model=models[0], mode=mode, games=4)
    seated = {
        game.meta.index: [agent.model_id for agent in game.agents] for game, _ in spooled(root)[1]
    }
    assert seated == {i: models if i % 2 == 0 else models[::-1] for i in range(4)}


def test_what_is_wrong_with_a_job_is_said(root):
    with pytest.raises(DataError, match="has no file"):
        play(root, agent=f"gumbel@{'a' * 64}:sims=8", model="a" * 64)
    with pytest.raises(UsageError, match=r"spec.games: .* found 0"):
        play(root, games=0)
    with pytest.raises(UsageError, match="unknown configuration"):
        play(root, config="square8")
    with pytest.raises(UsageError, match="preset"):
        play(root, preset="wild")
