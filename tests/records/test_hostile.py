"""Hostile records through the ingest of the store: refused with a reason, or the original."""

import json
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringrift.records import GameStore, Journal
from ringrift.records.refused import Refused
from ringrift.records.shards import write_shards
from ringrift.records.sources import scan_games

from .hostile import (
    GAMES,
    LINES,
    PAIRS,
    RAW_PAIRS,
    REASONS,
    TREES,
    as_line,
    changed,
    changes,
    damaged,
    identity_of,
    resealed,
)

IDENTITIES = {game.id: identity_of(game) for game in GAMES}
BY_ID = {game.id: pair for game, pair in zip(GAMES, PAIRS, strict=True)}

FEW, MANY = 500, 25_000
"""Hostile records of each of the four kinds."""


@pytest.fixture
def ingest(tmp_path_factory):
    """Take items into an empty store; all it keeps must be real, all else refused with reason."""
    seen = {"records": 0, "refused": 0, "accepted": 0}

    def take(items, source, *, exact=True):
        items = list(items)
        with GameStore.open(tmp_path_factory.mktemp("s") / "games.db", writer=True) as store:
            report = store.ingest(items, source=source)
            assert report.considered == len(items)
            assert report.reasons.keys() <= REASONS
            assert sum(report.reasons.values()) == report.quarantined
            kept = store.quarantined()
            assert len(kept) <= report.quarantined  # the same bytes are kept once
            assert bool(kept) == bool(report.quarantined)
            for row in kept:
                assert row["reason"] in REASONS
                assert row["detail"]
                assert row["source"] == source
            for _, game, analysis in store.records():
                if exact:
                    original, searched = BY_ID[game.id]
                    assert game == original
                    assert analysis in (None, searched)
                else:
                    assert identity_of(game) == IDENTITIES[game.id]
        seen["records"] += len(items)
        seen["refused"] += report.quarantined
        seen["accepted"] += report.considered - report.quarantined
        return report

    take.seen = seen
    return take


@pytest.fixture(autouse=True, scope="module")
def loaded(tmp_path_factory):
    """Compile what reads, names and verifies records, and let Hypothesis gather its tables and the
    constants of all that is imported: neither is memory that a record takes.
    """
    settings(database=None)(given(changes)(lambda change: None))()
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "games.jsonl").write_bytes(b"\n".join(LINES) + b"\n")
    with GameStore.open(folder / "games.db", writer=True) as store:
        read = store.ingest(list(scan_games(folder / "games.jsonl")), source="lines")
        assert (read.added, read.quarantined) == (len(GAMES), 0)
        assert store.ingest(RAW_PAIRS, source="bytes").quarantined == 0


@pytest.fixture(autouse=True)
def memory(loaded):
    """No test of this file may need more than 150 MB beyond what the program has loaded."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"peak memory grew by {grown_mb:.0f} MB")
    assert grown_mb < 150


counts = pytest.mark.parametrize(
    "count", [FEW, pytest.param(MANY, marks=[pytest.mark.acceptance, pytest.mark.timeout(3600)])]
)


def where_of(path, items):
    """Check that each refusal of a reader names the file and a place in it."""
    for item in items:
        if isinstance(item, Refused):
            assert str(item.error.where).startswith((f"{path}:", f"{path} byte "))
    return items


@pytest.mark.slow
@counts
def test_damaged_lines(ingest, tmp_path, count):
    rng, path = random.Random(1), tmp_path / "games.jsonl"
    for _ in range(count // 25):
        lines = []
        for _ in range(25):
            game = 2 * rng.randrange(len(GAMES))
            pair = [LINES[game], LINES[game + 1]]
            bad = rng.randrange(2)
            pair[bad] = damaged(pair[bad], rng)
            lines += pair
        path.write_bytes(b"\n".join(lines) + b"\n")
        ingest(where_of(path, list(scan_games(path))), str(path))
    print(ingest.seen)
    assert ingest.seen["refused"] > count / 2


@pytest.mark.slow
@counts
def test_damaged_journals_and_shards(ingest, tmp_path, count):
    rng = random.Random(2)
    with Journal(tmp_path / "good.journal") as journal:
        for pair in PAIRS:
            journal.append(*pair)
    good = (tmp_path / "good.journal").read_bytes()
    for made in write_shards(tmp_path / "shards", [(g, [a]) for g, a in PAIRS]):
        path, found = tmp_path / "bad.rrshard", []
        real = made.path.read_bytes()
        for _ in range(count // 8):
            data = damaged(real, rng)
            path.write_bytes(data)
            items = where_of(path, list(scan_games(path)))
            assert data == real or [type(item) for item in items] == [Refused]
            found += items
        ingest(found, str(path))
    path = tmp_path / "bad.journal"
    for _ in range(count // 50):
        found = []
        for _ in range(25):
            path.write_bytes(damaged(good, rng))
            found += where_of(path, list(scan_games(path)))
        ingest(found, str(path))
    print(ingest.seen)
    assert ingest.seen["refused"] >= count / 2


@pytest.mark.slow
@counts
def test_damaged_records(ingest, count):
    rng = random.Random(3)
    for _ in range(count // 100):
        items = []
        for _ in range(100):
            pair = list(rng.choice(RAW_PAIRS))
            bad = rng.randrange(2)
            pair[bad] = damaged(pair[bad], rng)
            items.append(tuple(pair))
        ingest(items, "bytes")
    print(ingest.seen)
    assert ingest.seen["refused"] > 0.95 * ingest.seen["records"]


@pytest.mark.slow
@counts
def test_records_of_an_author_who_knows_the_format(ingest, tmp_path, count):
    """Values in wrong places, in JSON and in MessagePack whose digest is right."""

    @settings(max_examples=count // 50, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(st.tuples(st.integers(0, 2**20), changes), min_size=25, max_size=25))
    def examples(batch):
        path = tmp_path / "games.jsonl"
        lines = []
        for number, change in batch:
            place = number % len(TREES)
            lines += [LINES[place - 1]] if place % 2 else []
            lines.append(as_line(changed(TREES[place], change)))
        path.write_bytes(b"\n".join(lines) + b"\n")
        ingest(where_of(path, list(scan_games(path))), str(path), exact=False)
        ingest([resealed(*one) for one in batch], "resealed", exact=False)

    examples()
    print(ingest.seen)
    assert ingest.seen["refused"] > ingest.seen["records"] / 4


# --- what costs little to send and much to read

HEAVY = """
import json, resource, sys
from pathlib import Path
from ringrift.records import GameStore
from ringrift.records.sources import scan_games
sys.path.insert(0, {tests!r})
from tests.records.heavy_files import heavy_files
from tests.records.hostile import RAW_PAIRS

folder = Path({folder!r})
with GameStore.open(folder / "games.db", writer=True) as store:
    store.ingest(RAW_PAIRS)  # all that is compiled is loaded
    paths = heavy_files(folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + 250 * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for path in paths:
        report = store.ingest(scan_games(path), source=path.name)
        print(json.dumps([path.name, report.quarantined, dict(report.reasons)]))
"""


@pytest.mark.slow
def test_bombs_and_wild_lengths_need_no_memory(tmp_path):
    tests = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", HEAVY.format(tests=tests, folder=str(tmp_path))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 15
    for name, refused, reasons in found:
        assert refused >= 1, name
        assert reasons.keys() <= {"malformed", "truncated"}, name
