"""Refused games: kept as they came, let in when they hold, named before they are let go."""

import dataclasses
import json
import time

import pytest

from ringrift.core.errors import UsageError
from ringrift.data.quarantine import drop, retry
from ringrift.records import GameMeta, GameStore, analysis_to_bytes, to_bytes, to_json
from ringrift.records.gate import Gate
from ringrift.records.recheck import Failure
from ringrift.records.sources import scan_games

from ..records.conftest import make_analysis, make_game
from ..records.tables import change

GAMES = [make_game(seed=seed, limit=20) for seed in range(6)]
POOL = Gate(admit_imports=True, completed=True)
LENIENT = Gate(admit_imports=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "games.db"


@pytest.fixture
def store(path):
    with GameStore.open(path, writer=True) as opened:
        yield opened


def ids(store):
    return {entry.id for entry in store.quarantine.entries()}


def test_what_holds_now_leaves_the_quarantine(store):
    store.ingest([(game, None) for game in GAMES], gate=POOL)
    assert store.quarantine.counts() == {"incomplete": 6}
    again = retry(store, store.quarantine.entries(), POOL)
    assert (again.considered, again.added, again.reasons) == (6, 0, {"incomplete": 6})
    again = retry(store, store.quarantine.entries(), LENIENT)
    assert (again.considered, again.added, again.reasons) == (6, 6, {})
    assert store.game_ids() == {game.id for game in GAMES}
    assert ids(store) == set()


def test_the_search_of_a_game_comes_with_it(store):
    searched = make_analysis(GAMES[0])
    store.ingest([(GAMES[0], searched)], gate=POOL)
    assert retry(store, store.quarantine.entries(), LENIENT).added == 1
    assert store.get(GAMES[0].id) == (GAMES[0], searched)


def test_an_import_that_holds_now_has_a_side(store):
    game = dataclasses.replace(make_game(seed=9), meta=GameMeta(purpose="import"))
    cut = dataclasses.replace(GAMES[1], meta=GameMeta(purpose="import"))
    store.ingest([(game, None), (cut, None)], gate=POOL)
    retry(store, store.quarantine.entries(), LENIENT)
    sides = {row["id"]: row["split"] for row in store.rows()}
    assert "never" not in sides.values()
    assert len(sides) == 2


def test_a_record_whose_line_was_refused_is_read_again(store, tmp_path):
    text = tmp_path / "games.jsonl"
    text.write_text(to_json(GAMES[0]).replace('"plies":20', '"plies":19') + "\n" + '{"a":1}\n')
    store.ingest(scan_games(text), source=str(text))
    before = store.quarantine.entries()
    assert {entry.reason for entry in before} == {"malformed", "result"}
    again = retry(store, before, LENIENT)
    assert (again.added, again.unreadable, again.reasons) == (0, 1, {"result": 1})
    assert store.quarantine.entries() == before, "they stay as they were"


def test_another_reason_is_told_with_the_one_before(store, path):
    store.ingest([(GAMES[0], None)], gate=POOL)
    bad = dataclasses.replace(GAMES[1], check=(*GAMES[1].check[:-1], 1))
    store.ingest([(bad, None)], gate=POOL, source="there")
    change(
        path, "UPDATE quarantine SET reason = 'invariant', detail = 'old' WHERE source = 'there'"
    )
    again = retry(store, store.quarantine.entries(), POOL)
    assert again.reasons == {"incomplete": 1, "hash": 1}
    (entry,) = store.quarantine.entries(reason="hash")
    assert entry.ply == 19
    assert entry.detail.endswith("; before: invariant: old")
    assert entry.source == "there"


def test_a_game_that_is_there_already_is_counted(store):
    store.ingest([(GAMES[0], None)], gate=POOL)
    store.ingest([(GAMES[0], None)])
    again = retry(store, store.quarantine.entries(), LENIENT)
    assert (again.added, again.duplicate) == (0, 1)
    assert ids(store) == set()


def test_a_withdrawn_game_that_holds_comes_back(store):
    store.ingest([(GAMES[0], None)])
    store.withdraw([Failure(id=GAMES[0].id, reason="hash", ply=3, detail="by a worse engine")])
    assert store.game_ids() == set()
    assert retry(store, store.quarantine.entries(), LENIENT).added == 1
    assert store.game_ids() == {GAMES[0].id}


def test_entries_by_reason_age_and_number(store, path):
    store.ingest([(game, None) for game in GAMES], gate=POOL)
    store.ingest([(b"\x00", None)])
    change(path, "UPDATE quarantine SET at = at - 86400 WHERE reason = 'incomplete'")
    now = time.time()
    assert len(store.quarantine.entries(before=now - 3600)) == 6
    assert len(store.quarantine.entries(since=now - 3600)) == 1
    assert len(store.quarantine.entries(reason="incomplete", limit=4)) == 4
    assert store.quarantine.entries()[0].reason in {"malformed", "truncated"}


def test_what_is_dropped_is_named_first(store, tmp_path):
    import hashlib

    searched = make_analysis(GAMES[0])
    store.ingest([(GAMES[0], searched), (GAMES[1], None)], gate=POOL, source="a file")
    entries = store.quarantine.entries()
    manifest = drop(store, entries, tmp_path / "quarantine")
    assert ids(store) == set()
    tree = json.loads(manifest.read_text())
    assert (tree["format"], tree["games"]) == ("ringrift.dropped/1", 2)
    by_id = {one["id"]: one for one in tree["dropped"]}
    assert by_id.keys() == {entry.id for entry in entries}
    hashes = {(one["game_sha256"], one["analysis_sha256"]) for one in by_id.values()}
    digest = lambda data: hashlib.sha256(data).hexdigest()  # noqa: E731 - short
    assert hashes == {
        (digest(to_bytes(GAMES[0])), digest(analysis_to_bytes(searched))),
        (digest(to_bytes(GAMES[1])), None),
    }
    assert {one["source"] for one in by_id.values()} == {"a file"}


def test_nothing_is_dropped_where_the_manifest_cannot_be_written(store, tmp_path):
    store.ingest([(GAMES[0], None)], gate=POOL)
    (tmp_path / "quarantine").write_text("in the way")
    with pytest.raises(OSError, match="quarantine"):
        drop(store, store.quarantine.entries(), tmp_path / "quarantine")
    assert len(ids(store)) == 1


def test_an_entry_is_found_by_its_first_digits(store):
    store.ingest([(GAMES[0], None)], gate=POOL)
    (entry,) = store.quarantine.entries()
    assert store.quarantine.find(entry.id[:8]) == entry.id
    assert store.quarantine.get(entry.id)[1] == to_bytes(GAMES[0])
    with pytest.raises(UsageError, match="none starts with"):
        store.quarantine.find("0" * 12)
    with pytest.raises(UsageError, match="no game"):
        store.quarantine.get("0" * 64)
