"""Random games to try the trainers on, where there are no others."""

from __future__ import annotations

import random
from pathlib import Path

from ringrift.records.record import AgentRef, GameMeta, GameRecord
from ringrift.records.store import GameStore
from ringrift.records.verify import build_record
from ringrift.rules import BoardSpec, Position, parse_config

AGENT = AgentRef(spec="random", agent_hash="0" * 64)
LEAST_GAMES = 8
TRAINABLE = 0.7
"""Least share of decisions that are neither held out nor for validation, with room for chance."""


def random_games(store: Path, config: str, seed: int, samples: int) -> Path:
    """Fill a new store with random games of at least `samples` training samples; return it.

    They are eight at least: the play's hash may hold any of them out.
    """
    spec = BoardSpec.create(*parse_config(config))
    games: list[tuple[GameRecord, None]] = []
    decisions = 0
    while decisions * TRAINABLE < samples or len(games) < LEAST_GAMES:
        game, chosen = _game(spec, seed, len(games))
        games.append((game, None))
        decisions += chosen
    with GameStore.open(store, writer=True) as opened:
        opened.ingest(games)
    return store


def _game(spec: BoardSpec, seed: int, index: int) -> tuple[GameRecord, int]:
    """Play one game; return it and the number of its decisions."""
    rng = random.Random(f"{spec.hash} {seed} {index}")
    position, moves, decisions = Position.of(spec), [], 0
    while not position.is_over:
        legal = position.legal_packed().tolist()
        decisions += len(legal) > 1
        moves.append(rng.choice(legal))
        position.play(moves[-1])
    meta = GameMeta(purpose="selfplay", run="demo", index=index)
    return build_record(spec, index, [AGENT] * spec.players, moves, meta=meta), decisions
