"""Shards out of a store and into one: the same games, the same sides, each once."""

import dataclasses
import json

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.data.shards import (
    count_games,
    export_shards,
    import_shards,
    read_id_list,
    would_import,
)
from ringrift.records import GameMeta, GameStore, to_bytes
from ringrift.records.gate import Gate
from ringrift.records.selection import Selection

from ..records.conftest import make_analysis, make_game

ADMITTING = Gate(admit_imports=True)


def of_purpose(game, purpose):
    return dataclasses.replace(game, meta=GameMeta(purpose=purpose, run="r"))


GAMES = [make_game(seed=seed, limit=10) for seed in range(60)]
MATCHES = [of_purpose(make_game(seed=seed, limit=10), "match") for seed in range(60, 70)]
ADMITTED = [of_purpose(make_game("hex8", 2, seed=s, limit=10), "import") for s in range(70, 90)]
OTHERS = [of_purpose(make_game("hex8", 2, seed=s, limit=10), "import") for s in range(90, 100)]
EVERY = GAMES + MATCHES + ADMITTED + OTHERS


def sides(path):
    with GameStore.open(path) as store:
        return {row["id"]: row["split"] for row in store.rows()}


@pytest.fixture
def source(tmp_path):
    """A store with games of every purpose, some searched, imports admitted and not."""
    path = tmp_path / "source.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None) for game in GAMES + MATCHES])
        store.ingest([(game, make_analysis(game, sims=n)) for game in GAMES[:5] for n in (8, 16)])
        store.ingest([(game, None) for game in ADMITTED], gate=ADMITTING)
        store.ingest([(game, None) for game in OTHERS])
    return path


@pytest.fixture
def shards(source, tmp_path):
    return export_shards(source, tmp_path / "shards")


def test_shards_give_an_empty_store_the_same_games_and_sides(source, shards, tmp_path):
    other = tmp_path / "other.db"
    report = import_shards([tmp_path / "shards"], other)
    assert sides(other) == sides(source)
    assert set(sides(source).values()) == {"train", "val", "holdout", "never"}
    assert sum(shard.added for shard in report.shards) == shards.games == 100
    assert sum(shard.analyses for shard in report.shards) == shards.analyses == 10
    with GameStore.open(source) as first, GameStore.open(other) as second:
        for game in EVERY:
            assert first.analyses(game.id) == second.analyses(game.id)
            assert to_bytes(second.get(game.id)[0]) == to_bytes(game)


def test_a_second_import_reads_nothing(shards, tmp_path):
    other = tmp_path / "other.db"
    import_shards([tmp_path / "shards"], other)
    before = sides(other)
    again = import_shards([tmp_path / "shards"], other)
    assert [(s.added, s.duplicate, s.skipped > 0) for s in again.shards] == [(0, 0, True)] * len(
        shards.shards
    )
    assert sides(other) == before


def test_a_shard_alone_admits_no_imports(source, shards, tmp_path):
    shards.list_path.unlink()
    other = tmp_path / "other.db"
    import_shards([shard.path for shard in shards.shards], other)
    found = sides(other)
    assert {found[game.id] for game in ADMITTED} == {"never"}
    assert {found[g.id] for g in GAMES} == {sides(source)[g.id] for g in GAMES}


def test_an_empty_store_keeps_out_what_the_first_keeps_out(source, tmp_path):
    with GameStore.open(source, writer=True) as store:
        store.raise_holdout(40)
    export_shards(source, tmp_path / "shards")
    other = tmp_path / "other.db"
    report = import_shards([tmp_path / "shards"], other)
    assert (report.holdout_percent, report.told_percent) == (40, 40)
    assert sides(other) == sides(source)


def test_a_store_with_games_keeps_its_own_share_and_says_so(source, tmp_path):
    other = tmp_path / "other.db"
    with GameStore.open(other, writer=True) as store:
        store.ingest([(GAMES[0], None)])
    with GameStore.open(source, writer=True) as store:
        store.raise_holdout(40)
    export_shards(source, tmp_path / "shards")
    report = import_shards([tmp_path / "shards"], other)
    assert (report.holdout_percent, report.told_percent) == (10, 40)


