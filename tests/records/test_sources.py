"""Games from any kind of file, strictly or going on after what is bad."""

import gzip

import pytest
import zstandard

from ringrift.core.errors import DataError
from ringrift.records import GameStore, Journal, VerificationError, read_jsonl, write_jsonl
from ringrift.records.refused import Refused
from ringrift.records.selection import Selection
from ringrift.records.shards import write_shards
from ringrift.records.sources import kind_of, read_games, read_ids, scan_games

from .conftest import make_analysis, make_game

GAMES = [make_game(seed=seed, limit=30) for seed in range(5)]
GROUPS = [
    (game, [make_analysis(game, sims=16 + n, entries=3) for n in range(seed % 3)])
    for seed, game in enumerate(GAMES)
]
PAIRS = [(game, a) for game, found in GROUPS for a in (found or [None])]


def make_file(folder, kind):
    path = folder / {"store": "a.db", "journal": "a.journal"}.get(kind, "a.jsonl")
    if kind == "store":
        with GameStore.open(path, writer=True) as store:
            store.ingest(PAIRS)
    elif kind == "journal":
        with Journal(path) as journal:
            for pair in PAIRS:
                journal.append(*pair)
    elif kind == "shard":
        (made,) = write_shards(folder, GROUPS)
        path = made.path
    else:
        write_jsonl(path, GROUPS)
        if kind == "gzip":
            path = path.with_suffix(".jsonl.gz")
            path.write_bytes(gzip.compress((folder / "a.jsonl").read_bytes()))
        elif kind == "zstd":
            path = path.with_suffix(".jsonl.zst")
            path.write_bytes(zstandard.compress((folder / "a.jsonl").read_bytes()))
    return path


@pytest.fixture(params=["store", "journal", "shard", "jsonl", "gzip", "zstd"])
def file(request, tmp_path):
    return make_file(tmp_path, request.param)


def by_id(groups):
    return sorted((game.id, sorted(a.id for a in found)) for game, found in groups)


def test_every_kind_gives_the_same_games(file):
    assert by_id(read_games(file)) == by_id(GROUPS)
    assert read_ids(file) == {game.id for game in GAMES}


def test_what_a_file_is_its_bytes_say(file, tmp_path):
    kind = kind_of(file)
    assert kind in str(file.name) or kind in ("store", "shard")
    if kind != "store":  # SQLite keeps a second file beside
        other = tmp_path / "named-otherwise"
        other.write_bytes(file.read_bytes())
        assert by_id(read_games(other)) == by_id(GROUPS)


def test_games_are_chosen(file):
    assert read_ids(file, Selection(purpose="match")) == set()
    assert read_ids(file, Selection(config="square8_2p", run="test", reason="timeout")) == read_ids(
        file
    )
    assert read_ids(file, Selection(model=f"{10:064x}")) == read_ids(file)
    assert read_ids(file, Selection(model="f" * 64)) == set()
    few = read_ids(file, limit=2)
    ends = {game.id for game in (GAMES[3:] if kind_of(file) == "store" else GAMES[:2])}
    assert few == ends
    assert {game.id for game, _ in read_games(file, limit=2)} == ends


@pytest.mark.parametrize("kind", ["journal", "shard", "jsonl", "gzip"])
def test_a_scan_gives_the_store_what_it_takes(kind, tmp_path):
    path = make_file(tmp_path, kind)
    with GameStore.open(tmp_path / "new.db", writer=True) as store:
        report = store.ingest(scan_games(path))
        assert (report.added, report.analyses, report.quarantined) == (5, 4, 0)
        assert store.game_ids() == {game.id for game in GAMES}


def test_a_store_is_not_scanned(tmp_path):
    with pytest.raises(DataError, match="expected a shard"):
        list(scan_games(make_file(tmp_path, "store")))
    with pytest.raises(DataError, match="cannot be read"):
        list(scan_games(tmp_path / "none"))


def test_bad_lines_are_refused_and_the_others_go_on(tmp_path):
    path = make_file(tmp_path, "jsonl")
    lines = path.read_bytes().splitlines()  # game, game, a, game, a, a, game, game, a
    lines[1] = lines[1].replace(b'"seed":1', b'"seed":7')
    lines[4] = lines[4].replace(b'"kind":"', b'"kind":"x', 1)
    lines.insert(6, b"nonsense")
    path.write_bytes(b"\n".join(lines))
    found = list(scan_games(path))
    games = [item[0] for item in found if not isinstance(item, Refused)]
    refused = [item for item in found if isinstance(item, Refused)]
    assert games == [GAMES[0], GAMES[2], GAMES[3], GAMES[4]]
    assert [str(item.error.where).split()[0] for item in refused] == [
        f"{path}:{number}" for number in (2, 3, 5, 7)
    ]
    assert [item.data for item in refused] == [lines[1], lines[2], lines[4], lines[6]]
    assert refused[0].error.reason == "id_mismatch"
    with pytest.raises(VerificationError) as caught:
        list(read_jsonl(path))
    assert str(caught.value) == str(refused[0].error)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_packed_file_that_is_cut_says_so(kind, tmp_path):
    path = make_file(tmp_path, kind)
    data = path.read_bytes()
    for length in (len(data) // 2, len(data) - 1, 20):
        path.write_bytes(data[:length])
        (refused,) = [item for item in scan_games(path) if isinstance(item, Refused)]
        assert refused.error.reason == "truncated"
        assert "unpacked" in refused.error.detail
    changed = bytearray(data)
    changed[len(data) // 2] ^= 0x55
    path.write_bytes(changed)
    assert any(isinstance(item, Refused) for item in scan_games(path))


def test_damage_in_a_journal_costs_only_what_it_hits(tmp_path):
    path = make_file(tmp_path, "journal")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data + b"RRG1")
    found = list(scan_games(path))
    assert [type(item) for item in found].count(Refused) == 2
    assert len(found) == len(PAIRS) + 1
    with pytest.raises(DataError, match="damaged"):
        list(read_games(path))
