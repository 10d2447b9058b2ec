"""Random games as records, with made-up searches, for the tests of this folder."""

import random
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from ringrift.records import (
    AgentRef,
    Analysis,
    GameMeta,
    PlyAnalysis,
    build_record,
    default_max_plies,
    quantize,
)
from ringrift.rules import BoardSpec, Position

CONFIGS = [
    (board, players)
    for board in ("square8", "hex8", "square19", "hexagonal")
    for players in (2, 3, 4)
]


def agents(players):
    return tuple(
        AgentRef(
            spec=f"gumbel@{seat}{seat}{seat}:sims=16",
            agent_hash=f"{seat:064x}",
            model_id=f"{seat + 9:064x}" if seat % 2 else None,
        )
        for seat in range(1, players + 1)
    )


@lru_cache(maxsize=256)
def random_moves(spec, seed, limit):
    rng, position, moves = random.Random(seed), Position.of(spec), []
    while not position.is_over and len(moves) < limit:
        move = int(rng.choice(position.legal_packed().tolist()))
        position.play(move)
        moves.append(move)
    return tuple(moves)


def make_game(board="square8", players=2, seed=0, *, limit=None, meta=None, **options):
    spec = BoardSpec.create(board, players, **options)
    limit = default_max_plies(spec) if limit is None else limit
    moves = random_moves(spec, seed, limit)
    meta = meta or GameMeta(
        purpose="selfplay",
        run="test",
        index=seed,
        host="here",
        version="0.1.0",
        started=1_700_000_000.125 + seed,
        ms=1500,
        tags=("short", "μ-test"),
    )
    marks = dict.fromkeys(range(min(4, len(moves))), "random")
    return build_record(spec, seed, agents(players), moves, meta=meta, marks=marks, max_plies=limit)


def make_analysis(record, *, every=3, sims=16, entries=20):
    rng, position, plies = random.Random(record.id), Position.of(record.spec), []
    for ply, move in enumerate(record.moves):
        legal = position.legal_packed().tolist()
        if len(legal) > 1 and ply % every == 0:
            value = [rng.uniform(-1, 1) for _ in range(record.spec.players)]
            chosen = rng.sample(legal, min(entries, len(legal)))
            plies.append(
                PlyAnalysis(
                    ply=ply,
                    kind=rng.choice(["full", "cheap"]),
                    sims=sims,
                    value=tuple(value),
                    root_value=tuple(reversed(value)),
                    policy=quantize({m: rng.random() for m in chosen}),
                    visits={m: rng.randrange(9) for m in chosen} if ply % 2 else None,
                    prior_kl=rng.random() if ply % 2 else None,
                    nodes=sims,
                    depth=3,
                    ms=5,
                )
            )
        position.play(move)
    return Analysis(
        game=record.id,
        agent=record.agents[0].agent_hash,
        budget={"sims": sims, "share": 0.25, "kind": "full", "none": None},
        plies=tuple(plies),
    )


@pytest.fixture
def game():
    return make_game


@pytest.fixture
def searched():
    return make_analysis


@pytest.fixture(params=CONFIGS, ids=lambda c: f"{c[0]}_{c[1]}p")
def any_game(request):
    board, players = request.param
    return make_game(board, players, seed=3)


@pytest.fixture
def two_games():
    """Games with territory, lines and recoveries in them, so that all codecs are used."""
    return [make_game(seed=1), make_game("hex8", 3, seed=2)]


class Writer:
    """A process of `crash_writers.py`, started with `spawn_writer`."""

    def __init__(self, *arguments):
        script = Path(__file__).with_name("crash_writers.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def kill(self, *, after_lines=0):
        """SIGKILL, once it has printed so many numbers; return all that it had printed."""
        seen = [self.process.stdout.readline() for _ in range(after_lines)]
        self.process.kill()
        return [int(line) for line in seen if line] + self.rest()

    def rest(self):
        lines = self.process.stdout.read().splitlines()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        return [int(line) for line in lines]


@pytest.fixture
def spawn_writer():
    started = []

    def start(*arguments):
        started.append(Writer(*arguments))
        return started[-1]

    yield start
    for writer in started:
        if writer.process.poll() is None:
            writer.process.kill()
            writer.rest()
