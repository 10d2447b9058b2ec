"""Random games with everything the statistics count: agents, searches, swaps, limits, hosts."""

import random

from ringrift.records import (
    AgentRef,
    Analysis,
    GameMeta,
    PlyAnalysis,
    build_record,
    quantize,
)
from ringrift.rules import BoardSpec, Position, parse_config

CONFIGS = tuple(
    f"{board}_{players}p"
    for board in ("square8", "hex8", "square19", "hexagonal")
    for players in (2, 3, 4)
)
SPECS = ("random", "heuristic:mode=light", "mcts:sims=100", "gumbel@ab12:sims=16")


def agent(spec):
    return AgentRef(spec=spec, agent_hash=f"{sum(map(ord, spec)):064x}")


def play(config, seed, *, swap=False, limit=None, resign=False, searched=True, **options):
    """A random game and its analyses. With `swap` the pie rule is on, and used by odd seeds."""
    board, players = parse_config(config)
    spec = BoardSpec.create(board, players, swap_rule=swap, **options)
    rng, position, moves = random.Random(f"{config} {seed}"), Position.of(spec), []
    refs = [agent(SPECS[(seed + i) % len(SPECS)]) for i in range(players)]
    found = {}
    while not position.is_over and len(moves) < (limit or 10**6):
        legal = position.legal_packed().tolist()
        move = rng.choice(legal)
        if 4 in legal and seed % 2:
            move = 4
        name = refs[position.current_player - 1]
        if searched and "sims" in name.spec and len(legal) > 1 and rng.random() < 0.9:
            policy = quantize(
                {m: rng.random() + 0.01 for m in rng.sample(legal, min(3, len(legal)))}
            )
            kind = rng.choice(["full", "cheap"])
            found.setdefault(name.agent_hash, []).append(
                PlyAnalysis(
                    ply=len(moves),
                    kind=kind,
                    sims=16 if kind == "full" else 4,
                    value=(),
                    root_value=(0.0,) * players,
                    policy=policy,
                )
            )
        moves.append(move)
        position.play(move)
        if resign and len(moves) == 40:
            break
    meta = GameMeta(
        ms=None if seed % 5 == 0 else 10 + seed,
        host=(None, "a", "b")[seed % 3],
        started=None if seed % 4 == 3 else 1.7e9 + 900 * seed,
    )
    record = build_record(
        spec,
        seed,
        refs,
        moves,
        end="resigned" if resign else None,
        resigned=2 if resign else None,
        max_plies=limit,
        meta=meta,
    )
    plies = found.items()
    return record, [Analysis(game=record.id, agent=a, plies=tuple(p)) for a, p in plies]


def store(path, games):
    """A store of games with their analyses."""
    from ringrift.records import GameStore

    with GameStore.open(path, writer=True) as opened:
        for record, analyses in games:
            opened.ingest([(record, a) for a in analyses] or [(record, None)])
        assert not opened.quarantined()
    return path
