"""Placement of rings from the hand (rules.md 6)."""

from __future__ import annotations

from ringrift.rules.cells import push_new_rings
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import COLLAPSED1, EMPTY, MARKER, RINGS, STACK, STACK1, N
from ringrift.rules.movement import any_stack_acts, could_act
from ringrift.rules.moves import PLACE, pack


@rule
def available(s, b, p):
    """Return how many rings `p` may still place: hand, capped by own rings on board (6.2)."""
    return min(s.hand[p], b.par[RINGS] - s.rings[p])


@rule
def can_place(s, b, p, c, k):
    """Test the no-dead-placement rule for `k` rings of `p` on the free cell or stack `c` (6.2)."""
    if s.cell[c] == STACK + p:
        return could_act(s, b, c, s.height[c] + k, s.cap[c] + k)
    return could_act(s, b, c, s.height[c] + k, k)


@rule
def gen_placements(s, b, p, out, n):
    """Append every legal `P cell count` of `p` (rules.md 6.2)."""
    avail = available(s, b, p)
    if avail < 1:
        return n
    most = min(3, avail)
    for c in range(b.par[N]):
        code = s.cell[c]
        if code == EMPTY:
            if could_act(s, b, c, 1, 1):
                out[n] = pack(PLACE, c, 0, 0, 1)
                n += 1
                for k in range(2, most + 1):
                    if could_act(s, b, c, k, k):
                        out[n] = pack(PLACE, c, 0, 0, k)
                        n += 1
        elif STACK1 <= code and code < COLLAPSED1 and can_place(s, b, p, c, 1):
            out[n] = pack(PLACE, c, 0, 0, 1)
            n += 1
    return n


@rule
def has_placement(s, b, p):
    """Test whether `p` can place a single ring anywhere (rules.md 6.2, 16)."""
    if available(s, b, p) < 1:
        return False
    for c in range(b.par[N]):
        code = s.cell[c]
        if (code == EMPTY or (STACK1 <= code and code < COLLAPSED1)) and can_place(s, b, p, c, 1):
            return True
    return False


@rule
def recovery_eligible(s, p):
    """Test rules.md 12.1: no stack, a marker, and a ring in some stack (buried, then)."""
    return s.count[STACK + p] == 0 and s.count[MARKER + p] > 0 and s.rings[p] > 0


@rule
def may_skip_placement(s, b, p):
    """Test whether `SP` is legal (rules.md 6.3)."""
    if s.hand[p] == 0:
        return False
    if s.count[STACK + p] > 0:
        return any_stack_acts(s, b, p)
    return recovery_eligible(s, p)


@rule
def apply_place(s, p, c, k):
    """Put `k` rings of `p` on `c` (rules.md 6.5)."""
    push_new_rings(s, c, p, k)
    s.hand[p] -= k
