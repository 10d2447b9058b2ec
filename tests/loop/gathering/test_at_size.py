"""Gathering beside a million games of twelve configurations costs what is new, not what is there."""

import hashlib
import sqlite3
import statistics
import time
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from ringrift.core.settings import CONFIGURATIONS, Settings
from ringrift.loop.gathering import Gatherer
from ringrift.loop.keeper import Keeper
from ringrift.records import GameStore, to_bytes
from ringrift.records.columns import derived, split_of

from ...models.papers import decide
from .grown import new_root, played, random_model, run_of, store_games, trained

GAMES = 1_000_000
PLAYS = 20
BATCH = 20_000
PASSES = 20
PASS_MS = 100
NOW = 1.8e9


def _rows(count):
    base = {
        config: [played(n, config=config)[0] for n in range(PLAYS)] for config in CONFIGURATIONS
    }
    for number in range(count):
        config = CONFIGURATIONS[number % len(CONFIGURATIONS)]
        index = number // len(CONFIGURATIONS)
        game = base[config][index % PLAYS]
        run = run_of(config, f"{index // 10_000:012x}-11111111")
        game = replace(game, seed=number, meta=replace(game.meta, run=run, index=index))
        play = hashlib.sha256(str(number).encode()).hexdigest()
        values = {
            **derived(game, play),
            "gate_version": 1,
            "ingested_at": NOW - (count - number) / 30,
            "status": "verified",
            "split": split_of(play, "selfplay"),
            "record": to_bytes(game),
        }
        seats = [
            (game.id, i, a.agent_hash, a.model_id, a.spec) for i, a in enumerate(game.agents, 1)
        ]
        yield values, seats


def fill(path, count):
    made = _rows(count)
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


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A root with a million games, and for each configuration a chain and a candidate."""
    paths = new_root(tmp_path_factory.mktemp("large") / "root")
    store_games(paths, [])
    fill(paths.game_store, GAMES)
    for number, config in enumerate(CONFIGURATIONS):
        champion = random_model(paths, 10 * number, config=config)
        decide(paths.models, "promoted", champion, config=config)
        for generation in range(1, 8):
            upto = GAMES - 10_000
            model = trained(paths, 10 * number + generation, champion, config=config, upto=upto)
            if generation < 7:
                kind = "promoted" if generation % 2 else "rejected"
                decide(paths.models, kind, model, config=config, score=0.5, games=100)
                champion = model if generation % 2 else champion
    return paths


@pytest.mark.timed
@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_a_pass_beside_a_million_games_takes_less_than_100_ms(large):
    seconds = []
    with (
        GameStore.open(large.game_store, writer=True) as writer,
        Gatherer(large, Settings(), CONFIGURATIONS) as gatherer,
    ):
        began_s = time.perf_counter()
        facts = gatherer.gather(NOW)
        print(f"first look: {time.perf_counter() - began_s:.2f} s")
        assert all(each.error is None and each.candidate for each in facts)
        new = facts[0].new_games
        assert 0 < new < 10_000
        first = writer.max_seq()
        for number in range(PASSES):
            games = [
                played(first + number, config=config, seed=first + number)
                for config in CONFIGURATIONS
            ]
            assert writer.ingest(games).added == len(CONFIGURATIONS)
            began_s = time.perf_counter()
            facts = gatherer.gather(NOW + number)
            seconds.append(time.perf_counter() - began_s)
    assert new < facts[0].new_games <= new + PASSES
    middle, most = 1000 * statistics.median(seconds), 1000 * max(seconds)
    print(f"a pass over {len(CONFIGURATIONS)}: median {middle:.1f} ms, most {most:.1f} ms")
    with Keeper(large, Settings()) as held:
        held.gather(NOW)
        assert held.gather(NOW).facts[0].games == facts[0].games
        status = Path(f"/proc/{held.pid}/status").read_text()
        print(next(line for line in status.splitlines() if line.startswith("VmRSS")))
    assert middle < PASS_MS
