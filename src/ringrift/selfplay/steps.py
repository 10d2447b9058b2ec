# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Compiled steps of many games: openings, moves, and the plies that leave no choice.

`states`: STATE[g]; `played`: int64[g, max_plies] with `plies`: int32[g] entries in use; `checks`:
int64[g, max_plies // CHECK_EVERY], state hashes; `watches`: WATCH[g]. A fault is 0 or says why a
game cannot go on (`invariants.FAULTS`).
"""

from __future__ import annotations

from ringrift.agents.streams import OPENING, SCHEDULE, below, stream, uniform
from ringrift.records.record import CHECK_EVERY
from ringrift.rules.engine import hash64
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
def put(states, i, boards, scratch, move, played, plies, checks, watches):
    """Play and record a move that is known to be legal; return a fault."""
    s = states[i]
    b = boards[0]
    watch = watches[i]
    if not untouched(s, b, watch):
        return HASH_CHANGED
    played[i, plies[i]] = move
    plies[i] += 1
    apply(s, b, scratch[0], move)
    if plies[i] % CHECK_EVERY == 0:
        checks[i, plies[i] // CHECK_EVERY - 1] = hash64(states, i, boards)
    if watch.on:
        return look(s, b, watch)
    return FINE


@rule
def settle(states, i, boards, scratch, buffer, played, plies, checks, watches):
    """Play on while there is one legal move; return a fault."""
    s = states[i]
    while plies[i] < played.shape[1] and s.misc[PHASE] != OVER:
        n = legal(s, boards[0], scratch[0], buffer)
        if n == 0:
            return NO_MOVES
        if n > 1:
            return FINE
        fault = put(states, i, boards, scratch, buffer[0], played, plies, checks, watches)
        if fault != FINE:
            return fault
    return FINE


@rule
def put_checked(states, i, boards, scratch, move, buffer, played, plies, checks, watches):
    """Play a move after looking it up in the legal set; return a fault."""
    n = legal(states[i], boards[0], scratch[0], buffer)
    for j in range(n):
        if buffer[j] == move:
            return put(states, i, boards, scratch, move, played, plies, checks, watches)
    return ILLEGAL


@rule
def start_position(states, i, boards):
    """Set game `i` to the start position."""
    reset(states[i], boards[0])


@rule
def open_game(states, i, boards, scratch, buffer, played, plies, checks, opening, watches):
    """Begin game `i` from the position it has with `opening` (int64[k]); return a fault."""
    s = states[i]
    plies[i] = 0
    if watches[i].on:
        remember(s, boards[0], watches[i])
    for k in range(len(opening)):
        if plies[i] >= played.shape[1] or s.misc[PHASE] == OVER:
            return ILLEGAL
        fault = put_checked(
            states, i, boards, scratch, opening[k], buffer, played, plies, checks, watches
        )
        if fault != FINE:
            return fault
    return settle(states, i, boards, scratch, buffer, played, plies, checks, watches)


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
    states, i, boards, scratch, buffer, played, plies, checks, seed, declined, randoms, watches
):
    """Play up to `len(randoms)` random choices; return `choices made * 8 + fault`.

    It stops at a swap offer, unless this one was `declined`; `SW` itself is never drawn. `randoms`:
    int32[k] receives the plies of the choices.
    """
    s = states[i]
    b = boards[0]
    for k in range(len(randoms)):
        if plies[i] >= played.shape[1] or s.misc[PHASE] == OVER:
            return k * 8 + FINE
        offered = swap_offered(s, b)
        if offered and not declined:
            return k * 8 + FINE
        n = legal(s, b, scratch[0], buffer)
        if offered:
            n = without_offer(buffer, n)
        x, y = stream(seed, plies[i], s.misc[CUR], OPENING)
        randoms[k] = plies[i]
        move = buffer[below(x, y, 0, n)]
        fault = put(states, i, boards, scratch, move, played, plies, checks, watches)
        if fault == FINE:
            fault = settle(states, i, boards, scratch, buffer, played, plies, checks, watches)
        if fault != FINE:
            return (k + 1) * 8 + fault
    return len(randoms) * 8 + FINE


@rule
def advance(states, slots, moves, boards, scratch, buffer, played, plies, checks, faults, watches):
    """Play `moves[k]` in game `slots[k]` and then all plies without a choice; fill `faults`."""
    for k in range(len(slots)):
        i = slots[k]
        fault = put_checked(
            states, i, boards, scratch, moves[k], buffer, played, plies, checks, watches
        )
        if fault == FINE:
            fault = settle(states, i, boards, scratch, buffer, played, plies, checks, watches)
        faults[k] = fault


@rule
def draw_shares(seeds, plies, seats, out):
    """Fill `out`: float64[n] with the draw of each choice that says full or cheap."""
    for k in range(len(seeds)):
        a, b = stream(seeds[k], plies[k], seats[k], SCHEDULE)
        out[k] = uniform(a, b, 0)
