"""Games with invented searches: random moves, and what each test needs said about their plies."""

import random

from ringrift.records import AgentRef, Analysis, GameMeta, GameStore, PlyAnalysis, quantize
from ringrift.records.verify import build_record
from ringrift.rules import BoardSpec, Position

SQUARE8 = BoardSpec.create("square8", 2)
SEARCHER = AgentRef(spec="gumbel:sims=8", agent_hash="a" * 64)
RANDOM = AgentRef(spec="random", agent_hash="0" * 64)
STARTED = 1.7e9


def played(spec, seed, *, most=None):
    """(moves, {ply: legal moves} of the decisions, movers) of a random game."""
    rng = random.Random(f"{spec.hash} {seed}")
    position, moves, decisions, movers = Position.of(spec), [], {}, []
    while not position.is_over and (most is None or len(moves) < most):
        legal = position.legal_packed().tolist()
        if len(legal) > 1:
            decisions[len(moves)] = legal
        movers.append(position.current_player)
        moves.append(rng.choice(legal))
        position.play(moves[-1])
    return moves, decisions, movers


def ply_of(spec, ply, legal, rng, **facts):
    """What an invented search says of a ply."""
    root = [rng.uniform(-1, 1) for _ in range(spec.players)]
    values = (root[0], -root[0]) if spec.players == 2 else tuple(root)
    told = {
        "kind": "full",
        "sims": 8,
        "value": values,
        "root_value": values,
        "policy": quantize({move: rng.random() + 0.01 for move in legal}),
        "prior_kl": rng.random(),
    }
    return PlyAnalysis(ply=ply, **{**told, **facts})


def game(
    seed,
    spec=SQUARE8,
    *,
    searched=1.0,
    agents=None,
    most=None,
    marks=None,
    purpose="selfplay",
    budget=None,
    started=None,
    **facts,
):
    """A random game and its analysis (None with `searched` 0); `facts` are those of each ply."""
    moves, decisions, _ = played(spec, seed, most=most)
    record = build_record(
        spec,
        seed,
        agents or [SEARCHER] * spec.players,
        moves,
        marks=marks,
        meta=GameMeta(
            purpose=purpose,
            run="r",
            index=seed,
            started=STARTED + seed if started is None else started,
        ),
        max_plies=most,
    )
    rng = random.Random(seed)
    plies = [
        ply_of(spec, ply, legal, rng, **facts)
        for ply, legal in decisions.items()
        if rng.random() < searched
    ]
    if not plies:
        return record, None
    return record, Analysis(
        game=record.id, agent=SEARCHER.agent_hash, budget=budget or {}, plies=tuple(plies)
    )


def store_of(path, pairs):
    """Put games, each with one analysis or None, into a new or existing store."""
    with GameStore.open(path, writer=True) as store:
        report = store.ingest(pairs)
    assert not report.quarantined, report
    return path


def trainable(count, spec=SQUARE8, *, first=0, split="train", **options):
    """`count` games of one side, from seed `first` on."""
    from ringrift.records.columns import split_of
    from ringrift.records.verify import verified_play

    found, seed = [], first
    while len(found) < count:
        pair = game(seed, spec, **options)
        if split_of(verified_play(pair[0]), "selfplay") == split:
            found.append(pair)
        seed += 1
    return found
