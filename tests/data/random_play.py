"""Random games in bulk: the moves are drawn in compiled code."""

import numba
import numpy as np

from ringrift.records import AgentRef, GameMeta, build_record
from ringrift.rules import BoardSpec, Position
from ringrift.rules.legal import legal
from ringrift.rules.playout import draw, next_random, seeded
from ringrift.rules.position import WORKSPACE, board_view
from ringrift.rules.turn import apply

MOST_PLIES = 20_000


@numba.njit(nogil=True, error_model="numpy")  # no cache: the package's own holds nothing of tests
def random_moves(states, boards, scratch, buffer, seed, moves):
    """Fill `moves` with random legal ones from position 0 on; return how many there were."""
    x = seeded(seed)
    s = states[0]
    for ply in range(len(moves)):
        n = legal(s, boards[0], scratch[0], buffer)
        if n == 0:
            return ply
        x = next_random(x)
        moves[ply] = buffer[draw(x, n)]
        apply(s, boards[0], scratch[0], moves[ply])
    return len(moves)


def random_game(board, players, seed, *, agents=None, meta=None):
    """A random game to its end; the agents are `random` unless given."""
    spec = BoardSpec.create(board, players)
    moves = np.zeros(MOST_PLIES, np.int64)
    buffer = WORKSPACE.buffer(spec.max_moves)
    start = Position.of(spec)._view
    n = random_moves(start, board_view(spec), WORKSPACE.scratch, buffer, seed, moves)
    agents = agents or [AgentRef(spec="random", agent_hash="a" * 64)] * players
    meta = meta or GameMeta(run="random", index=seed)
    return build_record(spec, seed, agents, moves[:n].tolist(), meta=meta, max_plies=MOST_PLIES)
