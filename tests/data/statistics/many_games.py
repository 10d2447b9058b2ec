"""Fill a store with many whole random games through SQL: real records, each play under many seeds."""

import dataclasses
import sqlite3
from contextlib import closing

from random_games import play

from ringrift.records import GameStore, to_bytes
from ringrift.records.columns import derived, split_of
from ringrift.records.verify import verified_play

BATCH = 20_000


def fill(path, count, plays, config="square8_2p"):
    """Write `count` games of `plays` different plays; nothing of them is verified on the way."""
    games = [play(config, seed, searched=False)[0] for seed in range(plays)]
    base = [(game, verified_play(game)) for game in games]
    GameStore.open(path, writer=True).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for first in range(0, count, BATCH):
            connection.execute("BEGIN")
            for number in range(first, min(first + BATCH, count)):
                _insert(connection, *base[number % plays], number)
            connection.execute("COMMIT")
    return path


def _insert(connection, game, play_hash, number):
    game = dataclasses.replace(game, seed=number)
    values = {
        **derived(game, play_hash),
        "gate_version": 1,
        "ingested_at": 1.7e9 + number,
        "status": "verified",
        "split": split_of(play_hash, "selfplay"),
        "record": to_bytes(game),
    }
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    sql = f"INSERT INTO games ({names}) VALUES ({marks})"
    connection.execute(sql, tuple(values.values()))
