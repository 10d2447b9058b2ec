"""Results of several places: games united by id, numbers merged by games and kept apart."""

import json
import sqlite3
from contextlib import closing

import pytest

from ringrift.core.errors import DataError
from ringrift.core.paths import Paths
from ringrift.evaluation.aggregation import aggregate
from ringrift.evaluation.foreign_results import Claim, merge, read_database, read_json
from ringrift.records.jsonl import write_jsonl
from ringrift.records.store import GameStore

from .played import match_game


def claim(wins, games):
    return Claim(config="square8_2p", agent="a", opponent="random", wins=wins, games=games)


def test_claims_are_merged_by_games_and_never_by_rates():
    (merged,) = merge([claim(10, 10), claim(0, 30)])
    assert (merged.wins, merged.games, merged.rate) == (10, 40, 0.25)
    assert merge([]) == ()
    assert claim(0, 0).rate is None


def test_a_list_of_gauntlets_is_read(tmp_path):
    path = tmp_path / "baseline_gauntlet_results.json"
    row = {"model_path": "m.pt", "config": "hex8_2p", "games_played": 30, "score": 3.0}
    row |= {"vs_random": 1.0, "vs_heuristic": 0.5, "vs_mcts": 0.1}
    path.write_text(json.dumps([row, {**row, "vs_mcts": None, "games_played": 8}]))
    found = {c.opponent: c for c in merge(read_json(path).claims)}
    assert (found["random"].wins, found["random"].games) == (14, 14)
    assert (found["heuristic"].wins, found["heuristic"].games) == (7, 14)
    assert (found["mcts"].wins, found["mcts"].games) == (1, 10)


@pytest.mark.parametrize(
    "text", ["", "7", "{}", "[7]", '[{"model_path": "m", "vs_random": 2, "games_played": 3}]', "["]
)
def test_what_is_no_list_of_results_is_named(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"r\.json"):
        read_json(path)


def database(path, columns, rows):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE match_history ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO match_history VALUES ({marks})", rows)
        connection.commit()
    return path


def test_both_layouts_of_match_history_say_the_same(tmp_path):
    pairs = database(
        tmp_path / "pairs.db",
        ("participant_a", "participant_b", "winner", "board_type", "num_players"),
        [("x", "y", "x", "hex8", 2), ("y", "x", "x", "hex8", 2), ("x", "y", None, "hex8", 2)],
    )
    listed = database(
        tmp_path / "listed.db",
        ("participant_ids", "ranks", "winner_id", "board_type", "num_players"),
        [
            ('["x", "y"]', "[1, 2]", "x", "hex8", 2),
            ('["y", "x"]', "[]", "x", "hex8", 2),
            ('["x", "y"]', "[1, 1]", None, "hex8", 2),
        ],
    )
    assert read_database(pairs) == read_database(listed)
    (first, second) = read_database(pairs)
    assert (first.agent, first.wins, first.games) == ("x", 2.5, 3)
    assert (second.agent, second.wins, second.config) == ("y", 0.5, "hex8_2p")


def test_rows_and_files_that_make_no_sense_are_named(tmp_path):
    bad = database(
        tmp_path / "bad.db", ("participant_a", "participant_b", "winner"), [("x", "y", "z")]
    )
    with pytest.raises(DataError, match=r"row 1 .*bad\.db"):
        read_database(bad)
    (tmp_path / "none.db").write_bytes(b"x" * 200)
    with pytest.raises(DataError, match=r"none\.db"):
        read_database(tmp_path / "none.db")


def root_with(path, seeds):
    Paths(path).create()
    games = [match_game(seed) for seed in seeds]
    with GameStore.open(path / "data" / "games" / "games.db", writer=True) as store:
        store.ingest([(game, None) for game in games])
    return games


def test_games_of_stores_roots_and_records_are_united_by_id(tmp_path):
    here = tmp_path / "here"
    mine = root_with(here, range(3))
    theirs = root_with(tmp_path / "there", range(2, 6))
    third = [match_game(seed) for seed in (5, 6)]
    write_jsonl(tmp_path / "more.jsonl", [(game, []) for game in third])
    store = here / "data" / "games" / "games.db"
    places = [str(tmp_path / "there"), str(tmp_path / "more.jsonl")]
    looked = aggregate(store, places, collect=False)
    assert [(s.games, s.new, s.taken) for s in looked.sources] == [(4, 3, 0), (2, 2, 0)]
    taken = aggregate(store, places, collect=True)
    assert [(s.new, s.taken, s.refused) for s in taken.sources] == [(3, 3, 0), (1, 1, 0)]
    again = aggregate(store, places, collect=True)
    assert [(s.new, s.taken) for s in again.sources] == [(0, 0), (0, 0)]
    with GameStore.open(store) as opened:
        assert opened.game_ids() == {game.id for game in (*mine, *theirs, *third)}


def test_a_place_that_cannot_be_read_leaves_the_others(tmp_path):
    here = tmp_path / "here"
    root_with(here, range(2))
    good = tmp_path / "baseline_gauntlet_results.json"
    row = {"model_id": "m", "config": "hex8_2p", "games_played": 10, "vs_random": 0.8}
    good.write_text(json.dumps([row]))
    corrupt = tmp_path / "corrupt.db"
    corrupt.write_bytes(b"SQLite format 3\0" + b"\1" * 4000)
    places = [str(corrupt), "elsewhere", str(good), str(tmp_path)]
    found = aggregate(here / "data" / "games" / "games.db", places, collect=False)
    assert [source.kind for source in found.failed] == ["database", "host", "nothing"]
    assert str(corrupt) in str(found.failed[0].error)
    assert [(c.agent, c.wins, c.games) for c in found.unverified] == [("m", 8.0, 10)]


def test_the_numbers_of_a_match_whose_games_are_here_are_no_claim(tmp_path):
    here = tmp_path / "here"
    (game, *_) = root_with(here, range(2))
    folder = tmp_path / "run"
    folder.mkdir()
    plan = {"config": "square8_2p", "participants": [{"spec": "a"}, {"spec": "b"}]}
    tree = {"run": game.meta.run, "plan": plan, "score": 0.75, "games": 4}
    (folder / "result.json").write_text(json.dumps(tree))
    store = here / "data" / "games" / "games.db"
    assert aggregate(store, [str(folder)], collect=False).unverified == ()
    (folder / "result.json").write_text(json.dumps({**tree, "run": "unknown"}))
    (told,) = aggregate(store, [str(folder)], collect=False).unverified
    assert (told.agent, told.opponent, told.wins, told.games) == ("a", "b", 3.0, 4)
