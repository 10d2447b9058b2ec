"""Cells and stacks: the only functions that write `cell`, `count` and the ring links."""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import COLLAPSED, EMPTY, MARKER, RINGS_USED, STACK


@rule
def set_code(s, c, code):
    """Write the code of cell `c` and keep the counts of cells per code (rules.md 2.1)."""
    s.count[s.cell[c]] -= 1
    s.count[code] += 1
    s.cell[c] = code


@rule
def collapse(s, c, p):
    """Turn a cell without stack into territory of `p`; the caller credits `terr`."""
    set_code(s, c, COLLAPSED + p)


@rule
def settle(s, c):
    """Recompute cap and controller of cell `c` from its rings (rules.md 2.1)."""
    r = s.top[c]
    if r < 0:
        s.bottom[c] = -1
        s.cap[c] = 0
        s.height[c] = 0
        set_code(s, c, EMPTY)
        return
    p = s.owner[r]
    cap = 0
    while r >= 0 and s.owner[r] == p:
        cap += 1
        r = s.below[r]
    s.cap[c] = cap
    set_code(s, c, STACK + p)


@rule
def push_new_rings(s, c, p, k):
    """Put `k` rings of `p`, fresh from the hand, on top of cell `c` (rules.md 6.5)."""
    had = s.height[c]
    if had > 0 and s.owner[s.top[c]] == p:
        s.cap[c] += k
    else:
        s.cap[c] = k
    for _ in range(k):
        r = s.misc[RINGS_USED]
        s.misc[RINGS_USED] = r + 1
        s.owner[r] = p
        if s.height[c] == 0:
            s.below[r] = -1
            s.bottom[c] = r
        else:
            s.below[r] = s.top[c]
        s.top[c] = r
        s.height[c] += 1
    s.rings[p] += k
    set_code(s, c, STACK + p)


@rule
def pop_top(s, c):
    """Remove the top ring of cell `c` from the game (rules.md 11)."""
    r = s.top[c]
    s.rings[s.owner[r]] -= 1
    s.top[c] = s.below[r]
    s.height[c] -= 1
    if s.cap[c] > 1:
        s.cap[c] -= 1
    else:
        settle(s, c)


@rule
def pop_cap(s, c):
    """Remove the whole cap of cell `c` from the game; return its size (rules.md 11)."""
    k = int(s.cap[c])
    p = s.owner[s.top[c]]
    r = s.top[c]
    for _ in range(k):
        r = s.below[r]
    s.top[c] = r
    s.height[c] -= k
    s.rings[p] -= k
    settle(s, c)
    return k


@rule
def take_top_under(s, target, c):
    """Move the top ring of `target` to the bottom of the stack on `c` (rules.md 8.2 step 3)."""
    r = s.top[target]
    s.top[target] = s.below[r]
    s.height[target] -= 1
    if s.cap[target] > 1:
        s.cap[target] -= 1
    else:
        settle(s, target)
    s.below[s.bottom[c]] = r
    s.below[r] = -1
    s.bottom[c] = r
    if s.cap[c] == s.height[c] and s.owner[r] == s.owner[s.top[c]]:
        s.cap[c] += 1
    s.height[c] += 1


@rule
def lift_to(s, c, to, p):
    """Carry the stack of `p` from `c` to `to`, leaving a marker of `p` on `c`.

    The stack overwrites whatever code `to` had; a marker there must have been noted before.
    """
    s.top[to] = s.top[c]
    s.bottom[to] = s.bottom[c]
    s.height[to] = s.height[c]
    s.cap[to] = s.cap[c]
    s.top[c] = -1
    s.bottom[c] = -1
    s.height[c] = 0
    s.cap[c] = 0
    set_code(s, c, MARKER + p)
    set_code(s, to, STACK + p)


@rule
def clear_stack(s, c):
    """Remove every ring of cell `c` from the game, leaving it empty; return how many there were."""
    k = int(s.height[c])
    r = s.top[c]
    while r >= 0:
        s.rings[s.owner[r]] -= 1
        r = s.below[r]
    s.top[c] = -1
    s.height[c] = 0
    settle(s, c)
    return k


@rule
def has_buried(s, c, p):
    """Tell whether the stack on `c` holds a ring of `p` below its top ring (rules.md 0.5)."""
    if s.height[c] < 2:
        return False
    r = s.below[s.top[c]]
    while r >= 0:
        if s.owner[r] == p:
            return True
        r = s.below[r]
    return False


@rule
def extract_lowest(s, c, p):
    """Take the lowest ring of `p` out of the stack on `c` (rules.md 11, context recovery)."""
    r = s.top[c]
    above = -1
    found = -1
    found_above = -1
    while r >= 0:
        if s.owner[r] == p:
            found = int(r)
            found_above = above
        above = int(r)
        r = s.below[r]
    if found < 0:
        return
    under = s.below[found]
    if found_above >= 0:
        s.below[found_above] = under
    else:
        s.top[c] = under
    if under < 0:
        s.bottom[c] = found_above
    s.height[c] -= 1
    s.rings[p] -= 1
    settle(s, c)