def test_only_what_came_since(source, tmp_path):
    first = export_shards(source, tmp_path / "first")
    with GameStore.open(source, writer=True) as store:
        later = [make_game(seed=seed, limit=12) for seed in range(3)]
        store.ingest([(game, None) for game in later])
    assert count_games(source, after_seq=first.games_upto) == 3
    second = export_shards(source, tmp_path / "second", after_seq=first.games_upto)
    assert (second.games, second.games_upto) == (3, first.games_upto + 3)
    listed = json.loads(second.list_path.read_text())
    assert (listed["after_seq"], listed["games_upto"]) == (first.games_upto, second.games_upto)
    assert listed["shards"] == {shard.path.name: shard.sha256 for shard in second.shards}
    other = tmp_path / "other.db"
    import_shards([tmp_path / "first", tmp_path / "second"], other)
    assert sides(other) == sides(source)


def test_only_the_games_of_a_list(source, tmp_path):
    ids = [game.id for game in (GAMES[3], ADMITTED[2], GAMES[1])]
    text = tmp_path / "ids.txt"
    text.write_text("\n".join([*ids, "", ids[0]]) + "\n")
    done = export_shards(source, tmp_path / "some", ids=read_id_list(text))
    assert done.games == 3
    import_shards([tmp_path / "some"], tmp_path / "other.db")
    assert sides(tmp_path / "other.db") == {i: sides(source)[i] for i in ids}


def test_the_newest_of_a_selection(source, tmp_path):
    chosen = Selection(purpose="match")
    assert count_games(source, chosen, limit=4) == 4
    done = export_shards(source, tmp_path / "some", chosen, limit=4)
    import_shards([tmp_path / "some"], tmp_path / "other.db")
    assert done.games == 4
    assert set(sides(tmp_path / "other.db")) == {game.id for game in MATCHES[-4:]}


def test_the_same_export_gives_the_same_files(source, shards, tmp_path):
    again = export_shards(source, tmp_path / "again")
    assert [s.path.name for s in again.shards] == [s.path.name for s in shards.shards]
    assert again.list_path.name == shards.list_path.name


def test_withdrawn_games_do_not_travel(source, tmp_path):
    from ringrift.records.recheck import Failure

    with GameStore.open(source, writer=True) as store:
        store.withdraw([Failure(id=GAMES[0].id, reason="hash", ply=1, detail="x")])
    done = export_shards(source, tmp_path / "less")
    assert done.games == 99


def test_what_an_import_would_do(shards, tmp_path):
    other = tmp_path / "other.db"
    files = [shard.path for shard in shards.shards]
    assert sum(s.added for s in would_import(files, other).shards) == 100
    assert not other.exists()
    import_shards(files, other)
    report = would_import(files, other)
    assert [(s.added, s.duplicate) for s in report.shards] == [(0, s.games) for s in shards.shards]


def test_a_damaged_shard_is_refused_whole_and_the_others_go_on(shards, tmp_path):
    bad, *others = [shard.path for shard in shards.shards]
    data = bytearray(bad.read_bytes())
    data[len(data) // 2] ^= 1
    bad.write_bytes(data)
    assert would_import([bad], tmp_path / "no.db").shards[0].failed_share == 1
    report = import_shards([bad, *others], tmp_path / "other.db")
    assert report.shards[0].failed_share == 1
    assert sum(shard.added for shard in report.shards[1:]) == sum(
        s.games for s in shards.shards[1:]
    )


def test_mistakes_are_named(source, shards, tmp_path):
    text = tmp_path / "ids.txt"
    text.write_text(f"{GAMES[0].id}\nnonsense\n")
    with pytest.raises(DataError, match="64 hex digits") as caught:
        read_id_list(text)
    assert caught.value.where == f"{text}:2"
    with pytest.raises(DataError, match="id 2 of the list"):
        export_shards(source, tmp_path / "x", ids=[GAMES[0].id, "0" * 64])
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(UsageError, match="no shard"):
            import_shards([path], tmp_path / "x.db")
    shards.list_path.write_text('{"format": "other"}')
    with pytest.raises(DataError) as caught:
        import_shards([tmp_path / "shards"], tmp_path / "x.db")
    assert caught.value.where == str(shards.list_path)
