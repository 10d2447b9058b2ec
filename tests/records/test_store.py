"""The store: verified games only, one writer, nothing twice, nothing lost."""

import contextlib
import dataclasses
import os
import random
import sqlite3
import time

import pytest

from ringrift.core.errors import BusyError, DataError, RefusedError, UsageError
from ringrift.records import (
    GameMeta,
    GameStore,
    Journal,
    PlyAnalysis,
    VerificationError,
    analysis_to_bytes,
    build_record,
    to_bytes,
    verify,
)
from ringrift.records.analysis_bytes import open_pair
from ringrift.records.columns import split_of
from ringrift.records.schema import VERSION

from .conftest import CONFIGS, agents, make_analysis, make_game

GAMES = [make_game(seed=seed) for seed in range(12)]
SEARCHED = [(game, make_analysis(game) if i % 2 else None) for i, game in enumerate(GAMES)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "games.db"


@pytest.fixture
def store(path):
    with GameStore.open(path, writer=True) as store:
        yield store


def rows(path, sql):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def change(path, sql, *values):
    connection = sqlite3.connect(path)
    connection.execute(sql, values)
    connection.commit()
    connection.close()


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


# --- splits


def test_the_split_follows_the_play_alone(store):
    games = [make_game(seed=seed, limit=8) for seed in range(400)]
    store.ingest([(game, None) for game in games])
    sides = {row["id"]: row["split"] for row in store.rows()}
    again = [dataclasses.replace(g, agents=g.agents[::-1], seed=g.seed + 10_000) for g in games]
    assert store.ingest([(game, None) for game in again]).added == 400
    other = {row["id"]: row["split"] for row in store.rows()}
    assert [sides[a.id] for a in games] == [other[b.id] for b in again]
    assert {split: list(sides.values()).count(split) for split in ("val", "holdout")}.keys()
    trained = [game.id for _, game, _ in store.records(split="train")]
    both = {a.id: b.id for a, b in zip(games, again, strict=True)}
    expected = {min(a, b) for a, b in both.items() if sides[a] == "train"}
    assert set(trained) == expected  # of two games with one play only the smaller id


def test_shares_of_the_split():
    rng = random.Random(0)
    plays = [f"{rng.getrandbits(256):064x}" for _ in range(100_000)]
    sides = [split_of(play, "selfplay") for play in plays]
    assert sides.count("holdout") / 1e5 == pytest.approx(0.10, abs=0.003)
    assert sides.count("val") / 1e5 == pytest.approx(0.09, abs=0.003)
    for purpose in ("match", "human", "import", "reference"):
        assert {split_of(play, purpose) for play in plays[:100]} == {"never"}


def test_matches_are_never_trainable(store):
    match = dataclasses.replace(GAMES[0], meta=GameMeta(purpose="match"))
    store.ingest([(match, None)])
    assert [len(list(store.records(split=s))) for s in ("train", "val", "holdout")] == [0, 0, 0]
    assert len(list(store.records(split="never"))) == 1


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


def test_a_row_that_was_changed_later_is_withdrawn(path):
    with GameStore.open(path, writer=True) as store:
        store.ingest(SEARCHED)
    moves = list(GAMES[4].moves)
    moves[11] = 1 << 30
    forged = dataclasses.replace(GAMES[4], moves=tuple(moves))
    change(path, "UPDATE games SET record = ? WHERE seq = 5", to_bytes(forged))
    change(path, "UPDATE games SET winner = 3 - winner WHERE seq = 6")
    change(path, "UPDATE games SET split = 'never' WHERE seq = 7")
    change(path, "UPDATE analyses SET record = x'00' WHERE game = ?", GAMES[7].id)
    with GameStore.open(path) as reader:
        report = reader.verify_all()
        assert reader.count() == 12
    failures = {failure.id: failure for failure in report.failures}
    assert set(failures) == {GAMES[i].id for i in (4, 5, 6, 7)}
    assert (failures[GAMES[4].id].reason, failures[GAMES[4].id].ply) == ("illegal_move", 11)
    assert "winner" in str(failures[GAMES[5].id].detail) or failures[GAMES[5].id].reason
    with GameStore.open(path, writer=True) as store:
        assert len(store.verify_all().failures) == 4
        assert store.count() == 8
        assert len(store.quarantined()) == 4
        assert store.verify_all().failures == ()
        assert store.ingest([(GAMES[4], None)]).added == 1  # an intact copy takes its place
        assert store.get(GAMES[4].id) == (GAMES[4], None)
        assert store.verify_all().failures == ()


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


def test_a_newer_store_is_refused(path):
    GameStore.open(path, writer=True).close()
    change(path, f"PRAGMA user_version = {VERSION + 1}")
    for writer in (False, True):
        with pytest.raises(RefusedError, match=f"version {VERSION + 1}"):
            GameStore.open(path, writer=writer)


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


def test_tables_are_strict(path, store):
    with pytest.raises(sqlite3.IntegrityError):
        change(path, "INSERT INTO shards VALUES ('a', 'b', 'many', 1, 'c', 1.0)")
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


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


@pytest.mark.slow
def test_kill_9_at_random_instants_loses_and_doubles_nothing(path, tmp_path, spawn_writer):
    source = tmp_path / "all.journal"
    games = [make_game(seed=seed) for seed in range(200)]
    items = [(game, make_analysis(game, entries=5)) for game in games]
    with Journal(source) as journal:
        for item in items:
            journal.append(*item)
    ids = [game.id for game in games]
    rng, kills, done, sizes = random.Random(5), 0, 0, []
    for _ in range(20):
        writer = spawn_writer("write_store", path, source)
        time.sleep(rng.uniform(0, 0.02))
        printed = writer.kill(after_lines=rng.randrange(4) + done // 10)
        done = max(printed, default=done)
        kills += writer.process.returncode == -9
        with GameStore.open(path) as reader:
            stored = [(game, analysis) for _, game, analysis in reader.records()]
            assert stored == items[: len(stored)]
            assert len(stored) >= max(printed, default=0)
            assert len(stored) % 5 == 0
            sizes.append(len(stored))
            assert reader.verify_all().failures == ()
    assert kills >= 10
    assert len({size for size in sizes if size < 200}) >= 3  # they really died on the way
    spawn_writer("write_store", path, source).rest()
    with GameStore.open(path) as reader:
        assert [game.id for _, game, _ in reader.records()] == ids
        assert reader.quarantined() == []
        assert reader.verify_all().failures == ()


@pytest.mark.timed
@pytest.mark.acceptance
def test_ingest_is_fast_enough(store):
    store.ingest([(make_game(seed=10_000), None)])
    best_ms = min(_p99_ms(store, range(500 * i, 500 * i + 500)) for i in range(3))
    print(f"p99 {best_ms:.2f} ms a game, each in a transaction of its own")
    assert best_ms < 5


def _p99_ms(store, seeds):
    items = [to_bytes(make_game(seed=seed)) for seed in seeds]
    times = []
    for data in items:
        started = time.perf_counter()
        assert store.ingest([(data, None)]).added == 1
        times.append(time.perf_counter() - started)
    return 1000 * sorted(times)[int(0.99 * len(times))]


def test_errors_name_ply_and_reason():
    error = VerificationError("hash", "found a; expected b", ply=15)
    assert str(error) == "hash at ply 15: found a; expected b"
