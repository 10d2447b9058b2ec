"""Random playouts: every ply drawn uniformly from the complete legal set.

In the placement phase a candidate (cell, count) is drawn and kept if legal, which is uniform over
the legal set without generating it; after `TRIES` misses the set is generated after all.
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    COLLAPSED1,
    CUR,
    EMPTY,
    OVER,
    PHASE,
    PLACEMENT,
    PLY,
    STACK1,
    N,
)
from ringrift.rules.legal import legal, swap_offered
from ringrift.rules.movement import could_act
from ringrift.rules.moves import PLACE, SKIP_PLACE, SWAP, pack
from ringrift.rules.placement import available, can_place, may_skip_placement
from ringrift.rules.turn import apply

TRIES = 16
WORD = 0xFFFFFFFF


@rule
def seeded(seed):
    """Return a non-zero xorshift32 state for any seed."""
    x = (int(seed) ^ 0x9E3779B9) & WORD
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & WORD
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & WORD
    x = x ^ (x >> 16)
    return x if x != 0 else 1


@rule
def next_random(x):
    """Return the next xorshift32 state; identical in Python, compiled, and on CUDA."""
    x ^= (x << 13) & WORD
    x ^= x >> 17
    return x ^ ((x << 5) & WORD)


@rule
def draw(x, n):
    """Map a random word to 0..n-1."""
    return (x * n) >> 32


@rule
def try_placement(s, b, p, avail, u):
    """Return the move of placement candidate `u`, -1 if it is not legal."""
    n = b.par[N]
    if u >= 3 * n:
        if u == 3 * n:
            return SKIP_PLACE if may_skip_placement(s, b, p) else -1
        return SWAP if swap_offered(s, b) else -1
    c = u // 3
    k = u - 3 * c + 1
    code = s.cell[c]
    if code == EMPTY:
        if k > avail or not could_act(s, b, c, 1, 1):
            return -1
        if k > 1 and not could_act(s, b, c, k, k):
            return -1
        return pack(PLACE, c, 0, 0, k)
    if STACK1 <= code and code < COLLAPSED1 and k == 1 and can_place(s, b, p, c, 1):
        return pack(PLACE, c, 0, 0, 1)
    return -1


@rule
def random_ply(s, b, w, out, x):
    """Play one ply drawn uniformly from the legal set; return the new random state.

    A position without a legal move (artificial ones only) is left as it is.
    """
    p = s.misc[CUR]
    if s.misc[PHASE] == PLACEMENT and s.hand[p] > 0:
        avail = available(s, b, p)
        for _ in range(TRIES):
            x = next_random(x)
            m = try_placement(s, b, p, avail, draw(x, 3 * b.par[N] + 2))
            if m >= 0:
                apply(s, b, w, m)
                return x
    n = legal(s, b, w, out)
    if n > 1:
        x = next_random(x)
        apply(s, b, w, out[draw(x, n)])
    elif n == 1:
        apply(s, b, w, out[0])
    return x


@rule
def playout(s, b, w, out, seed, max_plies):
    """Play random plies until the game ends or `max_plies` more were played; return how many."""
    x = seeded(seed)
    first = s.misc[PLY]
    while s.misc[PHASE] != OVER and s.misc[PLY] - first < max_plies:
        before = s.misc[PLY]
        x = random_ply(s, b, w, out, x)
        if s.misc[PLY] == before:
            break
    return s.misc[PLY] - first
