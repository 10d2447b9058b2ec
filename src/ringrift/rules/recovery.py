"""Recovery slides (rules.md 12)."""

from __future__ import annotations

from ringrift.rules.cells import extract_lowest, has_buried, pop_top, set_code
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    AXES,
    COLLAPSED1,
    DIRS,
    EMPTY,
    LINE_BASE,
    LINE_LENGTH,
    MARKER,
    STACK1,
    N,
)
from ringrift.rules.lines import collapse_run, opposite
from ringrift.rules.moves import (
    BY_FALLBACK,
    BY_LINE,
    BY_STRIKE,
    RECOVER,
    a_of,
    b_of,
    c_of,
    pack,
    recovery_x,
    x_of,
)


@rule
def arm(s, b, c, d, code, skipped):
    """Count the markers of `code` next to `c` in direction `d`, `skipped` taken as empty."""
    k = 0
    t = b.nbr[c, d]
    while t != skipped and s.cell[t] == code:
        k += 1
        t = b.nbr[t, d]
    return k


@rule
def run_through(s, b, c, d, code, skipped):
    """Length of the run through `c` on the axis of `d`, as if `c` held the marker of `skipped`."""
    return 1 + arm(s, b, c, d, code, skipped) + arm(s, b, c, opposite(b, d), code, skipped)


@rule
def best_axis(s, b, c, code, skipped):
    """Return the index in recovery order of the longest run through `c`, first of equals (12.2)."""
    best = 0
    longest = 0
    for i in range(b.par[AXES]):
        k = run_through(s, b, c, b.recovery_axis[i], code, skipped)
        if k > longest:
            longest = k
            best = i
    return best


@rule
def applied_axis(s, b, c, code, skipped):
    """Return the axis whose run collapses, -1 if the slide cannot be applied (12.4 step 2)."""
    for i in range(b.par[AXES]):
        k = run_through(s, b, c, b.recovery_axis[i], code, skipped)
        if k >= b.par[LINE_BASE]:
            return i if k >= b.par[LINE_LENGTH] else -1
    return -1


@rule
def has_line_target(s, b, p):
    """Test whether any slide of `p` makes a run of the needed length (12.2)."""
    code = MARKER + p
    for a in range(b.par[N]):
        if s.cell[a] == code:
            for d in range(b.par[DIRS]):
                t = b.nbr[a, d]
                if s.cell[t] == EMPTY:
                    i = best_axis(s, b, t, code, a)
                    k = run_through(s, b, t, b.recovery_axis[i], code, a)
                    if k >= b.par[LINE_LENGTH]:
                        return True
    return False


@rule
def gen_extractions(s, b, p, a, t, x, out, n):
    """Append one slide a -> t per stack that holds a buried ring of `p` (12.3)."""
    for e in range(b.par[N]):
        code = s.cell[e]
        if STACK1 <= code and code < COLLAPSED1 and has_buried(s, e, p):
            out[n] = pack(RECOVER, a, t, e, x)
            n += 1
    return n


@rule
def gen_line_slides(s, b, p, a, t, out, n):
    """Append the line slides a -> t: option 1 per extraction, option 2 per window (12.3)."""
    code = MARKER + p
    i = best_axis(s, b, t, code, a)
    d = b.recovery_axis[i]
    back = arm(s, b, t, opposite(b, d), code, a)
    ahead = arm(s, b, t, d, code, a)
    need = b.par[LINE_LENGTH]
    if 1 + back + ahead < need or applied_axis(s, b, t, code, a) < 0:
        return n
    n = gen_extractions(s, b, p, a, t, recovery_x(BY_LINE, 1, 0), out, n)
    if 1 + back + ahead > need:
        w = t
        for before in range(need):  # the window starts `before` cells behind t
            if before <= back and need - 1 - before <= ahead:
                out[n] = pack(RECOVER, a, t, w, recovery_x(BY_LINE, 2, i))
                n += 1
            w = b.nbr[w, opposite(b, d)]
    return n


@rule
def gen_recovery(s, b, p, out, n):
    """Append every recovery slide of the eligible player `p` (rules.md 12.2, 12.3)."""
    code = MARKER + p
    lines_only = has_line_target(s, b, p)
    for a in range(b.par[N]):
        if s.cell[a] == code:
            for d in range(b.par[DIRS]):
                t = b.nbr[a, d]
                at = s.cell[t]
                if lines_only:
                    if at == EMPTY:
                        n = gen_line_slides(s, b, p, a, t, out, n)
                elif at == EMPTY:
                    n = gen_extractions(s, b, p, a, t, recovery_x(BY_FALLBACK, 0, 0), out, n)
                elif STACK1 <= at and at < COLLAPSED1:
                    n = gen_extractions(s, b, p, a, t, recovery_x(BY_STRIKE, 0, 0), out, n)
    return n


@rule
def apply_recovery(s, b, p, m):
    """Play a recovery slide (rules.md 12.4, 12.5)."""
    a = a_of(m)
    t = b_of(m)
    c = c_of(m)
    x = x_of(m)
    mode = x & 3
    option = (x >> 2) & 3
    code = MARKER + p
    if mode == BY_LINE:
        i = applied_axis(s, b, t, code, a)
        set_code(s, a, EMPTY)
        set_code(s, t, code)
        d = b.recovery_axis[i]
        back = arm(s, b, t, opposite(b, d), code, -1)
        k = 1 + back + arm(s, b, t, d, code, -1)
        need = b.par[LINE_LENGTH]
        if option == 2 and k > need:
            collapse_run(s, b, p, c, b.recovery_axis[x >> 4], need)
        else:
            first = t
            for _ in range(back):
                first = b.nbr[first, opposite(b, d)]
            collapse_run(s, b, p, first, d, k)
        if option == 2:
            return
    elif mode == BY_FALLBACK:
        set_code(s, a, EMPTY)
        set_code(s, t, code)
    else:
        set_code(s, a, EMPTY)
        pop_top(s, t)
        s.elim[p] += 1
    extract_lowest(s, c, p)
    s.elim[p] += 1
