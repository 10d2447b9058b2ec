"""Fill a store with many small games through SQL: real records, none of them verified on the way.

Every tenth game is a match of hex8 against a model, every thousandth ends by ring elimination
(its column says so); all belong to one of ten runs.
"""

import dataclasses
import sqlite3
import time
from contextlib import closing
from itertools import islice

from ringrift.records import AgentRef, GameMeta, GameStore, build_record, to_bytes
from ringrift.records.columns import derived, split_of
from ringrift.records.verify import verified_play
from ringrift.rules import BoardSpec

from .conftest import random_moves

PLIES = 6
PLAYS = 2_000
STARTED = 1.7e9
BATCH = 20_000
MODELS = {"common": "a" * 64, "rare": "b" * 64}


def small_games(plays=PLAYS):
    """(record, play hash) of square8 and, every tenth, hex8, again and again with other seeds."""
    found = []
    for number in range(plays):
        matched = number % 10 == 0
        spec = BoardSpec.create("hex8" if matched else "square8", 2)
        moves = random_moves(spec, number, PLIES)
        meta = GameMeta(purpose="match" if matched else "selfplay", run="r0", started=STARTED)
        seats = (
            AgentRef(spec="gumbel@aa:sims=8", agent_hash="1" * 64, model_id=MODELS["common"]),
            AgentRef(spec="random", agent_hash="2" * 64),
        )
        game = build_record(spec, number, seats, moves, meta=meta, max_plies=PLIES)
        found.append((game, verified_play(game)))
    return found


def _rows(count, plays):
    base = small_games(plays)
    for number in range(count):
        game, play = base[number % len(base)]
        meta = dataclasses.replace(game.meta, run=f"r{number * 10 // count}", index=number)
        agents = game.agents
        if number == count // 2:
            agents = (dataclasses.replace(agents[0], model_id=MODELS["rare"]), agents[1])
        game = dataclasses.replace(game, seed=number, meta=meta, agents=agents)
        values = derived(game, play)
        if number % 1_000 == 7:
            values["reason"] = "ring_elimination"
        yield (
            {
                **values,
                "gate_version": 1,
                "ingested_at": STARTED + number,
                "status": "verified",
                "split": split_of(play, game.meta.purpose),
                "record": to_bytes(game),
            },
            [(game.id, i, a.agent_hash, a.model_id, a.spec) for i, a in enumerate(agents, 1)],
        )


def fill(path, count, plays=PLAYS):
    """Make a store of `count` games; return the seconds it took."""
    began_s = time.perf_counter()
    GameStore.open(path, writer=True).close()
    made = _rows(count, plays)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        while batch := list(islice(made, BATCH)):
            names = ", ".join(f'"{name}"' for name in batch[0][0])
            marks = ", ".join("?" * len(batch[0][0]))
            with connection:
                connection.executemany(
                    f"INSERT INTO games ({names}) VALUES ({marks})",
                    (tuple(values.values()) for values, _ in batch),
                )
                connection.executemany(
                    "INSERT INTO game_agents VALUES (?, ?, ?, ?, ?)",
                    (row for _, seats in batch for row in seats),
                )
    return time.perf_counter() - began_s
