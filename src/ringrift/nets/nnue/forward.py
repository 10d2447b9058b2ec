# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""From accumulators to outputs: the layers of each seat, the values of seats, the logits of moves.

Products are of int16 and sums of int32, each cast back as it is made: widened to 64 bits they cost
twice the time. A loop that makes one sum compiles to multiply-add instructions; one that shares its
loads between several sums does not. `evaluate` is what searches call inside their own compiled code.
"""

from __future__ import annotations

import math

import numpy as np

from ringrift.nets.calibration import third_of
from ringrift.nets.nnue.accumulate import update
from ringrift.nets.nnue.arrays import POLICY_WIDTH, WIDTH
from ringrift.nets.nnue.rows import move_rows
from ringrift.nets.outcome import final_values
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, OVER, PHASE, PLAYERS
from ringrift.rules.turn import apply

SHIFT = 6
CLIP = 127
OUTPUT_SCALE = 8128.0
"""An output of the last layer that stands for 1: 64 * 127."""

PRIOR_TEMPERATURE = 0.5
"""Of the softmax over one-ply values that stands for a policy."""


@rule
def fill_x(sums, x, players, place):
    """Write the clipped sums of each seat, and the largest of the others', to `x`: int16[P, 2 H]."""
    hidden = sums.shape[1]
    for p in range(players):
        at = place * players + p
        for j in range(hidden):
            x[p, j] = min(max(sums[at, j], 0), CLIP)
    for p in range(players):
        q = 0 if p > 0 else 1
        for j in range(hidden):
            x[p, hidden + j] = x[q, j]
        for o in range(q + 1, players):
            if o != p:
                for j in range(hidden):
                    x[p, hidden + j] = max(x[p, hidden + j], x[o, j])


@rule
def layer(weights, first, bias, x, p, y):
    """Write clip((weights[first:] @ x[p] + bias) >> 6) to `y`, a unit for each bias."""
    for i in range(len(bias)):
        z = bias[i]
        for j in range(x.shape[1]):
            z = np.int32(z + np.int32(x[p, j]) * np.int32(weights[first + i, j]))
        y[i] = min(max(z >> SHIFT, 0), CLIP)


@rule
def inner_layers(small, spare):
    """Return the output of the seat whose first layer is in `spare.y[0]`."""
    y = spare.y
    at = 0
    for k in range(small.inners):
        layer(small.inner[k], 0, small.inner_bias[k], y, at, y[1 - at])
        at = 1 - at
    z = np.int32(small.last_bias)
    for j in range(WIDTH):
        z = np.int32(z + np.int32(y[at, j]) * np.int32(small.last[j]))
    return z


@rule
def outputs(layers, small, sums, x, players, place, spare):
    """Write the outputs of all seats of the position in `place` to `spare.z`; fills `x`."""
    fill_x(sums, x, players, place)
    for p in range(players):
        layer(layers, 0, small.first_bias, x, p, spare.y[0])
        spare.z[p] = inner_layers(small, spare)


@rule
def seat_values(z, players, unit, out):
    """Write the value of each seat to `out`: float[players], from the outputs `z`.

    `unit` is the output that stands for a logit of 1: the scale, times the model's temperature.
    Outputs are the logits of a Plackett-Luce ranking, in which p finishes before o with probability
    1 / (1 + exp(z[o] - z[p])): the expected mean of sign(rank[o] - rank[p]) has a closed form. For
    two players it is 2 p - 1 of the softmax.
    """
    for p in range(players):
        total = 0.0
        for r in range(1, players):
            difference = int(z[p]) - int(z[(p + r) % players])
            total += math.tanh(difference / (2.0 * unit))
        out[p] = total / (players - 1)


