"""How games enter the store: splits, imports, inputs taken in part, and what failed a recheck."""

import dataclasses
import random
from contextlib import suppress

import pytest

from ringrift.core.errors import RefusedError, UsageError
from ringrift.records import GameMeta, GameStore, VerificationError, build_record, to_bytes
from ringrift.records.columns import split_of
from ringrift.records.gate import Gate
from ringrift.records.ingest import ShardRow
from ringrift.records.refused import Refused

from .conftest import agents, make_analysis, make_game
from .tables import counts_agree, rows, tamper

GAMES = [make_game(seed=seed, limit=20) for seed in range(12)]
SEARCHED = [(game, make_analysis(game) if i % 2 else None) for i, game in enumerate(GAMES)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "games.db"


@pytest.fixture
def store(path):
    with GameStore.open(path, writer=True) as store:
        yield store


def of_purpose(game, purpose):
    return dataclasses.replace(game, meta=GameMeta(purpose=purpose))


# --- splits


def test_the_split_follows_the_play_alone(store):
    games = [make_game(seed=seed, limit=8) for seed in range(400)]
    first = store.ingest([(game, None) for game in games])
    sides = {row["id"]: row["split"] for row in store.rows()}
    again = [dataclasses.replace(g, agents=g.agents[::-1], seed=g.seed + 10_000) for g in games]
    report = store.ingest([(game, None) for game in again])
    assert (report.added, report.duplicate_play) == (400, 400)
    assert report.splits == first.splits
    other = {row["id"]: row["split"] for row in store.rows()}
    assert [sides[a.id] for a in games] == [other[b.id] for b in again]
    trained = [game.id for _, game, _ in store.records(split="train")]
    both = {a.id: b.id for a, b in zip(games, again, strict=True)}
    expected = {min(a, b) for a, b in both.items() if sides[a] == "train"}
    assert set(trained) == expected  # of two games with one play only the smaller id
    assert store.ingest([(make_game(seed=9_000), None)]).duplicate_play == 0


def test_shares_of_the_split():
    rng = random.Random(0)
    plays = [f"{rng.getrandbits(256):064x}" for _ in range(100_000)]
    sides = [split_of(play, "selfplay") for play in plays]
    assert sides.count("holdout") / 1e5 == pytest.approx(0.10, abs=0.003)
    assert sides.count("val") / 1e5 == pytest.approx(0.09, abs=0.003)
    for purpose in ("match", "human", "import", "reference"):
        assert {split_of(play, purpose) for play in plays[:100]} == {"never"}


@pytest.mark.parametrize("purpose", ["match", "human", "reference", "import"])
def test_other_purposes_are_never_trainable(store, purpose):
    gate = Gate(admit_imports=purpose != "import")
    store.ingest([(of_purpose(GAMES[0], purpose), None)], gate=gate)
    assert [len(list(store.records(split=s))) for s in ("train", "val", "holdout")] == [0, 0, 0]
    assert len(list(store.records(split="never"))) == 1
    assert store.verify_all().failures == ()


def test_imports_that_are_admitted_have_the_split_of_their_play(path, store):
    imported = [(of_purpose(game, "import"), None) for game in GAMES]
    store.ingest([(game, None) for game in GAMES])
    wanted = {row["id"]: row["split"] for row in store.rows()}
    assert len(set(wanted.values())) > 1
    with GameStore.open(path.with_name("other.db"), writer=True) as other:
        other.ingest(imported[:6])
        assert {row["split"] for row in other.rows()} == {"never"}
        report = other.ingest(imported, gate=Gate(admit_imports=True))
        assert (report.added, report.duplicate) == (6, 6)
        assert {row["id"]: row["split"] for row in other.rows()} == wanted
        assert other.ingest(imported).duplicate == 12  # and they stay so
        assert {row["id"]: row["split"] for row in other.rows()} == wanted
        assert other.verify_all().failures == ()
        assert counts_agree(other.path)


def test_more_holdout_moves_games_out_of_training_and_less_is_refused(path, store):
    games = [make_game(seed=seed, limit=6) for seed in range(300)]
    store.ingest([(game, None) for game in [*games[:150], of_purpose(GAMES[0], "match")]])
    before = {row["id"]: row["split"] for row in store.rows()}
    moved = store.raise_holdout(40)
    after = {row["id"]: row["split"] for row in store.rows()}
    changed = {key for key in before if before[key] != after[key]}
    assert moved == len(changed) > 20
    assert {after[key] for key in changed} == {"holdout"}
    assert after[of_purpose(GAMES[0], "match").id] == "never"
    assert (store.raise_holdout(40), counts_agree(path)) == (0, True)
    store.ingest([(game, None) for game in games])
    sides = [row["split"] for row in store.rows(limit=150)]
    assert 0.25 < sides.count("holdout") / 150 < 0.55  # new games follow the new share
    assert store.verify_all().failures == ()
    with pytest.raises(RefusedError, match="keeps out 40"):
        store.raise_holdout(39)
    with pytest.raises(UsageError):
        store.raise_holdout(101)


# --- the gate


def test_games_that_the_limit_cut_are_refused_where_asked(store):
    whole, cut = make_game(seed=1), GAMES[1]
    assert cut.result.end == "max_plies"
    report = store.ingest([(whole, None), (cut, None)], gate=Gate(completed=True))
    assert (report.added, dict(report.reasons), report.considered) == (1, {"incomplete": 1}, 2)
    assert store.ingest([(cut, None)]).added == 1


def test_what_a_reader_refused_goes_to_quarantine_with_its_place(store, path):
    error = VerificationError("truncated", "cut off", where="games.jsonl:7")
    refused = Refused(b"half a line", error)
    report = store.ingest([(GAMES[0], None), refused, (GAMES[1], None)], source="games.jsonl")
    assert (report.added, dict(report.reasons)) == (2, {"truncated": 1})
    (row,) = store.quarantined()
    assert "games.jsonl:7" in row["detail"]
    assert b"half a line" in rows(path, "SELECT record FROM quarantine")[0][0]
    assert store.quarantined(reason="hash") == []
    assert store.quarantined(reason="truncated", since=1.0) == [row]
    assert store.quarantined(since=row["at"] + 1) == []


def test_the_first_failing_test_of_the_gate_is_the_reason(store):
    good = make_game(seed=3)
    moves = list(good.moves)
    moves[9] = 1 << 30
    result = dataclasses.replace(good.result, elim=(9, 9))
    bad_search = make_analysis(good)
    first = bad_search.plies[0]
    bad_ply = dataclasses.replace(first, policy={7: 65_535})
    bad_search = dataclasses.replace(bad_search, plies=(bad_ply, *bad_search.plies[1:]))
    aborted = build_record(good.spec, 3, agents(2), good.moves[:20], end="aborted", reason="died")
    broken = dataclasses.replace(aborted, moves=(1 << 30, *aborted.moves[1:]))
    cases = [
        (dataclasses.replace(good, result=result), bad_search, "result"),
        (dataclasses.replace(good, moves=tuple(moves), result=result), None, "illegal_move"),
        (broken, None, "error_status"),
        (good, bad_search, "bad_policy"),
    ]
    for game, analysis, reason in cases:
        search = None if analysis is None else dataclasses.replace(analysis, game=game.id)
        assert dict(store.ingest([(game, search)]).reasons) == {reason: 1}


# --- inputs


def test_an_input_goes_on_where_it_ended(store, monkeypatch):
    monkeypatch.setattr("ringrift.records.store.COMMIT_EVERY", 5)

    def until(count):
        for number, item in enumerate(SEARCHED):
            if number == count:
                raise RuntimeError
            yield item

    with pytest.raises(RuntimeError):
        store.ingest(until(8), input_id="a")
    assert (store.progress("a").items, store.progress("a").done) == (5, False)
    report = store.ingest(SEARCHED, input_id="a")
    assert (report.skipped, report.added, report.considered) == (5, 7, 7)
    assert (store.progress("a").items, store.progress("a").done) == (12, True)
    report = store.ingest(until(0), input_id="a")  # not even read
    assert (report.skipped, report.considered) == (12, 0)
    assert store.progress("b").items == 0
    assert store.ingest(SEARCHED, input_id="b").duplicate == 12


def test_an_input_of_whole_batches_is_known_to_be_done(store, monkeypatch):
    monkeypatch.setattr("ringrift.records.store.COMMIT_EVERY", 6)
    store.ingest(SEARCHED, input_id="a")
    assert (store.progress("a").items, store.progress("a").done) == (12, True)
    store.ingest([], input_id="empty")
    assert store.progress("empty").done


def test_a_shard_is_noted_once_all_of_it_is_here(store, path, monkeypatch):
    monkeypatch.setattr("ringrift.records.store.COMMIT_EVERY", 5)
    shard = ShardRow(sha256="ab" * 32, path="games.rrshard", games=12, size_bytes=9, origin="h1")

    def broken():
        yield from SEARCHED[:7]
        raise RuntimeError

    with suppress(RuntimeError):
        store.ingest(broken(), shard=shard)
    assert (store.count(), rows(path, "SELECT * FROM shards")) == (5, [])
    store.ingest(SEARCHED, shard=shard)
    found = rows(path, "SELECT sha256, path, games, bytes, origin FROM shards")
    assert found == [(shard.sha256, "games.rrshard", 12, 9, "h1")]
    assert rows(path, "SELECT DISTINCT shard FROM games") == [(shard.sha256,)]
    assert store.ingest(SEARCHED, shard=shard).skipped == 12


# --- what failed a recheck


def test_a_row_that_was_changed_later_is_withdrawn_and_an_intact_copy_replaces_it(path):
    with GameStore.open(path, writer=True) as store:
        store.ingest(SEARCHED)
    moves = list(GAMES[4].moves)
    moves[11] = 1 << 30
    forged = dataclasses.replace(GAMES[4], moves=tuple(moves))
    tamper(path, "UPDATE games SET record = ? WHERE seq = 5", to_bytes(forged))
    tamper(path, "UPDATE games SET winner = 1 - winner WHERE seq = 6")
    tamper(path, "UPDATE games SET split = 'never' WHERE seq = 7 AND split != 'never'")
    tamper(path, "UPDATE analyses SET record = x'00' WHERE game = ?", GAMES[7].id)
    with GameStore.open(path) as reader:
        report = reader.verify_all()
        assert reader.count() == 12
    failures = {failure.id: failure for failure in report.failures}
    assert set(failures) >= {GAMES[i].id for i in (4, 5, 7)}
    assert failures[GAMES[4].id].reason == "id_mismatch"
    assert failures[GAMES[5].id].engine is None
    with GameStore.open(path, writer=True) as store:
        assert store.withdraw(report.failures) == len(failures)
        assert store.withdraw(report.failures) == 0
        assert store.count() == 12 - len(failures)
        assert len(store.quarantined()) == len(failures)
        assert counts_agree(path)
        assert store.verify_all().failures == ()
        before = store.max_seq()
        again = store.ingest(SEARCHED)
        assert (again.added, again.duplicate) == (len(failures), 12 - len(failures))
        assert {seq for seq, _ in store.ids(after_seq=before)} == {
            before + i for i in range(1, 1 + len(failures))
        }  # readers that went by the sequence see them
        assert store.verify_all().failures == ()
        assert store.get(GAMES[4].id) == SEARCHED[4]
        assert store.get(GAMES[7].id) == SEARCHED[7]
        assert counts_agree(path)
        assert rows(path, "PRAGMA foreign_key_check") == []
