"""Stores, JSON lines, shards and foreign files give the same numbers; what is broken is counted."""

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.data.statistics.cache import SummaryCache
from ringrift.data.statistics.filters import Filters
from ringrift.data.statistics.finding import find_sources, lines_named, listed_files
from ringrift.data.statistics.gathering import Inputs
from ringrift.data.statistics.report import count_inputs, report
from ringrift.records import GameStore, write_jsonl
from ringrift.records.foreign import write_lines
from ringrift.records.game_json import to_json

sys.path.insert(0, str(Path(__file__).parent))
from random_games import play, store
from recount import differences

sys.path.pop(0)


@pytest.fixture(scope="module")
def games():
    pairs = [("square8_2p", seed) for seed in range(7)] + [("hex8_3p", seed) for seed in range(4)]
    return [play(config, seed) for config, seed in pairs] + [play("square8_2p", 50, limit=30)]


@pytest.fixture(scope="module")
def db(games, tmp_path_factory):
    return store(tmp_path_factory.mktemp("stores") / "games.db", games)


def tree_of(cache=None, workers=1, **inputs):
    with SummaryCache(cache) as kept:
        given = Inputs(**inputs)
        return report(count_inputs(given, kept, workers=workers), given)


def same(found, expected):
    return differences(
        {"c": found["configurations"], "t": found["total"], "f": found["findings"]},
        {"c": expected["configurations"], "t": expected["total"], "f": expected["findings"]},
    )


