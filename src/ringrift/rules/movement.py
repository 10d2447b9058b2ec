"""Simple moves and capture segments: reach, generation, effect (rules.md 7, 8)."""

from __future__ import annotations

from ringrift.rules.cells import collapse, lift_to, pop_top, set_code, take_top_under
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import COLLAPSED1, DIRS, EMPTY, MARKER, OFF, ONLY, STACK, STACK1
from ringrift.rules.moves import CAPTURES, MOVE, pack


@rule
def can_slide(s, b, c, h):
    """Test whether a stack of height `h` standing on `c` could make a simple move (6.1 a)."""
    for d in range(b.par[DIRS]):
        t = b.nbr[c, d]
        dist = 1
        while s.cell[t] < STACK1:
            if dist >= h:
                return True
            dist += 1
            t = b.nbr[t, d]
    return False


@rule
def can_take(s, b, c, h, cap):
    """Test whether a stack of height `h` and cap `cap` standing on `c` could capture (6.1 b)."""
    for d in range(b.par[DIRS]):
        t = b.nbr[c, d]
        dist = 1
        while s.cell[t] < STACK1:
            dist += 1
            t = b.nbr[t, d]
        if s.cell[t] < COLLAPSED1 and s.cap[t] <= cap:
            t = b.nbr[t, d]
            dist += 1
            while s.cell[t] < STACK1:
                if dist >= h:
                    return True
                dist += 1
                t = b.nbr[t, d]
    return False


@rule
def could_act(s, b, c, h, cap):
    """Test whether a stack of height `h` and cap `cap` standing on `c` could act (rules.md 6.1)."""
    return can_slide(s, b, c, h) or can_take(s, b, c, h, cap)


@rule
def can_act(s, b, c):
    """Test whether the stack on `c` has a simple move or a capture (rules.md 6.1)."""
    return could_act(s, b, c, s.height[c], s.cap[c])


@rule
def can_capture(s, b, c):
    """Test whether the stack on `c` has a legal capture segment (rules.md 8.1)."""
    return can_take(s, b, c, s.height[c], s.cap[c])


@rule
def gen_slides(s, b, c, out, n):
    """Append the simple moves of the stack on `c` (rules.md 7.1)."""
    h = s.height[c]
    for d in range(b.par[DIRS]):
        t = b.nbr[c, d]
        dist = 1
        while s.cell[t] < STACK1:
            if dist >= h:
                out[n] = pack(MOVE, c, t, 0, 0)
                n += 1
            dist += 1
            t = b.nbr[t, d]
    return n


@rule
def gen_captures(s, b, c, kind, out, n):
    """Append the capture segments of the stack on `c` as moves of `kind` (rules.md 8.1, 8.3)."""
    h = s.height[c]
    cap = s.cap[c]
    for d in range(b.par[DIRS]):
        t = b.nbr[c, d]
        dist = 1
        while s.cell[t] < STACK1:
            dist += 1
            t = b.nbr[t, d]
        if s.cell[t] < COLLAPSED1 and s.cap[t] <= cap:
            target = t
            t = b.nbr[t, d]
            dist += 1
            while s.cell[t] < STACK1:
                if dist >= h:
                    out[n] = pack(kind, c, target, t, 0)
                    n += 1
                dist += 1
                t = b.nbr[t, d]
    return n


@rule
def gen_from(s, b, c, out, n):
    """Append the simple moves and capture segments of the stack on `c` (rules.md 7.1, 8.1)."""
    return gen_captures(s, b, c, CAPTURES, out, gen_slides(s, b, c, out, n))


@rule
def gen_stack_moves(s, b, p, out, n):
    """Append all stack moves of `p`, of the must-move stack alone where one is set (rules.md 5)."""
    mine = STACK + p
    only = s.misc[ONLY]
    if only >= 0:
        if s.cell[only] == mine:
            n = gen_from(s, b, only, out, n)
        return n
    left = s.count[mine]
    c = 0
    while left > 0:
        if s.cell[c] == mine:
            left -= 1
            n = gen_from(s, b, c, out, n)
        c += 1
    return n


@rule
def any_stack_acts(s, b, p):
    """Test whether any stack of `p` has a simple move or a capture."""
    mine = STACK + p
    left = s.count[mine]
    c = 0
    while left > 0:
        if s.cell[c] == mine:
            left -= 1
            if can_act(s, b, c):
                return True
        c += 1
    return False


@rule
def direction_towards(b, c, t):
    """Return the movement direction in which `t` lies from `c`; -1 if on no ray."""
    for d in range(b.par[DIRS]):
        u = b.nbr[c, d]
        while u != OFF:
            if u == t:
                return d
            u = b.nbr[u, d]
    return -1


@rule
def cross_markers(s, b, p, c, d, end):
    """Flip or collapse the markers strictly between `c` and `end` for `p` (rules.md 7.2 step 2)."""
    t = b.nbr[c, d]
    while t != end:
        code = s.cell[t]
        if code == MARKER + p:
            collapse(s, t, p)
            s.terr[p] += 1
        elif code != EMPTY:
            set_code(s, t, MARKER + p)
        t = b.nbr[t, d]


@rule
def land(s, p, c, to, on_marker):
    """Carry the stack to `to`; a marker found there costs the top ring (rules.md 7.2, 8.2)."""
    lift_to(s, c, to, p)
    if on_marker:
        pop_top(s, to)
        s.elim[p] += 1


@rule
def apply_move(s, b, p, c, to):
    """Play a simple move (rules.md 7.2)."""
    d = direction_towards(b, c, to)
    cross_markers(s, b, p, c, d, to)
    land(s, p, c, to, s.cell[to] != EMPTY)


@rule
def apply_capture(s, b, p, c, target, to):
    """Play one capture segment (rules.md 8.2)."""
    d = direction_towards(b, c, to)
    cross_markers(s, b, p, c, d, target)
    cross_markers(s, b, p, target, d, to)
    on_marker = s.cell[to] != EMPTY
    take_top_under(s, target, c)
    land(s, p, c, to, on_marker)
