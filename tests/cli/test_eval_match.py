"""`ringrift eval match`: what it prints and keeps, what it refuses, how it goes on."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ringrift.evaluation.results import PlayedGame
from ringrift.nets.nnue.file import init_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

PROGRAM = Path(__file__).parents[1] / "agents" / "foreign_program.py"
SIDES = ("--agent", "heuristic:mode=light", "--agent", "random")


def engine(*words):
    return f"engine:{shlex.join([sys.executable, str(PROGRAM), *words])}"


@pytest.fixture
def root(tmp_path, monkeypatch, ringrift):
    folder = tmp_path / "root"
    assert ringrift("--root", folder, "--yes", "config", "init")[0] == 0
    monkeypatch.setenv("RINGRIFT_ROOT", str(folder))
    return folder


@pytest.fixture
def call(ringrift):
    def run(*words):
        code, out, err = ringrift("eval", "match", *words, "--json")
        return code, json.loads(out), err

    return run


def test_a_match_is_played_kept_and_found_again(root, call, ringrift):
    code, answer, err = call(*SIDES, "--games", "9", "-j", "1")
    assert code == 0
    assert "9 games are rounded up to 10: whole blocks of 2" in err
    assert (answer["status"], answer["games"], answer["blocks"]) == ("done", 10, 5)
    assert answer["wins"] + answer["losses"] + answer["capped"] == 10
    assert answer["seconds"] > 0
    folder = root / "runs" / "eval" / answer["run"][:12]
    assert {path.name for path in folder.iterdir()} == {
        "plan.json",
        "settings.json",
        "result.json",
        "log.jsonl",
    }
    kept = json.loads((folder / "result.json").read_text())
    assert all(answer[name] == value for name, value in kept.items() if name != "schema")
    assert json.loads((folder / "plan.json").read_text()) == answer["plan"]
    events = [json.loads(line)["event"] for line in (folder / "log.jsonl").open()]
    assert (events[0], events[-1]) == ("begun", "ended")

    code, again, _ = call(*SIDES, "--games", "9", "-j", "2", "--no-wait")
    changing = {"seconds", "games_per_s"}
    assert {k: v for k, v in again.items() if k not in changing} == {
        k: v for k, v in answer.items() if k not in changing
    }
    assert again["seconds"] is None  # nothing was played
    out = ringrift("eval", "match", *SIDES, "--games", "9")[1]
    assert "all 10 games are played" in out

    host = answer["by_node"][0]["node"]
    code, left, _ = call(*SIDES, "--games", "9", "--exclude-node", host)
    assert (code, left["games"], left["score"], left["excluded"]) == (0, 0, None, [host])
    assert call(*SIDES, "--games", "9", "--exclude-node", "elsewhere")[1]["games"] == 10


@pytest.mark.slow
def test_nodes_that_won_unequal_shares_are_alerted_until_they_do_not(root, call, ringrift):
    """The games are real; only the names of the nodes are planted, by who won."""
    words = ("--agent", "random", "--agent", "random", "--games", "80", "-j", "1", "--no-wait")
    code, answer, _ = call(*words)
    assert code == 0
    path = root / "data" / "games" / "games.db"
    with GameStore.open(path) as store:
        records = [record for _, record, _ in store.records(run=answer["run"])]
    for told, name in ((1, _by_winner), (0, _by_turn)):
        for file in path.parent.iterdir():
            file.unlink()
        with GameStore.open(path, writer=True) as store:
            store.ingest([(replace(r, meta=replace(r.meta, host=name(r))), None) for r in records])
        code, answer, _ = call(*words)
        assert (code, answer["seconds"], len(answer["by_node"])) == (0, None, 2)
        assert answer["worker_check"]["suspicious"] == bool(told)
        listed = json.loads(ringrift("node", "alerts", "list", "--json")[1])["alerts"]
        firing = [one for one in listed if one["state"] == "firing"]
        assert [one["kind"] for one in firing] == ["verification"] * told
        if told:
            assert firing[0]["subject"] == f"match {answer['run'][:12]}"
            assert firing[0]["values"]["node"] in ("first", "second")


def _by_winner(record):
    """The first agent sits in turn in each seat."""
    return "first" if PlayedGame.of(record).winner == record.meta.index % 2 else "second"


def _by_turn(record):
    return ("first", "second")[record.meta.index // 2 % 2]


def test_a_dry_run_says_what_a_test_will_take_and_changes_nothing(root, call):
    before = sorted(root.rglob("*"))
    code, answer, _ = call(*SIDES, "--test", "sprt", "--elo1", "50", "--dry-run")
    assert code == 0
    assert answer["games"] == 800
    assert 100 < answer["expected"]["mean_games"] < 600
    wilson = call(*SIDES, "--test", "wilson", "--max-games", "200", "--dry-run")[1]
    assert 0 < wilson["expected"]["mean_games"] <= 200
    assert sorted(root.rglob("*")) == before


@pytest.mark.acceptance
def test_a_store_that_was_not_yet_made_when_a_match_was_killed(root, call):
    path = root / "data" / "games" / "games.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    code, answer, _ = call("--agent", "random", "--agent", "random", "--games", "2", "-j", "1")
    assert (code, answer["games"]) == (0, 2)


@pytest.mark.acceptance
def test_an_expected_verdict_decides_the_exit_code(root, call):
    tested = (*SIDES, "--test", "sprt", "--elo1", "100", "--min-games", "10", "-j", "1")
    code, answer, _ = call(*tested, "--expect", "accept", "--plot", "--plot-format", "svg")
    assert code == 0
    folder = Path(answer["folder"])
    assert {"by_seat.svg", "llr.svg"} < {path.name for path in folder.iterdir()}
    path = json.loads((folder / "llr.json").read_text())
    assert path["llr"][-1] == answer["llr"] >= path["bounds"][1]
    assert len(path["llr"]) == answer["blocks"] - answer["duplicates"]
    code, answer, _ = call(*tested, "--expect", "reject")
    assert (code, answer["verdict"]) == (1, "accept")


def test_what_a_match_refuses(root, call, tmp_path):
    def error(*words):
        code, answer, _ = call(*words)
        return code, answer["error"]["message"]

    assert error("--agent", "random")[0] == 2
    assert error(*SIDES, "--sims", "5", "--nodes", "5")[0] == 2
    assert error(*SIDES, "--expect", "accept")[0] == 2
    assert error(*SIDES, "--games", "10", "--test", "sprt")[0] == 2
    assert error(*SIDES, "--openings", "nowhere")[0] == 2
    assert error(*SIDES, "-j", "0")[0] == 2
    assert error(*SIDES, "--max-plies", "x")[0] == 2
    assert error(*SIDES, "--agent", "heuristic")[0] == 2  # three agents for two seats
    assert error(*SIDES, "--distributed") == (3, "no job bus is running")
    assert error("--agent", "engine:/no/such/program", "--agent", "random")[0] == 5
    other = init_nnue(BoardSpec.create("hex8", 2), folder=tmp_path, seed=1, hidden=32)
    code, message = error("--agent", f"alphabeta@{other}:depth=1", "--agent", "random")
    assert code == 2
    assert "hex8_2p" in message
    assert "square8_2p" in message


@pytest.mark.acceptance
def test_a_game_aborted_twice_ends_with_5_and_no_score(root, call):
    words = ("--agent", engine("illegal", "2"), "--agent", "random", "--games", "2", "-j", "1")
    code, answer, _ = call(*words)
    assert code == 5
    assert "was aborted twice at ply" in answer["error"]["message"]
    assert "foreign_program.py" in answer["error"]["message"]
    (file,) = (root / "runs" / "eval").glob("*/result.json")
    kept = json.loads(file.read_text())
    assert (kept["status"], kept["score"], kept["score_ci95"]) == ("failed", None, None)
    with GameStore.open(root / "data" / "games" / "games.db") as store:
        assert store.count() == 0


@pytest.mark.acceptance
def test_too_many_late_moves_make_a_match_invalid(root, call):
    words = ("--agent", engine("sleep", "2", "900"), "--agent", "random", "--games", "2")
    code, answer, _ = call(*words, "--time-ms", "100", "-j", "1")
    assert (code, answer["status"], answer["timeouts"]) == (1, "invalid", 1)
    assert answer["reasons"]["late"] == 1
