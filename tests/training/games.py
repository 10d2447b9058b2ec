"""Games with search statistics that no search made: random moves, and policies that can be learned."""

from __future__ import annotations

import random

from ringrift.records.analysis import Analysis
from ringrift.records.ply_analysis import PlyAnalysis, quantize
from ringrift.records.record import AgentRef, GameMeta, GameRecord
from ringrift.records.verify import build_record
from ringrift.rules import BoardSpec, Position
from ringrift.rules import moves as mv

AGENT = AgentRef(spec="random", agent_hash="0" * 64)
TASTE = {mv.PLACE: 1.0, mv.MOVE: 4.0, mv.CAPTURES: 30.0, mv.CONTINUE: 8.0}


def taste(move: int) -> float:
    """Weigh a move by its kind and, in placements, by the number of rings."""
    kind = mv.kind_of(move)
    return TASTE.get(kind, 2.0) * (3.0 ** mv.x_of(move) if kind == mv.PLACE else 1.0)


def game(
    spec: BoardSpec, seed: int, *, cheap: float = 0.0, max_plies: int | None = None
) -> tuple[GameRecord, Analysis]:
    """Play one random game; every choice has an invented policy and value."""
    rng = random.Random(f"{spec.hash} {seed}")
    position, moves, plies = Position.of(spec), [], []
    while not position.is_over and (max_plies is None or len(moves) < max_plies):
        legal = position.legal_packed().tolist()
        if len(legal) > 1:
            weights = {m: taste(m) for m in legal}
            root = [rng.uniform(-1, 1) for _ in range(spec.players)]
            mean = sum(root) / len(root)
            values = tuple(max(-1.0, min(1.0, v - mean)) for v in root)
            if spec.players == 2:
                values = (root[0], -root[0])
            plies.append(
                PlyAnalysis(
                    ply=len(moves),
                    kind="cheap" if rng.random() < cheap else "full",
                    sims=8,
                    value=values,
                    root_value=values,
                    policy=quantize(weights),
                )
            )
        moves.append(rng.choice(legal))
        position.play(moves[-1])
    record = build_record(
        spec,
        seed,
        [AGENT] * spec.players,
        moves,
        meta=GameMeta(purpose="selfplay", run="test", index=seed),
        max_plies=max_plies,
    )
    return record, Analysis(game=record.id, agent="test", budget={"sims": 8}, plies=tuple(plies))


def games(spec: BoardSpec, count: int, **options: float) -> list[tuple[GameRecord, Analysis]]:
    """Play `count` games of seeds 0, 1, ..."""
    return [game(spec, seed, **options) for seed in range(count)]
