"""Tournaments from the command line: played once, ranked, and told about when a champion falls."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.core.errors import RingriftError
from ringrift.core.files import lock
from ringrift.core.paths import Paths
from ringrift.evaluation.contenders import Contender, ModelRow, Search
from ringrift.models.retired import read_retired, retire
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from alert_receiver import Receiver
from made import crown, make_model
from rating_stores import Pool, agent_hash

del sys.path[:3]

SQUARE = BoardSpec.create("square8", 2)


@pytest.fixture
def root(ringrift, tmp_path, monkeypatch):
    paths = Paths(tmp_path / "root")
    paths.root.mkdir()
    paths.create()
    monkeypatch.setenv("RINGRIFT_ROOT", str(paths.root))
    monkeypatch.setenv("RINGRIFT_EVALUATION__BASELINE_MODELS", '["random", "heuristic"]')
    return paths


@pytest.fixture
def run(ringrift):
    def call(*arguments, code=0):
        found, out, err = ringrift("eval", *arguments, "--json")
        assert found == code, err + out
        return json.loads(out)

    return call


def pairs(pool, one, other, elo, games=400):
    """Add games with the expected score of an Elo difference, alike from both seats."""
    wins = round(games / 2 / (1 + 10 ** (-elo / 400)))
    for seats, winner in (((one, other), 0), ((other, one), 1)):
        for number in range(games // 2):
            won = winner if number < wins else 1 - winner
            pool.add(seats, (1, 2) if won == 0 else (2, 1), run=f"{one} {other}")


def fallen(root, drop, index):
    """Let two models be champions, the second one `drop` Elo below the first, and nothing be due."""
    ids = [make_model(root.models, 2 * index + n) for n in range(2)]
    crown(root.models, *ids)
    rows = [ModelRow(id=name, kind="nnue", config="square8_2p") for name in ids]
    search = Search()
    agents = [Contender.of_model(row, SQUARE, search).agent for row in rows]
    pool = Pool()
    pairs(pool, "heuristic", "random", 300)
    pairs(pool, agents[0].spec, "heuristic", 250)
    pairs(pool, agents[1].spec, "heuristic", 250 - drop)
    pool.write(root.games / "games.db")
    with GameStore.open(root.games / "games.db", writer=True) as store:
        connection = store._connection
        for agent in agents:
            connection.execute(
                "UPDATE game_agents SET agent = ?, model = ? WHERE agent = ?",
                (agent.agent_hash, agent.model_id, agent_hash(agent.spec)),
            )
        connection.commit()
        store.plans.add(b"{}", config="square8_2p", purpose="tournament")
    return ids


@pytest.mark.parametrize(("drop", "posts"), [(120, 1), (60, 0)])
def test_a_champion_that_falls_is_told_once(root, run, monkeypatch, drop, posts):
    old, new = fallen(root, drop, drop)
    receiver = Receiver()
    monkeypatch.setenv("RINGRIFT_WEBHOOK_URL", receiver.url)
    for _ in range(2):
        (row,) = run("auto", "--once")["configurations"]
        assert row["skipped"].startswith("the last tournament began")
        assert row["findings"][0]["fires"] is (drop == 120)
        assert len(receiver.accepted) == posts
    receiver.server.shutdown()
    if posts:
        (message,) = receiver.accepted
        assert (message["kind"], message["state"]) == ("elo_drop", "firing")
        values = message["values"]
        assert (values["model_id"], values["previous_id"]) == (new, old)
        assert values["config"] == "square8_2p"
        assert values["drop"] == pytest.approx(120, abs=8)


def test_a_second_daemon_is_told_to_try_later(root, run):
    with lock(root.coordination / "auto-tournament.lock", what="a test"):
        assert run("auto", "--daemon", code=75)["error"]["code"] == 75


def daemon(*words):
    program = Path(sys.executable).with_name("ringrift")
    line = [program, "eval", "auto", "--daemon", "--interval", "1", "--no-wait", "--json", *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True)


def match_games(root):
    path = root.games / "games.db"
    try:
        with GameStore.open(path) as store:
            return {(r.meta.run, r.meta.index) for _, r, _ in store.records(purpose="match")}
    except RingriftError:  # the store is being made
        return set()


def wait_for_games(process, root, count):
    deadline_s = time.monotonic() + 240
    while len(match_games(root)) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


@pytest.mark.acceptance
def test_a_daemon_that_was_killed_goes_on_and_plays_nothing_twice_within_two_hours(root):
    words = ("--games", "300")
    process = daemon(*words)
    wait_for_games(process, root, 30)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(match_games(root)) < 300
    process = daemon(*words)
    wait_for_games(process, root, 100)
    began_s = time.monotonic()
    process.terminate()  # in the middle of a tournament
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert time.monotonic() - began_s < 30
    assert len(kept := match_games(root)) < 300
    process = daemon(*words)
    first = json.loads(process.stdout.readline())
    assert (first["skipped"], first["tournament"]["complete"]) == (None, True)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert kept < match_games(root)
    assert len(match_games(root)) == 300  # each index of the one plan once
    make_model(root.models, 77)  # somebody new, but too early
    process = daemon(*words)
    second = json.loads(process.stdout.readline())
    assert second["skipped"].startswith("the last tournament began")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(match_games(root)) == 300


@pytest.mark.acceptance
def test_a_tournament_is_played_once_and_ranked(root, run):
    line = ("tournament", "--baselines-only", "--games", "10", "--seed", "3")
    planned = run(*line)["configurations"][0]["tournament"]
    assert (planned["games"], planned["most_games"], planned["complete"]) == (0, 10, False)
    first = run(*line, "--run")["configurations"][0]
    assert first["tournament"]["complete"]
    assert [row["spec"] for row in first["tournament"]["table"]] == ["heuristic", "random"]
    assert json.loads(Path(first["report"]).read_bytes()) == first["tournament"]
    with GameStore.open(root.games / "games.db") as store:
        assert store.count("square8_2p", purpose="match") == 10
    assert run(*line, "--run")["configurations"][0]["tournament"] == first["tournament"]
    assert len(list(root.ratings.glob("square8_2p-*.json"))) == 1
    auto = run("auto", "--games", "5", "--dry-run")["configurations"][0]
    assert auto["skipped"].startswith("the last tournament began 0 minutes ago")


def test_weak_models_are_marked_as_archived_and_left_out(root, run, monkeypatch):
    """The store is read only: without a model to meet, nothing is played."""
    old, new = fallen(root, 60, 9)
    line = ("tournament", "--include-nnue", "--no-both-ai-types", "--ai-type", "mcts")
    assert len(run(*line)["configurations"][0]["agents"]) == 4
    assert retire(root.models, [old], by="a test", why="weak") == [old]
    assert retire(root.models, [old], by="a test", why="weak") == []
    assert list(read_retired(root.models)) == [old]
    agents = run(*line)["configurations"][0]["agents"]
    assert len(agents) == 3
    assert not any(old in text for text in agents)
    assert any(f"mcts@{new}:noise=0,sims=50" == text for text in agents)


def test_bad_fields_are_refused(root, run):
    for line, told in (
        (("tournament", "--no-baselines"), "agents for a tournament"),
        (("tournament", "--no-baselines", "--baselines-only"), "leave nobody"),
        (("tournament", "--checkpoint-watch", "."), "needs --continuous"),
        (("diverse", "--player-counts", "5"), "5 players"),
        (("diverse", "--board-types", "go"), "no board 'go'"),
        (("auto", "--all-configs", "--config-key", "hex8_2p"), "--all-configs"),
        (("auto", "--daemon", "--once"), "contradict"),
    ):
        assert told in run(*line, code=2)["error"]["message"], line


def test_diverse_lists_every_configuration(root, run):
    rows = run("diverse", "--dry-run")["configurations"]
    assert len(rows) == 12
    assert {row["note"] for row in rows} == {"no champion: fixed agents only"}
    games = {row["config"]: row["of"] for row in rows}
    assert (games["square8_2p"], games["hex8_3p"], games["hex8_4p"]) == (200, 102, 100)
    assert (games["square19_2p"], games["square19_3p"], games["square19_4p"]) == (50, 30, 32)
    assert (games["hexagonal_2p"], games["hexagonal_3p"], games["hexagonal_4p"]) == (100, 51, 52)
    assert all(row["agents"] == ["heuristic", "mcts:noise=0", "alphabeta"] for row in rows)
    assert all(row["estimated_s"] is None for row in rows)


def test_archiving_marks_who_is_surely_weak_and_never_the_champion(root, ringrift):
    from ringrift.cli.eval.tournament_rounds import Order, Tournaments
    from ringrift.cli.invocation import begin
    from ringrift.models.listing import list_models

    old, new = fallen(root, 60, 11)
    common = {"configs": ("square8_2p",), "games": 2, "most_meetings": None, "top_n": None}
    common |= {"sims": 1, "kinds": ("mcts",), "models": ("nnue",), "baselines": True}
    common |= {"matchmaking": False, "reach_elo": 200.0, "seed": 1, "workers": 1}
    common |= {"store": None, "plot": None, "distributed": False}
    run = begin(["--root", str(root.root)])
    assert Tournaments(run, Order(archive_below=500.0, **common))._archive("square8_2p") == []
    assert Tournaments(run, Order(archive_below=2000.0, **common))._archive("square8_2p") == [old]
    statuses = {model.id: model.status for model in list_models(root.models).models}
    assert statuses == {old: "archived", new: "champion"}
    assert (root.models / "objects" / old[:2] / f"{old}.safetensors").is_file()
