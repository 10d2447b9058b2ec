"""Short games by random play, with made-up searches: quick to make, and held by the gate."""

import random

from ringrift.records import (
    AgentRef,
    Analysis,
    GameMeta,
    PlyAnalysis,
    build_record,
    quantize,
)
from ringrift.rules import BoardSpec, Position

PLIES = 24
AGENTS = tuple(
    AgentRef(spec=f"random@{seat}{seat}{seat}", agent_hash=f"{seat:064x}") for seat in (1, 2)
)


def made_game(seed, *, run="made", plies=PLIES):
    """Return a game of at most so many plies, and its analysis; the same for the same seed."""
    rng, spec = random.Random(seed), BoardSpec.create("square8", 2)
    position, moves, found = Position.of(spec), [], []
    for ply in range(plies):
        if position.is_over:
            break
        legal = position.legal_packed().tolist()
        if ply % 3 == 0 and len(legal) > 1:
            value = rng.uniform(-1, 1)
            policy = quantize({move: rng.random() for move in legal[:8]})
            found.append(
                PlyAnalysis(
                    ply=ply,
                    kind="full",
                    sims=16,
                    value=(value, -value),
                    root_value=(-value, value),
                    policy=policy,
                )
            )
        moves.append(rng.choice(legal))
        position.play(moves[-1])
    meta = GameMeta(run=run, index=seed, host="here", started=1.7e9 + seed, ms=30)
    record = build_record(spec, seed, AGENTS, tuple(moves), meta=meta, marks={}, max_plies=plies)
    analysis = Analysis(game=record.id, agent=AGENTS[0].agent_hash, budget={}, plies=tuple(found))
    return record, analysis
