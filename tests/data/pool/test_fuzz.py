"""Bytes of a shard are flipped at random: no changed game gets through, nothing is raised."""

import random

import pytest

from ringrift.data.pool.build import build_pool
from ringrift.data.pool.request import PoolRequest
from ringrift.records.shards import write_shards

from .files import make_analysis, make_game, stored


def flip(folder, times):
    games = [make_game(seed=seed, limit=24) for seed in range(4)]
    (shard,) = write_shards(folder, [(game, [make_analysis(game, entries=3)]) for game in games])
    whole, ids = shard.path.read_bytes(), {game.id for game in games}
    path, output, rng = folder / "flipped.rrshard", folder / "pool.db", random.Random(8)
    refused = 0
    for _ in range(times):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        path.write_bytes(data)
        found = build_pool(
            PoolRequest(output=output, named=(path,), completed=False, dry_run=rng.random() < 0.9)
        )
        assert found.errors == []
        refused += sum(found.inputs[0].ingest.reasons.values()) > 0
        assert found.added == 0
    assert set(stored(output)) <= ids
    return refused


def test_a_hundred_flips(tmp_path):
    assert flip(tmp_path, 100) == 100


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_ten_thousand_flips(tmp_path):
    assert flip(tmp_path, 10_000) == 10_000
