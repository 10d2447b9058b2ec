"""Random self-play games with made-up searches, for stores."""

import random
from functools import lru_cache

from ringrift.records import (
    AgentRef,
    Analysis,
    GameMeta,
    GameStore,
    PlyAnalysis,
    build_record,
    quantize,
)
from ringrift.rules import BoardSpec, Position

ENTRIES = 6


@lru_cache(maxsize=256)
def random_game(seed, board="square8", players=2):
    """A game and a search of every third of its choices."""
    spec = BoardSpec.create(board, players)
    rng, position, moves, searched = random.Random(seed), Position.of(spec), [], []
    while not position.is_over:
        legal = position.legal_packed().tolist()
        if len(legal) > 1 and len(moves) % 3 == 0:
            policy = {move: rng.random() for move in rng.sample(legal, min(ENTRIES, len(legal)))}
            value = (0.0,) * players
            searched.append(
                PlyAnalysis(
                    ply=len(moves),
                    kind="full",
                    sims=16,
                    value=value,
                    root_value=value,
                    policy=quantize(policy),
                )
            )
        moves.append(int(rng.choice(legal)))
        position.play(moves[-1])
    agents = [
        AgentRef(spec=f"gumbel@{n}:sims=16", agent_hash=f"{n:064x}") for n in range(1, players + 1)
    ]
    meta = GameMeta(purpose="selfplay", run="r1", index=seed, started=1.7e9 + seed)
    game = build_record(spec, seed, agents, moves, meta=meta)
    search = Analysis(
        game=game.id, agent=agents[0].agent_hash, budget={"sims": 16}, plies=tuple(searched)
    )
    return game, search


def make_store(path, count, *, first=0, board="square8", players=2):
    """Put the games of some seeds into a store, which may be there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with GameStore.open(path, writer=True) as store:
        store.ingest([random_game(first + n, board, players) for n in range(count)])
    return path
