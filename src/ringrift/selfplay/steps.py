# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Compiled steps of many games: openings, moves, and the plies that leave no choice.

`states`: STATE[g], `played`: int64[g, max_plies] with `plies`: int32[g] entries in use, `watches`:
WATCH[g]. A fault is 0 or says why a game cannot go on (`invariants.FAULTS`).
"""

from __future__ import annotations

from ringrift.agents.streams import OPENING, SCHEDULE, below, stream, uniform
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, OVER, PHASE
from ringrift.rules.legal import legal, swap_offered
from ringrift.rules.moves import SWAP
from ringrift.rules.turn import apply, reset
from ringrift.selfplay.invariants import (
    FINE,
    HASH_CHANGED,
    ILLEGAL,
    NO_MOVES,
    look,
    remember,
    untouched,
)


@rule
def put(s, b, w, move, row, plies, i, watch):
    """Play and record a move that is known to be legal; return a fault."""
    if not untouched(s, b, watch):
        return HASH_CHANGED
    row[plies[i]] = move
    plies[i] += 1
    apply(s, b, w, move)
    if watch.on:
        return look(s, b, watch)
    return FINE


@rule
def settle(s, b, w, buffer, row, plies, i, watch):
    """Play on while there is one legal move; return a fault."""
    while plies[i] < len(row) and s.misc[PHASE] != OVER:
        n = legal(s, b, w, buffer)
        if n == 0:
            return NO_MOVES
        if n > 1:
            return FINE
        fault = put(s, b, w, buffer[0], row, plies, i, watch)
        if fault != FINE:
            return fault
    return FINE


@rule
def put_checked(s, b, w, move, buffer, row, plies, i, watch):
    """Play a move after looking it up in the legal set; return a fault."""
    n = legal(s, b, w, buffer)
    for j in range(n):
        if buffer[j] == move:
            return put(s, b, w, move, row, plies, i, watch)
    return ILLEGAL


@rule
def start_position(states, i, boards):
    """Set game `i` to the start position."""
    reset(states[i], boards[0])


@rule
def open_game(states, i, boards, scratch, buffer, played, plies, opening, watches):
    """Begin game `i` from the position it has with `opening` (int64[k]); return a fault."""
    s = states[i]
    b = boards[0]
    w = scratch[0]
    row = played[i]
    watch = watches[i]
    plies[i] = 0
    if watch.on:
        remember(s, b, watch)
    for k in range(len(opening)):
        if plies[i] >= len(row) or s.misc[PHASE] == OVER:
            return ILLEGAL
        fault = put_checked(s, b, w, opening[k], buffer, row, plies, i, watch)
        if fault != FINE:
            return fault
    return settle(s, b, w, buffer, row, plies, i, watch)


@rule
def without_offer(buffer, n):
    """Take `SW` out of a legal set; return how many moves are left."""
    kept = 0
    for j in range(n):
        if buffer[j] != SWAP:
            buffer[kept] = buffer[j]
            kept += 1
    return kept


@rule
def play_randomly(
    states, i, boards, scratch, buffer, played, plies, seed, declined, randoms, watches
):
    """Play up to `len(randoms)` random choices; return `choices made * 8 + fault`.

    It stops at a swap offer, unless this one was `declined`; `SW` itself is never drawn. `randoms`:
    int32[k] receives the plies of the choices.
    """
    s = states[i]
    b = boards[0]
    w = scratch[0]
    row = played[i]
    watch = watches[i]
    for k in range(len(randoms)):
        if plies[i] >= len(row) or s.misc[PHASE] == OVER:
            return k * 8 + FINE
        offered = swap_offered(s, b)
        if offered and not declined:
            return k * 8 + FINE
        n = legal(s, b, w, buffer)
        if offered:
            n = without_offer(buffer, n)
        x, y = stream(seed, plies[i], s.misc[CUR], OPENING)
        randoms[k] = plies[i]
        fault = put(s, b, w, buffer[below(x, y, 0, n)], row, plies, i, watch)
        if fault == FINE:
            fault = settle(s, b, w, buffer, row, plies, i, watch)
        if fault != FINE:
            return (k + 1) * 8 + fault
    return len(randoms) * 8 + FINE


@rule
def advance(states, slots, moves, boards, scratch, buffer, played, plies, faults, watches):
    """Play `moves[k]` in game `slots[k]` and then all plies without a choice; fill `faults`."""
    b = boards[0]
    w = scratch[0]
    for k in range(len(slots)):
        i = slots[k]
        row = played[i]
        fault = put_checked(states[i], b, w, moves[k], buffer, row, plies, i, watches[i])
        if fault == FINE:
            fault = settle(states[i], b, w, buffer, row, plies, i, watches[i])
        faults[k] = fault


@rule
def draw_shares(seeds, plies, seats, out):
    """Fill `out`: float64[n] with the draw of each choice that says full or cheap."""
    for k in range(len(seeds)):
        a, b = stream(seeds[k], plies[k], seats[k], SCHEDULE)
        out[k] = uniform(a, b, 0)
