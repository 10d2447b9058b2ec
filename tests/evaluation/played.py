"""Real match games of random moves, complete and verified."""

import random

from ringrift.agents.factory import identify
from ringrift.records import AgentRef, GameMeta, build_record
from ringrift.rules import BoardSpec, Position

SQUARE = BoardSpec.create("square8", 2)


def agent(name, spec=SQUARE):
    found = identify(name, spec)
    return AgentRef(spec=found.text, agent_hash=found.agent_hash, model_id=found.model_id)


def match_game(seed, *, names=("random", "heuristic"), run="r", spec=SQUARE, **meta):
    rng, position, moves = random.Random(seed), Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    values = {"purpose": "match", "run": run, "index": seed, "started": 1.7e9 + seed, **meta}
    agents = [agent(name, spec) for name in names]
    if seed // 2 % 2:
        agents.reverse()
    return build_record(spec, seed, agents, moves, meta=GameMeta(**values))
