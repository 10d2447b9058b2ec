"""Summaries are kept by game, shared by all inputs, and never trusted when damaged."""

import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from ringrift.core.errors import BusyError
from ringrift.data.statistics import cache as module
from ringrift.data.statistics import workers
from ringrift.data.statistics.cache import SummaryCache
from ringrift.data.statistics.gathering import Inputs, remember
from ringrift.data.statistics.report import count_inputs, report
from ringrift.data.statistics.summary import agrees, summarise
from ringrift.data.statistics.workers import Summarisers
from ringrift.records import write_jsonl

sys.path.insert(0, str(Path(__file__).parent))
from random_games import play, store

sys.path.pop(0)


@pytest.fixture(scope="module")
def games():
    return [play("square8_2p", seed, searched=False) for seed in range(6)]


@pytest.fixture
def db(games, tmp_path):
    return store(tmp_path / "games.db", games)


@pytest.fixture
def replayed(monkeypatch):
    """The games that were summarised, not taken from the cache."""
    found = []

    def spy(record):
        found.append(record.id)
        return summarise(record)

    monkeypatch.setattr(workers, "summarise", spy)
    return found


def tree_of(cache, **inputs):
    with SummaryCache(cache) as kept:
        given = Inputs(**inputs)
        return report(count_inputs(given, kept, workers=1), given)


def test_what_is_kept_is_what_was_summarised(games, tmp_path):
    summaries = {record.id: summarise(record) for record, _ in games}
    with SummaryCache(tmp_path / "cache.db") as cache:
        assert cache.missing(summaries) == list(summaries)
        cache.put(summaries)
        assert cache.get([*summaries, "0" * 64]) == summaries
        assert cache.missing(summaries) == []
    with SummaryCache(tmp_path / "cache.db") as cache:
        assert cache.get(list(summaries)) == summaries


def test_a_store_is_replayed_once_and_its_lines_not_again(games, db, tmp_path, replayed):
    cache = tmp_path / "cache.db"
    assert remember(db, cache, workers=1) == len(games)
    assert len(replayed) == len(games)
    write_jsonl(tmp_path / "games.jsonl", games)
    first = tree_of(cache, stores=[db])
    second = tree_of(cache, files=[tmp_path / "games.jsonl"])
    assert first["configurations"] == second["configurations"]
    assert len(replayed) == len(games)


def test_a_damaged_summary_is_computed_again(games, db, tmp_path, replayed):
    cache = tmp_path / "cache.db"
    expected = tree_of(cache, stores=[db])
    with closing(sqlite3.connect(cache)) as connection, connection:
        connection.execute("UPDATE summaries SET summary = x'00'")
    replayed.clear()
    assert tree_of(cache, stores=[db]) == expected
    assert len(replayed) == len(games)


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough for a header" * 40])
def test_a_damaged_file_is_begun_anew(db, tmp_path, content):
    cache = tmp_path / "cache.db"
    cache.write_bytes(content)
    assert tree_of(cache, stores=[db]) == tree_of(None, stores=[db])
    with SummaryCache(cache) as kept:
        assert kept.get(["0" * 64]) == {}


def test_rows_that_mean_something_else_are_forgotten(games, db, tmp_path, replayed, monkeypatch):
    cache = tmp_path / "cache.db"
    tree_of(cache, stores=[db])
    monkeypatch.setattr(module, "_MEANING", "another")
    tree_of(cache, stores=[db])
    assert len(replayed) == 2 * len(games)


def test_agreement_looks_at_every_claim(games):
    from dataclasses import replace

    record, _ = games[0]
    summary = summarise(record)
    assert agrees(record, summary)
    result = record.result
    for wrong in (
        replace(result, elim=result.elim[::-1], terr=result.terr[::-1]),
        replace(result, final_hash="0" * 16),
        replace(result, ranks=result.ranks[::-1]),
        replace(result, winner=0),
    ):
        assert not agrees(replace(record, result=wrong), summary)
    assert not agrees(replace(record, check=(1, *record.check[1:])), summary)


@pytest.mark.slow
def test_spawned_workers_give_the_same(db, games, tmp_path):
    with SummaryCache(None) as kept:
        given = Inputs(stores=[db])
        several = report(count_inputs(given, kept, workers=2), given)
    assert several == tree_of(None, stores=[db])


@pytest.mark.slow
def test_a_killed_worker_is_told_as_such(games):
    tasks = [(record, ()) for record, _ in games]
    with Summarisers(2) as summarisers:
        assert len(summarisers.submit(tasks)()) == len(games)
        for pid in list(summarisers._pool._processes):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(BusyError, match="ended from outside"):
            submit_until_it_fails(summarisers, tasks)


def submit_until_it_fails(summarisers, tasks):
    for _ in range(50):
        summarisers.submit(tasks)()
        time.sleep(0.1)


def test_without_a_place_to_write_nothing_is_kept(db, tmp_path):
    (tmp_path / "file").touch()
    assert tree_of(tmp_path / "file" / "cache.db", stores=[db]) == tree_of(None, stores=[db])
