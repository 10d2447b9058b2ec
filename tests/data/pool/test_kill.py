"""A build is killed at random moments and run again: the same games as of an unbroken one."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.records import GameStore, Journal
from ringrift.records.shards import write_shards

from .files import lines_of, make_analysis, make_game, pool, refused, sides, tampered

EVERY = 5


def make_inputs(folder, count):
    games = [make_game(seed=seed) for seed in range(count)]
    third = count // 3
    lines = lines_of(*games[:third], searched=True)
    lines.insert(4, tampered(games[-1], 40))
    path = folder / "a.jsonl"
    path.write_bytes(b"".join(lines))
    (shard,) = write_shards(folder, [(game, []) for game in games[third : 2 * third]])
    with GameStore.open(folder / "a.db", writer=True) as store:
        store.ingest([(game, make_analysis(game, entries=5)) for game in games[2 * third :]])
    with Journal(folder / "a.journal") as journal:
        for game in games[: third + 4]:
            journal.append(game)
    return [path, shard.path, folder / "a.db", folder / "a.journal"]


class Builder:
    def __init__(self, output, inputs):
        script = str(Path(__file__).with_name("pool_builder.py"))
        self.process = subprocess.Popen(
            [sys.executable, script, str(output), str(EVERY), *map(str, inputs)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def kill(self, after_lines, then_s):
        """SIGKILL after so many batches and a moment; return what it had said."""
        seen = [self.process.stdout.readline() for _ in range(after_lines)]
        time.sleep(then_s)
        self.process.kill()
        seen += self.process.stdout.read().splitlines()
        self.process.wait()
        self.process.stdout.close()
        return [int(line) for line in seen if line.strip()]


def kill_often(folder, times, *, games):
    inputs = make_inputs(folder, games)
    pool(folder / "whole.db", *inputs)
    output, rng, killed, before, broken = folder / "pool.db", random.Random(3), 0, 0, set()
    for _ in range(times):
        builder = Builder(output, inputs)
        said = builder.kill(rng.randrange(1, 4), rng.uniform(0, 0.05))
        killed += builder.process.returncode == -9
        with GameStore.open(output) as store:
            assert store.count() >= max([*said, before])
            before = store.count()
            assert store.verify_all().failures == ()
        broken.add(before)
    pool(output, *inputs)
    assert sides(output) == sides(folder / "whole.db")
    assert refused(output) == refused(folder / "whole.db")
    with GameStore.open(output) as store, GameStore.open(folder / "whole.db") as whole:
        for _, game, _ in store.records():
            assert store.analyses(game.id) == whole.analyses(game.id)
    again = pool(output, *inputs)
    assert again["totals"]["games_considered"] == 0
    return killed, broken


@pytest.mark.slow
def test_three_kills(tmp_path):
    killed, _ = kill_often(tmp_path, 3, games=45)
    assert killed == 3


@pytest.mark.acceptance
def test_twenty_kills(tmp_path):
    killed, broken = kill_often(tmp_path, 20, games=600)
    assert killed >= 15
    assert len(broken) >= 10, "they died at different places"
