"""The pool: each good game once, the others in quarantine with the reason, nothing read twice."""

import gzip
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from ringrift.core.errors import BusyError
from ringrift.data.pool import build
from ringrift.data.pool.build import build_pool
from ringrift.data.pool.request import PoolRequest
from ringrift.records import GameStore, Journal, to_json
from ringrift.records.foreign import write_lines, write_replay_db
from ringrift.records.shards import write_shards

from .files import (
    lines_of,
    make_analysis,
    make_game,
    of_purpose,
    pool,
    refused,
    sides,
    stored,
    tampered,
)

GAMES = [make_game(seed=seed) for seed in range(24)]


def totals(report, *names):
    return tuple(report["totals"][name] for name in names)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "pool.db"


def contents(folder):
    """Bytes of the files, without those that SQLite keeps beside an open database."""
    kept = (path for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm")))
    return {path: path.read_bytes() for path in kept}


def three_inputs(folder):
    """A store, a shard and JSON lines with a tampered move, a match, a duplicate, a cut line."""
    with GameStore.open(folder / "selfplay.db", writer=True, kind="selfplay") as store:
        store.ingest([(game, make_analysis(game)) for game in GAMES[:8]])
    (shard,) = write_shards(folder, [(game, []) for game in GAMES[7:16]])
    match = of_purpose(GAMES[16], "match")
    cut = lines_of(GAMES[19])[0]
    lines = [
        *lines_of(*GAMES[17:19], match),
        tampered(GAMES[20], 30),
        cut[: len(cut) // 2] + b"\n",
    ]
    path = folder / "games.jsonl"
    path.write_bytes(b"".join(lines))
    return [folder / "selfplay.db", shard.path, path], match


def test_three_inputs_with_one_of_each_fault(tmp_path, output):
    inputs, match = three_inputs(tmp_path)
    report = pool(output, *inputs)
    good = [*GAMES[:16], *GAMES[17:19], match]
    found = stored(output)
    assert set(found) == {game.id for game in good}
    assert found[match.id] == ("never", "match")
    assert sum(split == "never" for split, _ in found.values()) == 1
    assert [(reason, ply) for reason, ply, _, _ in refused(output)] == [
        ("illegal_move", 30),
        ("truncated", None),
    ]
    assert [
        where.rsplit(":", 1)[1]
        for *_, where in [(0, e["where"].split()[0]) for e in report["inputs"][2]["examples"]]
    ] == ["4", "5"]
    assert totals(report, "games_considered", "duplicates", "skipped_existing") == (21, 1, 0)
    assert report["totals"]["quarantined"] == {"illegal_move": 1, "truncated": 1}
    assert report["totals"]["never_trainable"] == 1
    assert report["totals"]["analyses"] == 8
    passed = totals(report, "training_passed", "validation_passed", "holdout_passed")
    assert sum(passed) == 18
    assert report["parity_summary"] == {
        "total_games_checked": 21,
        "passed": 19,
        "semantic_divergence": 1,
        "structural_issues": 1,
        "non_canonical_history": 0,
    }
    with GameStore.open(output) as store:
        assert store.kind == "canonical"
        assert store.verify_all().failures == ()


@pytest.mark.timed
def test_a_second_run_reads_no_game(tmp_path, output):
    inputs, _ = three_inputs(tmp_path)
    pool(output, *inputs)
    before = output.read_bytes()
    began_s = time.perf_counter()
    again = pool(output, *inputs)
    assert time.perf_counter() - began_s < 1
    assert again["totals"]["games_considered"] == 0
    assert [one["skipped_existing"] for one in again["inputs"]] == [8, 9, 5]
    assert again["totals"]["quarantined"] == {}
    assert output.read_bytes() == before


def test_every_kind_of_file_gives_the_same_games(tmp_path):
    lines = b"".join(lines_of(*GAMES[:6], searched=True))
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(lines))
    pairs = [(game, make_analysis(game, entries=5)) for game in GAMES[:6]]
    write_shards(tmp_path, [(game, [analysis]) for game, analysis in pairs])
    with Journal(tmp_path / "a.journal") as journal:
        for pair in pairs:
            journal.append(*pair)
    with GameStore.open(tmp_path / "a.db", writer=True) as store:
        store.ingest(pairs)
    found = {}
    for path in [*sorted(tmp_path.glob("a.*")), *tmp_path.glob("*.rrshard")]:
        output = tmp_path / "out" / f"{path.name}.db"
        report = pool(output, path)
        assert totals(report, "games_considered", "analyses") == (6, 6), path
        found[path.suffix] = sides(output)
    assert set(found) == {".jsonl", ".gz", ".zst", ".rrshard", ".journal", ".db"}
    assert all(split == found[".jsonl"] for split in found.values())


def test_foreign_files_enter_as_imports_and_matches_never_train(tmp_path, output):
    copies = [(game, None) for game in GAMES[:4]]
    write_lines(tmp_path / "a.jsonl", "selfplay-jsonl", copies)
    write_replay_db(tmp_path / "a.db", copies)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    rows[0]["source"] = "nightly_elo_tournament"
    rows[1]["source"] = "ladder-7"
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = pool(output, tmp_path / "b.jsonl", match_sources=("Ladder",), count_matches=True)
    found = stored(output)
    assert sorted(purpose for _, purpose in found.values()) == [
        "import",
        "import",
        "match",
        "match",
    ]
    assert {split for split, purpose in found.values() if purpose == "match"} == {"never"}
    assert "never" not in {split for split, purpose in found.values() if purpose == "import"}
    assert totals(report, "never_trainable", "tournament_games") == (2, 2)
    other = pool(tmp_path / "two.db", tmp_path / "a.db")
    assert totals(other, "games_considered", "never_trainable", "tournament_games") == (4, 0, None)
    assert pool(tmp_path / "two.db", tmp_path / "a.db")["totals"]["skipped_existing"] == 4


def test_the_split_is_that_of_any_other_host_and_order(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "g.jsonl").write_bytes(b"".join(lines_of(*GAMES)))
    (tmp_path / "b" / "h.jsonl").write_bytes(b"".join(lines_of(*GAMES[::-1])))
    pool(tmp_path / "a.db", tmp_path / "a" / "g.jsonl")
    pool(tmp_path / "b.db", tmp_path / "b" / "h.jsonl", workers=1)
    assert sides(tmp_path / "a.db") == sides(tmp_path / "b.db")


def test_games_that_the_limit_cut_need_leave(tmp_path, output):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines_of(GAMES[0], make_game(seed=90, limit=20))))
    report = pool(output, path)
    assert report["totals"]["quarantined"] == {"incomplete": 1}
    assert report["parity_summary"]["passed"] == 2  # nothing is wrong with its record
    assert pool(output, path, completed=False)["totals"]["games_considered"] == 2
    assert len(stored(output)) == 2


