"""Games whose lines, ends and agents a test chooses, all of them on the side of training."""

import hashlib
import random

from ringrift.records import AgentRef, Analysis, GameMeta, PlyAnalysis, build_record, quantize
from ringrift.records.columns import split_of
from ringrift.records.verify import play_hash
from ringrift.rules import BoardSpec, Position

PREFIX = 12


def agent(name, spec=None):
    return AgentRef(spec=spec or name, agent_hash=hashlib.sha256(name.encode()).hexdigest())


def _moves(spec, line, seed, plies):
    """Random moves of which the first twelve follow from `line` alone."""
    position, moves, texts = Position.of(spec), [], []
    rng = random.Random(f"line {line}")
    while len(moves) < plies and not position.is_over:
        if len(moves) == PREFIX:
            rng = random.Random(f"rest {line} {seed}")
        move = int(rng.choice(position.legal_packed().tolist()))
        texts.append(position.move_text(move))
        moves.append(move)
        position.play(move)
    return moves, texts


def trainable(line, seed, *, agents, winner=None, plies=20, swap_rule=False, board="square8"):
    """A two-player game that the other seat resigned, or that the limit cut without a `winner`.

    The first seed from `seed * 1000` on whose play is on the side of training.
    """
    spec = BoardSpec.create(board, 2, swap_rule=swap_rule)
    for number in range(seed * 1000, seed * 1000 + 1000):
        moves, texts = _moves(spec, line, number, plies)
        if split_of(play_hash(spec, texts), "selfplay") == "train":
            break
    end = {} if winner is None else {"end": "resigned", "resigned": 3 - winner}
    return build_record(
        spec, number, agents, moves, max_plies=plies, meta=GameMeta(run="quality"), **end
    )


def choices_of(record):
    """(ply, seat, legal moves) of every ply with two or more of them, by the plain interface."""
    position, found = (
        Position.of(
            record.spec,
        ),
        [],
    )
    for ply, move in enumerate(record.moves):
        legal = position.legal_packed().tolist()
        if len(legal) > 1:
            found.append((ply, position.current_player, legal))
        position.play(move)
    return found


def search(record, kinds, sims):
    """An analysis that has the plies of `kinds`, by ply."""
    legal = {ply: moves for ply, _, moves in choices_of(record)}
    return Analysis(
        game=record.id,
        agent=record.agents[0].agent_hash,
        plies=tuple(
            PlyAnalysis(
                ply=ply,
                kind=kind,
                sims=sims,
                value=(),
                root_value=(),
                policy=quantize({legal[ply][0]: 1.0}),
            )
            for ply, kind in sorted(kinds.items())
        ),
    )