@rule
def move_output(rows, spare, n):
    """Return the product of `spare.h` with the sum of the first `n` of `spare.row`, scale 8128."""
    total = spare.total
    first = spare.row[0]
    for j in range(POLICY_WIDTH):
        total[j] = rows[first, j]
    for i in range(1, n):
        r = spare.row[i]
        for j in range(POLICY_WIDTH):
            total[j] += rows[r, j]
    z = np.int32(0)
    for j in range(POLICY_WIDTH):
        z = np.int32(z + np.int32(total[j]) * np.int32(spare.h[j]))
    return z


@rule
def policy_logits(s, b, w, net, work, moves, first, last, logits):
    """Write the logits of `moves[first:last]` of the position just evaluated, at the same indices."""
    spare = work.spare[0]
    layer(net.layers, WIDTH, net.small[0].head_bias, work.x, int(s.misc[CUR]) - 1, spare.h)
    for j in range(first, last):
        n = move_rows(s, b, w, moves[j], spare.row)
        logits[j] = move_output(net.rows, spare, n) / OUTPUT_SCALE


@rule
def evaluate_from(s, b, net, work, source, place, out):
    """Write the value of each seat to `out`: float[players], keeping the accumulators in `place`.

    They are made from those of `source`, as a search keeps them for each depth. A finished game
    has the value of its ranking and leaves the accumulators as they are.
    """
    if s.misc[PHASE] == OVER:
        final_values(s, b, out)
        return
    players = int(b.par[PLAYERS])
    spare = work.spare[0]
    small = net.small[0]
    update(s, b, net, work, source, place)
    outputs(net.layers, small, work.sums, work.x, players, place, spare)
    seat_values(spare.z, players, small.unit[third_of(s, b)], out)


@rule
def evaluate(s, b, net, work, out):
    """Write the value of each seat to `out`: float[players]; differences are to the last position."""
    evaluate_from(s, b, net, work, 0, 0, out)


@rule
def evaluate_policy(states, boards, scratch, net, work, moves, offsets, logits, values):
    """Evaluate unfinished positions and their legal moves; see `agents.protocol.Evaluator`.

    Position i keeps its accumulators in place i: batches of a search show the same games again.
    """
    places = len(work.places) - 1
    for i in range(len(states)):
        s = states[i]
        evaluate_from(s, boards[0], net, work, i % places, i % places, values[i])
        policy_logits(
            s, boards[0], scratch[0], net, work, moves, offsets[i], offsets[i + 1], logits
        )


@rule
def evaluate_moves(states, boards, scratch, spare, net, work, moves, offsets, logits, values):
    """Evaluate unfinished positions; logits are the mover's value after each move / temperature.

    `spare`: STATE[1] holds the position after a move, the last place its accumulators.
    """
    b = boards[0]
    places = len(work.places) - 1
    after = np.zeros(4)
    for i in range(len(states)):
        seat = states[i].misc[CUR]
        evaluate_from(states[i], b, net, work, i % places, i % places, values[i])
        source = i % places
        for j in range(offsets[i], offsets[i + 1]):
            spare[0] = states[i]
            apply(spare[0], b, scratch[0], moves[j])
            evaluate_from(spare[0], b, net, work, source, places, after)
            logits[j] = after[seat - 1] / PRIOR_TEMPERATURE


@rule
def win_logarithms(states, boards, net, work, win):
    """Write the logarithm of each seat's probability to win to `win`: float[n, players].

    It is that of the softmax of the outputs over seats; the positions are unfinished.
    """
    b = boards[0]
    players = int(b.par[PLAYERS])
    places = len(work.places) - 1
    small = net.small[0]
    spare = work.spare[0]
    for i in range(len(states)):
        s = states[i]
        update(s, b, net, work, i % places, i % places)
        outputs(net.layers, small, work.sums, work.x, players, i % places, spare)
        unit = small.unit[third_of(s, b)]
        most = spare.z[0]
        for p in range(1, players):
            most = max(most, spare.z[p])
        total = 0.0
        for p in range(players):
            win[i, p] = (int(spare.z[p]) - int(most)) / unit
            total += math.exp(win[i, p])
        for p in range(players):
            win[i, p] -= math.log(total)
