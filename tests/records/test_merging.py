"""Union by id: whatever the files and their order, the same bytes; a conflict is refused."""

import dataclasses

import pytest

from ringrift.core.errors import DataError, NegativeResult, RefusedError, UsageError
from ringrift.records import GameMeta, GameStore, read_jsonl, write_jsonl
from ringrift.records.merging import merge_games
from ringrift.records.selection import Selection
from ringrift.records.shards import read_shard, write_shards

from .conftest import make_analysis, make_game

GAMES = [make_game(seed=seed, limit=25) for seed in range(6)]
SEARCHED = [make_analysis(GAMES[2], sims=n, entries=2) for n in (8, 9)]


@pytest.fixture
def files(tmp_path):
    """A store of games 0-3, a shard of 2-4, JSON lines of 5; game 2 has an analysis in each."""
    with GameStore.open(tmp_path / "a.db", writer=True) as store:
        store.ingest([(game, SEARCHED[0] if game is GAMES[2] else None) for game in GAMES[:4]])
    (shard,) = write_shards(
        tmp_path, [(game, [SEARCHED[1]] if game is GAMES[2] else []) for game in GAMES[2:5]]
    )
    write_jsonl(tmp_path / "b.jsonl", [(GAMES[5], [])])
    return [tmp_path / "a.db", shard.path, tmp_path / "b.jsonl"]


def test_the_union_is_the_same_in_any_order(files, tmp_path):
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    report = merge_games(first, files)
    merge_games(second, files[::-1])
    assert first.read_bytes() == second.read_bytes()
    assert (report.games, report.analyses) == (6, 2)
    assert [(i.kind, i.games, i.new) for i in report.inputs] == [
        ("store", 4, 4),
        ("shard", 3, 1),
        ("jsonl", 1, 1),
    ]
    read = list(read_jsonl(first))
    assert [game.id for game, _ in read] == sorted([game.id for game in GAMES] + [GAMES[2].id])
    assert {a.id for _, a in read if a} == {a.id for a in SEARCHED}


def test_every_kind_of_output_holds_the_same(files, tmp_path):
    merge_games(tmp_path / "all.jsonl", files)
    made = merge_games(tmp_path / "folder", files).shards
    report = merge_games(tmp_path / "all.db", files)
    assert (report.added, dict(report.quarantined)) == (6, {})
    back = []
    for source in ([tmp_path / "all.jsonl"], [s.path for s in made], [tmp_path / "all.db"]):
        merge_games(tmp_path / "back.jsonl", [*source, *back])
        back = [tmp_path / "back.jsonl"]
        assert back[0].read_bytes() == (tmp_path / "all.jsonl").read_bytes()
    assert {game.id for s in made for game, _ in read_shard(s.path)} == {g.id for g in GAMES}


def test_a_store_is_added_to(files, tmp_path):
    assert merge_games(files[0], files[1:]).added == 2
    with GameStore.open(files[0]) as store:
        assert store.count() == 6
        assert {a.id for a in store.analyses(GAMES[2].id)} == {a.id for a in SEARCHED}
    assert merge_games(files[0], files).added == 0


def test_the_same_id_with_other_bytes_is_refused_and_nothing_written(files, tmp_path):
    other = dataclasses.replace(GAMES[0], meta=GameMeta(host="elsewhere"))
    write_jsonl(tmp_path / "other.jsonl", [(other, [])])
    for output in (tmp_path / "new.jsonl", tmp_path / "new.db", tmp_path / "new"):
        with pytest.raises(RefusedError, match="other bytes") as caught:
            merge_games(output, [*files, tmp_path / "other.jsonl"])
        assert GAMES[0].id in caught.value.where
        assert str(files[0]) in caught.value.message
        assert not output.exists()
    before = files[0].read_bytes()
    with pytest.raises(RefusedError, match=r"a\.db"):
        merge_games(files[0], [tmp_path / "other.jsonl"])
    assert files[0].read_bytes() == before
    late = dataclasses.replace(
        SEARCHED[0], plies=(dataclasses.replace(SEARCHED[0].plies[0], ms=77),)
    )
    assert late.id != SEARCHED[0].id
    slower = [dataclasses.replace(ply, ms=77) for ply in SEARCHED[0].plies]
    late = dataclasses.replace(SEARCHED[0], plies=tuple(slower))
    assert late.id == SEARCHED[0].id
    write_jsonl(tmp_path / "late.jsonl", [(GAMES[2], [late])])
    with pytest.raises(RefusedError, match="analysis"):
        merge_games(tmp_path / "new.jsonl", [files[0], tmp_path / "late.jsonl"])


def test_a_dry_run_writes_nothing(files, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for name in ("new.jsonl", "new.db", "folder", "a.db"):
        assert merge_games(tmp_path / name, files, dry_run=True).games == 6
    after = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert {path: data for path, data in after.items() if path in before} == before
    assert {path.name for path in after.keys() - before.keys()} <= {"a.db-shm", "a.db-wal"}


def test_names_that_are_no_output_and_inputs_without_games(files, tmp_path):
    for name in ("x.rrshard", "x.jsonl.gz", "x.txt", "b.jsonl"):
        with pytest.raises(UsageError):
            merge_games(tmp_path / name, files[:1])
    merge_games(files[2], files)  # named among the inputs: it keeps what it had
    assert len({game.id for game, _ in read_jsonl(files[2])}) == 6
    with pytest.raises(NegativeResult):
        merge_games(tmp_path / "y.jsonl", files, Selection(purpose="match"))
    assert not (tmp_path / "y.jsonl").exists()
    files[2].write_text("nonsense\n")
    with pytest.raises(DataError, match="malformed"):
        merge_games(tmp_path / "y.jsonl", files)
