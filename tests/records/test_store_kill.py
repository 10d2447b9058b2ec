"""The store's writer is killed at random instants: nothing is lost, doubled or half written."""

import random
import time

import pytest

from ringrift.records import GameStore, Journal

from .conftest import make_analysis, make_game
from .tables import counts_agree, rows

EVERY = 5
FILES = {"games.db", "games.db-wal", "games.db-shm", ".games.db.lock", "all.journal"}


def make_source(folder, count):
    """Games for the writer, as a journal, and what of them must be in the store."""
    games = [make_game(seed=seed) for seed in range(count)]
    items = [(game, make_analysis(game, entries=5)) for game in games]
    path = folder / "all.journal"
    with Journal(path) as journal:
        for item in items:
            journal.append(*item)
    return path, items


def kill_often(folder, spawn_writer, times, *, games):
    path = folder / "games.db"
    source, items = make_source(folder, games)
    rng, kills, done, sizes = random.Random(5), 0, 0, []
    for _ in range(times):
        writer = spawn_writer("write_store", path, source)
        time.sleep(rng.uniform(0, 0.02))
        printed = writer.kill(after_lines=rng.randrange(4) + done // EVERY)
        done = max(printed, default=done)
        kills += writer.process.returncode == -9
        with GameStore.open(path) as reader:
            stored = [(game, analysis) for _, game, analysis in reader.records()]
            assert stored == items[: len(stored)]
            assert len(stored) >= max(printed, default=0)
            assert len(stored) % EVERY == 0
            sizes.append(len(stored))
            assert reader.progress("all").items == len(stored)
        assert counts_agree(path)
        left = {file.name for file in folder.iterdir()} - {".all.journal.lock"}
        assert left <= FILES
    spawn_writer("write_store", path, source).rest()
    with GameStore.open(path) as reader:
        assert [(g, a) for _, g, a in reader.records()] == items
        assert reader.quarantined() == []
        assert reader.verify_all().failures == ()
        assert (reader.progress("all").items, reader.progress("all").done) == (games, True)
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    return kills, {size for size in sizes if size < games}


@pytest.mark.slow
def test_three_kills_lose_and_double_nothing(tmp_path, spawn_writer):
    kills, _ = kill_often(tmp_path, spawn_writer, 3, games=60)
    assert kills >= 2


@pytest.mark.acceptance
def test_twenty_kills_lose_and_double_nothing(tmp_path, spawn_writer):
    kills, sizes = kill_often(tmp_path, spawn_writer, 20, games=200)
    assert kills >= 10
    assert len(sizes) >= 3  # they really died on the way
