"""Replay of a move list in compiled code, every move checked against the complete legal set."""

from __future__ import annotations

from ringrift.rules.engine import region_cells
from ringrift.rules.hashing import hash_high, hash_low
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import COLLAPSED, OVER, PHASE, STACK1
from ringrift.rules.legal import legal
from ringrift.rules.moves import REGION, kind_of
from ringrift.rules.turn import apply

FINE, ILLEGAL, STUCK, AFTER_END, FELL, NO_KEY = range(6)
"""What stopped a replay: nothing; a move that is not legal; no legal move; the game is over;
eliminated rings or the progress sum fell; a key of a distribution that is not legal."""


@rule
def contains(moves, n, move):
    """Test whether `move` is among the first `n`."""
    for i in range(n):  # noqa: SIM110 - Numba compiles no generators
        if moves[i] == move:
            return True
    return False


@rule
def eliminated(s):
    """Sum the credited rings of all seats."""
    return s.elim[1] + s.elim[2] + s.elim[3] + s.elim[4]


@rule
def spent(s):
    """Count markers, collapsed cells and credited rings: no move lowers the sum (rules.md 22)."""
    n = eliminated(s)
    for code in range(1, STACK1):
        n += s.count[code]
        n += s.count[COLLAPSED + code]
    return n


@rule
def regions_before(moves, ply):
    """Count the `T` moves of the plies before `ply`."""
    count = 0
    for i in range(ply):
        if kind_of(moves[i]) == REGION:
            count += 1
    return count


@rule
def replay(
    states,
    boards,
    scratch,
    moves,
    first,
    last,
    every,
    keys,
    key_plies,
    buffer,
    hashes,
    regions,
    sizes,
):
    """Play `moves[first:last]` (int64) in position 0; return `ply * 8 + fault` of where it stopped.

    `keys`, `key_plies`: int64[k], moves that must be legal at their plies, plies ascending.
    `buffer`: int64[max_moves]. `hashes[i]` receives the 64-bit hash (signed) after ply
    `(i + 1) * every`, and after the last of all `moves`. With fault FINE the ply is `last`.
    `regions`: int16[r, cells], `sizes`: int64[r] receive the cells of each region that the `T` moves
    among all `moves` name, in their order; with r = 0 none are listed.
    """
    s = states[0]
    b = boards[0]
    w = scratch[0]
    key = 0
    while key < len(keys) and key_plies[key] < first:
        key += 1
    region = regions_before(moves, first)
    rings = eliminated(s)
    sum_before = spent(s)
    for ply in range(first, last):
        if s.misc[PHASE] == OVER:
            return ply * 8 + AFTER_END
        n = legal(s, b, w, buffer)
        if n == 0:
            return ply * 8 + STUCK
        m = moves[ply]
        if not contains(buffer, n, m):
            return ply * 8 + ILLEGAL
        while key < len(keys) and key_plies[key] == ply:
            if not contains(buffer, n, keys[key]):
                return ply * 8 + NO_KEY
            key += 1
        if len(sizes) > 0 and kind_of(m) == REGION:
            sizes[region] = region_cells(states, 0, boards, scratch, m, regions[region])
            region += 1
        apply(s, b, w, m)
        rings_after = eliminated(s)
        sum_after = spent(s)
        if sum_after < sum_before or rings_after < rings:
            return ply * 8 + FELL
        rings = rings_after
        sum_before = sum_after
        if (ply + 1) % every == 0 or ply + 1 == len(moves):
            low = hash_low(s, b)
            high = hash_high(s, b)
            hashes[ply // every] = ((high ^ 0x80000000) - 0x80000000) * 4294967296 + low
    return last * 8 + FINE
