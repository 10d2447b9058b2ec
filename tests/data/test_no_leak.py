"""A play that is held out is never trained on, whoever played it again, when and where."""

import random
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from ringrift.data.pool.build import build_pool
from ringrift.data.pool.request import PoolRequest
from ringrift.records import AgentRef, GameMeta, GameStore, build_record
from ringrift.records.columns import split_of
from ringrift.records.shards import write_shards
from ringrift.records.verify import verified_play
from ringrift.rules import BoardSpec, Position

LIMIT = 12
"""Plies of a game: enough to make plays differ."""


def short_game(rng, seed):
    position, moves = Position.of(BoardSpec.create("square8", 2)), []
    for _ in range(LIMIT):
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    agents = [AgentRef(spec=f"random:a={n}", agent_hash=f"{n:064x}") for n in (1, 2)]
    meta = GameMeta(purpose="selfplay", run="r1", index=seed, host="one", started=1.7e9 + seed)
    return build_record(position.spec, seed, agents, moves, meta=meta, max_plies=LIMIT)


def copy_of(game, rng):
    """The same play by others: another seed, agents, run, time and host."""
    agents = tuple(AgentRef(spec=f"gumbel:sims={n}", agent_hash=f"{n:064x}") for n in (8, 9))
    meta = GameMeta(
        purpose=rng.choice(["selfplay", "soak"]),
        run="r2",
        index=game.seed,
        host="two",
        started=1.8e9 + game.seed,
        tags=("copy",),
    )
    return replace(game, seed=rng.getrandbits(40), agents=agents, meta=meta)


def plant(folder, count, copies):
    """Pool games and, from another host in another order, copies of those held out."""
    rng = random.Random(11)
    games = [short_game(rng, seed) for seed in range(count)]
    held = [game for game in games if split_of(verified_play(game), "selfplay") == "holdout"]
    assert len(held) >= count * 0.07
    planted = [copy_of(held[i % len(held)], rng) for i in range(copies)]
    others = planted + games[: count // 10]
    rng.shuffle(others)
    inputs = []
    for name, found in (("one", games), ("two", others)):
        shards = write_shards(folder / name, [(game, []) for game in found])
        inputs += [shard.path for shard in shards]
    output = folder / "pool.db"
    request = PoolRequest(output=output, named=tuple(inputs[::-1]), completed=False)
    report = build_pool(request).as_json()
    assert report["totals"]["quarantined"] == {}
    assert report["totals"]["duplicates"] == count // 10
    with GameStore.open(output) as store:
        assert store.count() == count + len({game.id for game in planted})
    with closing(sqlite3.connect(output)) as connection:
        trained, validated, kept = (
            {row[0] for row in connection.execute(f"SELECT play_hash FROM {view}")}
            for view in ("trainable", "validation", "holdout")
        )
    assert {verified_play(game) for game in planted} <= kept
    assert not trained & kept
    assert not validated & kept
    assert not trained & validated
    return len(kept) / (len(trained) + len(validated) + len(kept))


@pytest.mark.slow
def test_no_copy_of_a_held_out_play_is_trainable(tmp_path):
    plant(tmp_path, 600, 60)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_none_of_1000_copies_among_20000_games_is_trainable(tmp_path):
    share = plant(tmp_path, 20_000, 1_000)
    assert share == pytest.approx(0.10, abs=0.01)
