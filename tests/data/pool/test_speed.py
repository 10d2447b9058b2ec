"""How many games a second go through the door, in processor time of one core."""

import time

import pytest

from ringrift.records.shards import write_shards

from .files import lines_of, make_game, pool

GAMES = 2_000
LEAST = 400


@pytest.fixture(scope="module")
def games():
    return [make_game(seed=seed) for seed in range(GAMES)]


@pytest.mark.acceptance
@pytest.mark.parametrize("kind", ["jsonl", "shard"])
def test_400_games_a_second_on_one_core(tmp_path, games, kind):
    path = tmp_path / "a.jsonl"
    if kind == "jsonl":
        path.write_bytes(b"".join(lines_of(*games)))
    else:
        (shard,) = write_shards(tmp_path, [(game, []) for game in games])
        path = shard.path
    pool(tmp_path / "warm.db", path, limit=1)
    began_s = time.process_time()
    report = pool(tmp_path / "pool.db", path)
    rate = GAMES / (time.process_time() - began_s)
    print(f"\n{kind}: {rate:,.0f} games/s of processor time, square8_2p, random games")
    assert report["totals"]["games_considered"] == GAMES
    assert rate >= LEAST