def test_only_the_configuration_that_is_asked_for(tmp_path, output):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines_of(GAMES[0], make_game("hex8", 3, seed=2), GAMES[1])))
    report = pool(output, path, board="hex8", players=3)
    assert totals(report, "games_considered") == (1,)
    with GameStore.open(output) as store:
        assert store.counts() == {"hex8_3p": 1}
    assert pool(output, path)["totals"]["games_considered"] == 3  # read anew: another request
    assert len(stored(output)) == 3


def test_a_limit_is_gone_on_from(tmp_path, output):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines_of(*GAMES[:10])))
    for expected in (4, 8, 10):
        pool(output, path, limit=4)
        assert len(stored(output)) == expected
    assert pool(output, path, limit=4)["totals"]["games_considered"] == 0


def test_a_dry_run_changes_no_byte_and_says_what_would_come(tmp_path, output):
    inputs, _ = three_inputs(tmp_path)
    before = contents(tmp_path)
    planned = pool(output, *inputs, dry_run=True)
    assert contents(tmp_path) == before
    real = pool(output, *inputs)
    names = [name for name in real["totals"] if name != "games_per_s"]
    assert [planned["totals"][name] for name in names] == [real["totals"][name] for name in names]
    assert pool(output, *inputs, dry_run=True)["totals"]["games_considered"] == 0


@pytest.mark.slow
def test_more_processes_give_the_same_store(tmp_path):
    inputs, _ = three_inputs(tmp_path)
    one = pool(tmp_path / "one.db", *inputs)
    two = pool(tmp_path / "two.db", *inputs, workers=2)
    assert one["totals"] == two["totals"]
    columns = "seq, id, play_hash, split, purpose, shard, record"
    found = []
    for name in ("one.db", "two.db"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            rows = connection.execute(f"SELECT {columns} FROM games ORDER BY seq").fetchall()
            found.append((rows, refused(tmp_path / name)))
    assert found[0] == found[1]


def test_holdout_and_quarantine_are_written_to_stores_of_their_own(tmp_path, output):
    inputs, _ = three_inputs(tmp_path)
    side = {"holdout": tmp_path / "h.db", "quarantine": tmp_path / "q.db"}
    pool(output, inputs[0])
    pool(output, *inputs, **side)  # also what came before
    kept = {i for i, split in sides(output).items() if split == "holdout"}
    assert kept
    assert sides(side["holdout"]) == dict.fromkeys(kept, "holdout")
    assert refused(side["quarantine"]) == refused(output)
    assert stored(side["quarantine"]) == {}
    more = tmp_path / "more.jsonl"
    more.write_bytes(b"".join(lines_of(*(make_game(seed=seed) for seed in range(60, 80)))))
    pool(output, more, **side)
    kept = {i for i, split in sides(output).items() if split == "holdout"}
    assert set(sides(side["holdout"])) == kept


def test_an_input_that_cannot_be_read_does_not_stop_the_others(tmp_path, output):
    good = tmp_path / "a.jsonl"
    good.write_bytes(b"".join(lines_of(*GAMES[:3])))
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    report = pool(output, tmp_path / "other.db", good)
    assert "expected games" in report["inputs"][0]["error"]
    assert len(stored(output)) == 3
    request = PoolRequest(output=output, scanned=(tmp_path / "other.db",))
    assert build_pool(request).as_json()["inputs"][0]["ignored"]


def test_json_lines_that_are_no_games_are_passed_over_in_a_scan(tmp_path, output):
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "started"}\n{"event": "ended"}\n')
    found = build_pool(PoolRequest(output=output, scanned=(path,))).inputs[0]
    assert (found.ignored, found.looked_at) == (True, 0)
    named = pool(output, path)
    assert named["totals"]["quarantined"] == {"malformed": 2}