def test_a_store_and_a_tree_of_json_lines_agree(games, db, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    write_jsonl(tmp_path / "a" / "one.jsonl", games[:5])
    write_jsonl(tmp_path / "a" / "b" / "two.jsonl", games[5:])
    files = lines_named([tmp_path / "a"], recursive=True)
    assert [path.name for path in files] == ["two.jsonl", "one.jsonl"]
    assert same(tree_of(files=files), tree_of(stores=[db])) == []


def test_a_game_in_two_inputs_counts_once(games, db, tmp_path):
    write_jsonl(tmp_path / "again.jsonl", games[:4])
    found = tree_of(stores=[db], files=[tmp_path / "again.jsonl"])
    assert found["left_out"]["repeated"] == 4
    assert same(found, tree_of(stores=[db])) == []


@pytest.mark.parametrize("form", ["selfplay-jsonl", "gamerecord-jsonl"])
def test_foreign_lines_give_the_same_plays(games, db, tmp_path, form):
    whole = [(record, analyses) for record, analyses in games if record.result.end == "game_over"]
    path = tmp_path / "foreign.jsonl"
    write_lines(path, form, [(record, None) for record, _ in whole])
    found, expected = tree_of(files=[path]), tree_of(stores=[store(tmp_path / "w.db", whole)])
    for section in ("victory", "seats", "recovery", "moves", "captures", "swings", "activity"):
        assert differences(found["total"][section], expected["total"][section]) == []


def test_broken_lines_are_counted_by_reason_and_named(games, tmp_path):
    (good, _), (other, _) = games[0], games[1]
    line = to_json(good)
    wrong = dataclasses.replace(good.result, winner=3 - good.result.winner)
    tampered = to_json(dataclasses.replace(good, result=wrong))
    path = tmp_path / "games.jsonl"
    path.write_text("\n".join(["{", "[1]", tampered, line[:200], to_json(other)]) + "\n")
    found = tree_of(files=[path])
    assert found["games"] == 1
    assert sum(found["left_out"]["malformed"].values()) == 4
    assert found["left_out"]["malformed"]["result"] == 1
    assert any(str(path) in (e["where"] or "") for e in found["left_out"]["examples"])


def test_a_kept_summary_does_not_hide_a_wrong_claim(games, db, tmp_path):
    cache = tmp_path / "cache.db"
    assert tree_of(cache, stores=[db])["games"] == len(games)
    record, _ = games[0]
    other = dataclasses.replace(
        record.result, winner=record.result.winner % record.spec.players + 1
    )
    path = tmp_path / "wrong.jsonl"
    write_jsonl(path, [(dataclasses.replace(record, result=other), [])])
    found = tree_of(cache, files=[path])
    assert (found["games"], found["left_out"]["malformed"]) == (0, {"result": 1})


def test_aborted_games_are_counted_as_such(tmp_path):
    from ringrift.records import build_record

    record, _ = play("square8_2p", 3, limit=20)
    aborted = build_record(
        record.spec, 3, record.agents, record.moves, end="aborted", reason="agent failed"
    )
    path = tmp_path / "aborted.jsonl"
    write_jsonl(path, [(aborted, [])])
    found = tree_of(files=[path])
    assert found["total"]["victory"]["types"]["aborted"]["count"] == 1
    assert found["completed"] == 0


def test_refused_games_count_only_when_asked_for(games, tmp_path):
    record, _ = games[0]
    path = tmp_path / "games.db"
    wrong = dataclasses.replace(record.result, winner=3 - record.result.winner)
    with GameStore.open(path, writer=True) as opened:
        opened.ingest([(dataclasses.replace(record, result=wrong), None), (games[1][0], None)])
    assert tree_of(stores=[path])["left_out"]["quarantined"] == {"result": 1}
    asked = tree_of(stores=[path], quarantined=True)
    assert (asked["games"], asked["left_out"]["malformed"]) == (1, {"result": 1})


def test_lines_that_name_a_winner_and_no_moves(tmp_path):
    line = {"game_id": "x", "board_type": "square8", "num_players": 2, "moves": []}
    lines = [
        {**line, "winner": 1, "victory_type": "territory", "status": "completed"},
        {**line, "winner": 2, "status": "completed"},
        {**line, "winner": None},
    ]
    path = tmp_path / "ends.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    assert tree_of(files=[path])["left_out"]["malformed"] == {"zero_moves": 3}
    found = tree_of(files=[path], outcomes=True)
    assert (found["games"], found["left_out"]["malformed"]) == (2, {"zero_moves": 1})
    types = found["total"]["victory"]["types"]
    assert (types["territory_control"]["count"], types["unknown"]["count"]) == (1, 1)
    assert found["total"]["quality"]["missing_moves"] == 2
    assert found["total"]["lengths"]["plies"]["n"] == 0


def test_filters_choose_games(games, db):
    def count(**filters):
        return tree_of(stores=[db], filters=Filters(**filters))["games"]

    records = [record for record, _ in games]
    assert count(board="hex8") == 4
    assert count(players=2) == 8
    random = sum(all(a.spec == "random" for a in r.agents) for r in records)
    assert count(ai_types=frozenset({"random"})) == random == 0
    pair = frozenset({"random", "heuristic"})
    expected = sum(all(a.kind in pair for a in r.agents) for r in records)
    assert count(ai_types=pair) == expected > 0
    now = 1.7e9 + 900 * 3
    started = [r.meta.started for r in records]
    young = sum(s is not None and now - s <= 1800 for s in started)
    assert count(max_age_s=1800, now=now) == young
    unknown = started.count(None)
    assert count(max_age_s=1800, now=now, unknown_times=True) == young + unknown > young


def test_files_are_found_as_they_are_named(tmp_path, db):
    for name in ("a.jsonl", "b.jsonl.gz", "c.txt", "sub/d.jsonl.zst", ".e.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [path.name for path in lines_named([tmp_path], recursive=False)]
    assert names == ["a.jsonl", "b.jsonl.gz"]
    assert len(lines_named([tmp_path], recursive=True)) == 3
    assert lines_named([tmp_path / "c.txt"], recursive=False) == [tmp_path / "c.txt"]
    with pytest.raises(UsageError, match="--jsonl"):
        lines_named([tmp_path / "none"], recursive=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no JSON lines"):
        lines_named([tmp_path / "empty"], recursive=True)
    inside = find_sources(folders=[db.parent])
    assert (inside.stores, inside.files) == ([db], [])


def test_a_list_names_files_in_its_last_column(tmp_path):
    (tmp_path / "one.jsonl").touch()
    listing = tmp_path / "list.tsv"
    listing.write_text(f"12\tx\tone.jsonl\n\n7\t{tmp_path / 'one.jsonl'}\n")
    assert listed_files(listing) == [tmp_path / "one.jsonl"] * 2
    listing.write_text("1\tnone.jsonl\n")
    with pytest.raises(UsageError, match=f"{listing}:1"):
        listed_files(listing)
    with pytest.raises(DataError):
        listed_files(tmp_path / "nothing.tsv")


def test_old_files_are_left_out(tmp_path, db):
    path = tmp_path / "old.jsonl"
    path.touch()
    os.utime(path, (time.time() - 7200,) * 2)
    sources = find_sources(stores=[db], jsonl=[path])
    kept = sources.without_old(3600, time.time())
    assert (kept.stores, kept.files, kept.too_old) == ([db], [], [path])


def test_a_damaged_store_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "games.db"
    path.write_bytes(b"SQLite format 3\0" + b"x" * 4000)
    with pytest.raises(DataError, match=str(path)):
        tree_of(stores=[path])
