"""The spool: what was appended is in a shard or still in the journal, whatever was killed."""

import os
import random
import time

import pytest

from ringrift.core.errors import BusyError, DataError
from ringrift.records import Journal
from ringrift.records.shards import read_shard
from ringrift.records.spool import Spool

from .conftest import make_analysis, make_game

GAMES = [(make_game(seed=seed, limit=30), None) for seed in range(12)]
GAMES = [
    (game, make_analysis(game, entries=3) if n % 2 else None) for n, (game, _) in enumerate(GAMES)
]


def in_shards(folder):
    found = {}
    for path in sorted(folder.glob("*.rrshard")):
        for game, analyses in read_shard(path):
            found[game.id] = (game, analyses[0] if analyses else None)
    return found


def expected(games):
    return {game.id: (game, analysis) for game, analysis in games}


def test_a_spool_becomes_shards_and_the_part_goes(tmp_path):
    with Spool(tmp_path, "run1", tmp_path / "shards", most_games=5) as spool:
        made = [shard for game, analysis in GAMES for shard in spool.append(game, analysis)]
        assert [shard.games for shard in made] == [5, 5]
        assert list(Journal.read(spool.path)) == GAMES[10:]
        assert [shard.games for shard in spool.close()] == [2]
    assert in_shards(tmp_path / "shards") == expected(GAMES)
    assert not (tmp_path / "run1.part").exists()
    assert list(Journal.read(tmp_path / "run1.journal")) == []


def test_a_part_ends_at_its_size_and_its_age(tmp_path):
    with Spool(tmp_path / "size", "r", tmp_path / "a", most_bytes=1000) as spool:
        assert [s.games for game, analysis in GAMES[:6] for s in spool.append(game, analysis)]
    with Spool(tmp_path / "age", "r", tmp_path / "b", most_age_s=0.2) as spool:
        assert spool.append(*GAMES[0]) == spool.cut_if_due() == []
        time.sleep(0.25)
        assert [s.games for s in spool.cut_if_due()] == [1]
        time.sleep(0.25)
        assert spool.append(*GAMES[1]) == []  # the age is that of the oldest game
    assert in_shards(tmp_path / "b") == expected(GAMES[:2])


def test_what_a_killed_process_left_is_cut_by_the_next(tmp_path):
    for name in ("run1.part", "run1.journal"):
        with Journal(tmp_path / name) as journal:
            for game, analysis in GAMES[:4] if name == "run1.part" else GAMES[4:]:
                journal.append(game, analysis)
    with (tmp_path / "run1.journal").open("ab") as file:
        file.write(b"RRG1 torn")
    with Spool(tmp_path, "run1", tmp_path / "shards") as spool:
        assert [shard.games for shard in spool.left_over] == [4]
        assert len(spool.close()) == 1
    assert in_shards(tmp_path / "shards") == expected(GAMES)


def test_a_damaged_part_stays_and_is_named(tmp_path):
    part = tmp_path / "run1.part"
    with Journal(part) as journal:
        for game, analysis in GAMES:
            journal.append(game, analysis)
    data = bytearray(part.read_bytes())
    data[100] ^= 1
    part.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        Spool(tmp_path, "run1", tmp_path / "shards")
    assert part.read_bytes() == bytes(data)
    assert list((tmp_path / "shards").glob("*")) == []


def test_a_second_process_is_refused_with_the_pid(tmp_path, spawn_writer):
    source = tmp_path / "all.journal"
    Journal(source).close()
    writer = spawn_writer("hold_spool", tmp_path / "spool", source)
    with pytest.raises(BusyError, match=str(writer.process.pid)):
        Spool(tmp_path / "spool", "run", tmp_path / "shards")
    assert writer.process.pid != os.getpid()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, pytest.param(30, marks=pytest.mark.acceptance)])
def test_kill_9_at_random_instants_loses_and_changes_nothing(tmp_path, spawn_writer, kills):
    source, folder = tmp_path / "all.journal", tmp_path / "spool"
    games = [make_game(seed=seed) for seed in range(200)]
    games = [(game, make_analysis(game, entries=3)) for game in games]
    with Journal(source) as journal:
        for game, analysis in games:
            journal.append(game, analysis)
    rng, killed = random.Random(3), 0
    for _ in range(kills):
        writer = spawn_writer("write_spool", folder, source)
        time.sleep(rng.uniform(0, 0.15))
        printed = writer.kill()
        killed += writer.process.returncode == -9
        found = in_shards(folder)
        for left in ("run.part", "run.journal"):
            if (folder / left).exists():
                found |= expected(Journal.read(folder / left))
        assert found.items() <= expected(games).items()
        assert len(found) >= max(printed, default=0)
    assert killed >= kills / 2
    spawn_writer("write_spool", folder, source).rest()
    assert in_shards(folder) == expected(games)
    assert not (folder / "run.part").exists()