def test_analyses_that_a_store_got_later_follow(tmp_path, output):
    source = tmp_path / "games.db"
    with GameStore.open(source, writer=True) as store:
        store.ingest([(game, None) for game in GAMES[:4]])
    pool(output, source)
    with GameStore.open(source, writer=True) as store:
        store.ingest([(game, make_analysis(game)) for game in GAMES[:2]])
        store.ingest([(GAMES[5], make_analysis(GAMES[5]))])
    report = pool(output, source)
    assert totals(report, "analyses", "training_passed", "duplicates")[0] == 3
    with GameStore.open(output) as store:
        for game in (*GAMES[:2], GAMES[5]):
            assert store.analyses(game.id) == [make_analysis(game)]
    assert pool(output, source)["totals"]["games_considered"] == 0


def test_a_store_that_was_made_anew_is_read_from_its_start(tmp_path, output):
    source = tmp_path / "games.db"
    with GameStore.open(source, writer=True) as store:
        store.ingest([(game, None) for game in GAMES[:4]])
    pool(output, source)
    for path in tmp_path.glob("*games.db*"):
        path.unlink()
    with GameStore.open(source, writer=True) as store:
        store.ingest([(game, None) for game in GAMES[4:9]])
    pool(output, source)
    assert set(stored(output)) == {game.id for game in GAMES[:9]}


def test_a_second_writer_is_refused(tmp_path, output):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines_of(GAMES[0])))
    with GameStore.open(output, writer=True), pytest.raises(BusyError, match="process"):
        pool(output, path)


def test_500_games_become_visible_together_with_their_mark(tmp_path, output, monkeypatch):
    monkeypatch.setattr(build, "COMMIT_EVERY", 5)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines_of(*GAMES[:12])))
    seen = []
    real = build._Batch.write

    def write(batch, state):
        real(batch, state)
        with closing(sqlite3.connect(output)) as connection:
            games = connection.execute("SELECT count(*) FROM games").fetchone()[0]
            marks = connection.execute("SELECT items, size FROM inputs").fetchall()
        seen.append((games, marks))

    monkeypatch.setattr(build._Batch, "write", write)
    pool(output, path)
    size = path.stat().st_size
    assert seen == [(5, [(5, None)]), (10, [(10, None)]), (12, [(12, size)])]


def test_a_planted_copy_under_another_id_is_stored_but_only_one_is_trainable(tmp_path, output):
    import dataclasses

    copies = [dataclasses.replace(game, seed=game.seed + 1_000) for game in GAMES[:10]]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines_of(*GAMES[:10], *copies)))
    report = pool(output, path)
    assert totals(report, "duplicate_play", "duplicates") == (10, 0)
    with GameStore.open(output) as store:
        trained = {game.id for _, game, _ in store.records(split="train")}
    found = sides(output)
    both = zip(GAMES, copies, strict=False)
    assert trained == {min(a.id, b.id) for a, b in both if found[a.id] == "train"}


def test_where_what_and_why_is_told_of_each_refused_game(tmp_path, output):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(GAMES[0])[0] + tampered(GAMES[1], 11) + b"{}\n")
    pool(output, path)
    (illegal, malformed) = refused(output)
    assert illegal[:2] == ("illegal_move", 11)
    assert f"{path}:2" in illegal[2]
    assert malformed[0] == "malformed"
    assert f"{path}:3" in malformed[2]
    assert {illegal[3], malformed[3]} == {str(Path(path).resolve())}
    with GameStore.open(output) as store:
        for entry in store.quarantine.entries():
            _, data, _ = store.quarantine.get(entry.id)
            assert data in (tampered(GAMES[1], 11).strip(), b"{}")


def test_own_json_of_another_rules_version_is_refused_by_name(tmp_path, output):
    tree = json.loads(to_json(GAMES[0]))
    tree["rules"]["version"] = "0"
    (tmp_path / "a.jsonl").write_text(json.dumps(tree) + "\n")
    pool(output, tmp_path / "a.jsonl")
    assert refused(output)[0][0] == "rules_version"
