"""From the outputs of a net to logits of legal moves and values per seat, in compiled code."""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, PLAYERS, N
from ringrift.rules.policy import policy_entries


@rule
def table_value(entry, i, cells, places, planes, scalars):
    """Return one entry of the policy table of position `i`; see `gather_logits` for the arrays."""
    plane = entry // cells
    cell = entry - plane * cells
    if plane < planes.shape[2]:
        return planes[i, places[cell], plane]
    return scalars[i, cell]


@rule
def gather_logits(states, first, boards, moves, offsets, places, planes, scalars, logits):
    """Fill `logits` (float32[total]) for the moves of positions `first`, `first + 1`, ...

    `planes`: `float32[n, H * W, P]` and `scalars`: `float32[n, 9]` hold n positions from `first` on;
    `offsets` (int32) delimits the moves of each position; `places` maps cells to the grid.
    """
    b = boards[0]
    cells = int(b.par[N])
    players = int(b.par[PLAYERS])
    for i in range(planes.shape[0]):
        s = states[first + i]
        mover = int(s.misc[CUR])
        for j in range(offsets[first + i], offsets[first + i + 1]):
            e1, e2 = policy_entries(b, int(moves[j]), mover, players)
            v = table_value(e1, i, cells, places, planes, scalars)
            if e2 >= 0:
                v += table_value(e2, i, cells, places, planes, scalars)
            logits[j] = v


@rule
def turn_values(states, first, boards, relative, values):
    """Write what is known of each seat, [n, players, ...], from that of each relative seat."""
    players = int(boards[0].par[PLAYERS])
    for i in range(relative.shape[0]):
        mover = int(states[first + i].misc[CUR])
        for r in range(players):
            values[first + i, (mover - 1 + r) % players] = relative[i, r]
