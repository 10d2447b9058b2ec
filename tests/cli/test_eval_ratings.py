"""`ringrift eval leaderboard` and `eval reconcile` as commands."""

import csv
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ringrift.core.paths import Paths

sys.path.insert(0, str(Path(__file__).parents[1]))
from evaluation.played import match_game
from evaluation.rating_stores import Pool

sys.path.pop(0)

NAMES = ("random", "heuristic", "gumbel@model")


def fill(root, *, first=0, last=60):
    """Games of three agents, each stronger than the one before; a slice of 60 blocks."""
    pool = Pool()
    for block in range(60):
        one, other = ((0, 1), (1, 2), (0, 2))[block % 3]
        for turn, seats in enumerate(((one, other), (other, one))):
            ranks = [2, 1] if (seats[1] > seats[0]) != (block % 5 == 0) else [1, 2]
            names = [NAMES[seat] for seat in seats]
            at = 1.7e9 + 86_400 * (block // 10)
            pool.add(names, ranks, run=f"r{block // 10}", index=block % 10 * 2 + turn, at=at)
    Paths(root).create()
    pool.write(root / "data" / "games" / "games.db", pool.games[2 * first : 2 * last])
    return root


@pytest.fixture
def run(ringrift, tmp_path, monkeypatch):
    monkeypatch.setenv("RINGRIFT_ROOT", str(fill(tmp_path / "root")))
    monkeypatch.chdir(tmp_path)

    def call(*words, expect=0):
        code, out, err = ringrift("eval", *words)
        assert code == expect, err
        return out, err

    return call


def test_the_leaderboard_is_the_same_each_time_and_kept(run, tmp_path):
    first, _ = run("leaderboard", "--json")
    (path,) = (tmp_path / "root" / "data" / "ratings").iterdir()
    kept = path.read_bytes()
    assert run("leaderboard", "--json")[0] == first
    assert path.read_bytes() == kept
    (board,) = json.loads(first)["configurations"]
    assert [row["spec"] for row in board["rows"]] == list(reversed(NAMES))
    assert board["rows"][-1]["elo"] == 400.0
    assert board["games"] == 120
    shown, _ = run("leaderboard", "--top", "1")
    assert "1 of 3 agents, 120 games" in shown
    assert "seat effects in Elo" in shown


def test_as_of_agents_and_matrix(run):
    board = json.loads(run("leaderboard", "--json", "--as-of", "2023-11-16", "--matrix")[0])
    (early,) = board["configurations"]
    assert (early["games"], board["as_of"]) == (40, "2023-11-16T00:00:00Z")
    assert early["rows"] == []  # fewer than 30 games each
    named = json.loads(run("leaderboard", "--json", "--agents", "nn,nnue")[0])
    assert [row["spec"] for row in named["configurations"][0]["rows"]] == ["gumbel@model"]
    table, _ = run("leaderboard", "--matrix")
    assert "% above" in table
    _, err = run("leaderboard", "--agents", "nn,human", expect=2)
    assert "unknown 'human' (--agents); try nn, nnue, fixed" in err
    _, err = run("leaderboard", "--config-key", "cube_2p", expect=2)
    assert "no configuration 'cube_2p'" in err


def test_exports_and_pictures(run, tmp_path):
    board = json.loads(run("leaderboard", "--json", "--export", "b.csv")[0])["configurations"][0]
    with (tmp_path / "b.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["spec"], float(row["elo"])) for row in rows] == [
        (row["spec"], row["elo"]) for row in board["rows"]
    ]
    run("leaderboard", "--export", "b.json")
    assert json.loads((tmp_path / "b.json").read_text())["configurations"][0]["games"] == 120
    run("leaderboard", "--export", "b.db")
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection:
        query = connection.execute
        ratings = dict(
            query("SELECT name, rating FROM participants JOIN elo_ratings USING (participant_id)")
        )
        assert ratings == {row["name"]: row["elo"] for row in board["rows"]}
        assert query("SELECT count(*) FROM match_history").fetchone() == (120,)
        assert query("SELECT count(*) FROM rating_history").fetchone() == (18,)
        assert query("SELECT value FROM derived WHERE key = 'derived'").fetchone() == ("true",)
    _, err = run("leaderboard", "--export", "b.xml", expect=2)
    assert "expected a name ending in .csv, .json, .db" in err
    run("leaderboard", "--plot", "plots")
    svg = (tmp_path / "plots" / "square8_2p-leaderboard.svg").read_text()
    assert svg.count('id="LineCollection_') == 3  # an error bar for each agent
    assert (tmp_path / "plots" / "square8_2p-pairings.png").read_bytes()[:4] == b"\x89PNG"
    assert (
        len(json.loads((tmp_path / "plots" / "square8_2p-pairings.json").read_text())["agents"])
        == 3
    )


def test_without_games_it_says_so(run, tmp_path, monkeypatch):
    Paths(tmp_path / "empty").create()
    monkeypatch.setenv("RINGRIFT_ROOT", str(tmp_path / "empty"))
    assert run("leaderboard")[0] == "no match games\n"
    assert not list((tmp_path / "empty" / "data" / "ratings").iterdir())


def test_a_setting_changes_the_fit(run, tmp_path, monkeypatch):
    plain = json.loads(run("leaderboard", "--json")[0])["configurations"][0]
    monkeypatch.setenv("RINGRIFT_RATING__PRIOR_DRAWS", "50")
    drawn = json.loads(run("leaderboard", "--json")[0])["configurations"][0]
    assert drawn["settings"]["prior_draws"] == 50.0
    assert drawn["rows"][0]["elo"] < plain["rows"][0]["elo"]
    assert len(list((tmp_path / "root" / "data" / "ratings").iterdir())) == 2


def test_drift_and_reconciling(run, tmp_path):
    other = tmp_path / "other"
    fill(other, first=0, last=15)
    _, err = run("reconcile", expect=2)
    assert "expected one kind of work" in err
    _, err = run("reconcile", "--reconcile-all", expect=3)
    assert "no job bus tells of others" in err
    _, err = run("reconcile", "--sync-from", "node-7", expect=3)
    assert "'node-7' is no folder here" in err
    out, _ = run(
        "reconcile", "--check-drift", "--peer", str(other), "--threshold", "0", "--json", expect=1
    )
    (drift,) = json.loads(out)["drifts"]
    assert drift["configurations"][0]["missing_there"] == 90
    assert drift["largest"] > 0
    run("reconcile", "--check-drift", "--peer", str(other), "--threshold", "2000")


def test_synchronising_two_roots(ringrift, tmp_path):
    from ringrift.records import GameStore

    for name, seeds in (("one", range(6)), ("two", range(3, 9))):
        Paths(tmp_path / name).create()
        with GameStore.open(tmp_path / name / "data/games/games.db", writer=True) as store:
            store.ingest([(match_game(seed), None) for seed in seeds])
    root, other = str(tmp_path / "one"), str(tmp_path / "two")
    words = ("eval", "reconcile", "--root", root, "--sync-from", other, "--json")
    code, out, _ = ringrift(*words, "--dry-run", "--threshold", "2000")
    assert (code, json.loads(out)["synced"]) == (0, [])
    code, out, _ = ringrift(*words)
    told = json.loads(out)
    assert code == 0
    assert (told["synced"][0]["fetched"], told["synced"][0]["known"]) == (3, 3)
    assert told["drifts"][0]["configurations"][0]["missing_here"] == 0
    code, out, _ = ringrift(
        "eval", "reconcile", "--root", other, "--reconcile-all", "--peer", root, "--json"
    )
    assert (code, json.loads(out)["drifts"][0]["largest"]) == (0, 0.0)
    boards = [
        ringrift("eval", "leaderboard", "--root", r, "--json", "--min-games", "0")[1]
        for r in (root, other)
    ]
    assert boards[0] == boards[1]
