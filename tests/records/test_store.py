"""The store: verified games only, one writer, nothing twice, nothing lost."""

import contextlib
import dataclasses
import os
import random
import time

import pytest

from ringrift.core.errors import BusyError, DataError, UsageError
from ringrift.records import (
    GameMeta,
    GameStore,
    PlyAnalysis,
    VerificationError,
    analysis_to_bytes,
    build_record,
    to_bytes,
    verify,
)
from ringrift.records.analysis_bytes import open_pair

from .conftest import CONFIGS, agents, make_analysis, make_game
from .tables import change, rows

GAMES = [make_game(seed=seed) for seed in range(12)]
SEARCHED = [(game, make_analysis(game) if i % 2 else None) for i, game in enumerate(GAMES)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "games.db"


@pytest.fixture
def store(path):
    with GameStore.open(path, writer=True) as store:
        yield store


# --- what goes in comes out


def test_games_come_out_as_they_went_in(store, path):
    report = store.ingest(SEARCHED)
    assert (report.added, report.duplicate, report.quarantined) == (12, 0, 0)
    assert report.analyses == 6
    found = list(store.records("square8_2p"))
    assert [(game, analysis) for _, game, analysis in found] == SEARCHED
    assert [seq for seq, _, _ in found] == list(range(1, 13))
    assert store.max_seq() == 12
    assert store.game_ids() == {game.id for game in GAMES}
    assert store.get(GAMES[3].id) == SEARCHED[3]
    assert store.get("0" * 64) is None
    with GameStore.open(path) as reader:
        assert [game for _, game, _ in reader.records()] == GAMES


def test_every_configuration_is_stored(store):
    games = [make_game(board, players, seed=1) for board, players in CONFIGS]
    items = [(game, make_analysis(game, every=11)) for game in games]
    assert store.ingest(items).added == 12
    for item in items:
        config = item[0].spec.config
        assert [(g, a) for _, g, a in store.records(config)] == [item]
        assert store.count(config) == 1
    assert store.verify_all().failures == ()


def test_repeated_ingest_changes_nothing(store, path):
    store.ingest(SEARCHED)
    before = rows(path, "SELECT * FROM games ORDER BY id")
    again = store.ingest([*SEARCHED, *((to_bytes(g), None) for g in GAMES), *SEARCHED])
    assert (again.added, again.duplicate, again.quarantined, again.analyses) == (0, 36, 0, 0)
    assert rows(path, "SELECT * FROM games ORDER BY id") == before
    renamed = dataclasses.replace(GAMES[0], meta=GameMeta(host="elsewhere"))
    assert store.ingest([(renamed, None)]).duplicate == 1
    assert rows(path, "SELECT * FROM games ORDER BY id") == before


def test_a_later_analysis_joins_its_game_and_the_deepest_counts(store):
    game = GAMES[0]
    shallow, deep = make_analysis(game, sims=16), make_analysis(game, sims=64)
    store.ingest([(game, None)])
    report = store.ingest([(game, deep), (game, shallow)])
    assert (report.duplicate, report.analyses) == (2, 2)
    assert store.get(game.id) == (game, deep)
    assert [a for _, _, a in store.records()] == [deep]
    assert len(store.analyses(game.id)) == 2


def test_records_are_chosen_by_every_filter(store):
    match = [
        dataclasses.replace(game, meta=GameMeta(purpose="match", run="m", index=i))
        for i, game in enumerate(GAMES[:4])
    ]
    store.ingest([(game, None) for game in [*match, *GAMES[4:]]])
    assert [g.id for _, g, _ in store.records(purpose="match")] == [g.id for g in match]
    assert len(list(store.records(run="test"))) == 8
    assert [seq for seq, _, _ in store.records(after_seq=10)] == [11, 12]
    assert [seq for seq, _, _ in store.records(limit=3)] == [1, 2, 3]
    assert [seq for seq, _, _ in store.records(limit=3, newest_first=True)] == [12, 11, 10]
    assert list(store.records(limit=0)) == []
    assert list(store.records("hex8_2p")) == []
    assert (store.count(), store.count(run="m"), store.count(purpose="selfplay")) == (12, 4, 8)
    assert store.count("square8_2p", "test", "match") == 0
    assert store.indices("m") == {0, 1, 2, 3}
    assert store.indices("test", purpose="selfplay") == set(range(4, 12))
    assert store.game_ids(run="m") == {g.id for g in match}
    model = GAMES[0].agents[0].model_id
    assert len(store.rows(model=model, limit=5)) == 5
    assert store.rows(model="0" * 64) == []
    assert store.rows(since=time.time() + 10) == []
    with pytest.raises(UsageError, match="train, val, holdout, never"):
        list(store.records(split="trains"))


def test_pages_follow_each_other(store, monkeypatch):
    monkeypatch.setattr("ringrift.records.store._PAGE", 5)
    store.ingest(SEARCHED)
    assert [seq for seq, _, _ in store.records()] == list(range(1, 13))
    assert [seq for seq, _, _ in store.records(newest_first=True)] == list(range(12, 0, -1))
    assert [seq for seq, _, _ in store.records(after_seq=1, limit=6)] == [2, 3, 4, 5, 6, 7]
    assert store.verify_all().games == 12
    for seq, _, _ in store.records():  # a page is no open transaction: writing goes on
        store.ingest([(make_game(seed=100 + seq), None)])
        if seq > 20:
            break


# --- what does not verify


def test_what_does_not_verify_is_quarantined_with_reason_and_ply(store, path):
    good, other = GAMES[0], GAMES[1]
    moves = list(good.moves)
    moves[9] = 1 << 30
    illegal = dataclasses.replace(good, moves=tuple(moves))
    wrong = dataclasses.replace(good, result=dataclasses.replace(good.result, elim=(9, 9)))
    aborted = build_record(good.spec, 3, agents(2), good.moves[:5], end="aborted", reason="died")
    flipped = bytearray(to_bytes(good))
    flipped[200] ^= 4
    search = make_analysis(other)
    ply = search.plies[2]
    bad_key = PlyAnalysis(
        **{name: getattr(ply, name) for name in PlyAnalysis.__slots__ if name != "policy"},
        policy={14: 65_535},
    )
    bad_search = dataclasses.replace(search, plies=(*search.plies[:2], bad_key))
    report = store.ingest(
        [
            (illegal, None),
            (wrong, None),
            (aborted, None),
            (bytes(flipped), None),
            (other, bad_search),
            (b"", None),
            (GAMES[2], b"nothing"),
        ],
        source="here.jsonl",
    )
    assert (report.added, report.quarantined) == (0, 7)
    assert dict(report.reasons) == {
        "illegal_move": 1,
        "result": 1,
        "error_status": 1,
        "malformed": 2,
        "bad_policy": 1,
        "truncated": 1,
    }
    assert store.count() == 0
    assert list(store.records()) == []
    refused = {row["reason"]: row for row in store.quarantined()}
    assert refused["illegal_move"]["ply"] == 9
    assert refused["result"]["ply"] == len(good.moves) - 1
    assert refused["bad_policy"]["ply"] == ply.ply
    assert {row["source"] for row in refused.values()} == {"here.jsonl"}
    kept = [open_pair(row[0]) for row in rows(path, "SELECT record FROM quarantine")]
    assert (bytes(flipped), None) in kept
    assert (to_bytes(other), analysis_to_bytes(bad_search)) in kept
    store.ingest([(illegal, None)])
    assert len(store.quarantined()) == 7
    assert store.ingest([(good, None), (other, search)]).added == 2


@pytest.mark.parametrize("seed", range(5))
def test_altered_bytes_never_get_in(store, seed):
    rng = random.Random(seed)
    originals = {game.id: game for game in GAMES}
    items = []
    for game, analysis in SEARCHED * 8:
        data, search = bytearray(to_bytes(game)), None
        if analysis is not None:
            search = bytearray(analysis_to_bytes(analysis))
        target = search if search is not None and rng.random() < 0.5 else data
        for _ in range(rng.randrange(1, 4)):
            target[rng.randrange(len(target))] = rng.randrange(256)
        items.append((bytes(data), None if search is None else bytes(search)))
    report = store.ingest(items)
    assert report.quarantined > 0.9 * len(items)
    for _, game, _ in store.records():
        assert game == originals[game.id]
        verify(game)


# --- files and writers


def test_a_second_writer_is_refused_with_the_pid(path, spawn_writer):
    writer = spawn_writer("hold_store", path, path)
    with pytest.raises(BusyError, match=str(writer.process.pid)) as caught:
        GameStore.open(path, writer=True)
    assert caught.value.exit_code == 75
    with GameStore.open(path) as reader:
        assert reader.count() == 0
    writer.kill()
    GameStore.open(path, writer=True).close()


def test_a_reader_cannot_write(path, store):
    with GameStore.open(path) as reader, pytest.raises(DataError):
        reader.ingest([(GAMES[0], None)])


def test_a_missing_damaged_or_foreign_file_is_named(tmp_path, path):
    with pytest.raises(DataError, match=r"games\.db"):
        GameStore.open(path)
    path.write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    with pytest.raises(DataError, match=r"games\.db"):
        GameStore.open(path, writer=True)
    foreign = tmp_path / "foreign.db"
    change(foreign, "CREATE TABLE other (a)")
    for writer in (False, True):
        with pytest.raises(DataError, match="no game store"):
            GameStore.open(foreign, writer=writer)
    with pytest.raises(DataError):
        GameStore.open(tmp_path / "none" / "games.db")


def test_damaged_pages_are_a_data_error(path):
    with GameStore.open(path, writer=True) as store:
        store.ingest([(make_game(seed=seed), None) for seed in range(60)])
        ids = store.game_ids()
    content = bytearray(path.read_bytes())
    rng = random.Random(3)
    for _ in range(40):
        altered = bytearray(content)
        for _ in range(rng.choice((3, 30, 300))):
            altered[rng.randrange(100, len(altered))] ^= rng.randrange(1, 256)
        path.write_bytes(altered)
        with contextlib.suppress(DataError), GameStore.open(path) as reader:
            reader.count()
            reader.verify_all()
            for _, game, _ in reader.records():
                assert game.id in ids


def test_ids_are_found_by_their_beginning(store):
    store.ingest(SEARCHED)
    assert store.find(GAMES[0].id[:8]) == GAMES[0].id
    for prefix in ("abc", "0" * 12, "not hex!"):
        with pytest.raises(UsageError):
            store.find(prefix)


def test_an_error_within_a_batch_leaves_nothing_of_it(store):
    def broken():
        yield GAMES[0], None
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.ingest(broken())
    assert store.count() == 0
    with pytest.raises((TypeError, AttributeError)):
        store.ingest([(GAMES[0], None), (17, None)])
    assert store.count() == 0
    assert store.ingest([(GAMES[0], None)]).added == 1


def test_errors_name_ply_and_reason():
    error = VerificationError("hash", "found a; expected b", ply=15)
    assert str(error) == "hash at ply 15: found a; expected b"
