"""Lines of markers: detection, choices, effect (rules.md 9)."""

from __future__ import annotations

from ringrift.rules.cells import collapse
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import AXES, DIRS, LINE_BASE, LINE_LENGTH, MARKER, N
from ringrift.rules.moves import LINE, NONE, OPTION, pack


@rule
def opposite(b, d):
    """Return the direction against `d`."""
    half = b.par[DIRS] // 2
    return d - half if d >= half else d + half


@rule
def run_from(s, b, c, d, code):
    """Count the consecutive cells of `code` from `c` on, `c` included, in direction `d`."""
    k = 0
    while s.cell[c] == code:
        k += 1
        c = b.nbr[c, d]
    return k


@rule
def along(b, c, d, steps):
    """Return the cell `steps` steps from `c` in direction `d`."""
    for _ in range(steps):
        c = b.nbr[c, d]
    return c


@rule
def has_line(s, b, p):
    """Test whether `p` has a line (rules.md 9.1)."""
    code = MARKER + p
    least = max(b.par[LINE_BASE], b.par[LINE_LENGTH])
    left = s.count[code]
    if left < least:
        return False
    c = 0
    while left > 0:
        if s.cell[c] == code:
            left -= 1
            for i in range(b.par[AXES]):
                d = b.axis[i]
                if s.cell[b.nbr[c, opposite(b, d)]] != code and run_from(s, b, c, d, code) >= least:
                    return True
        c += 1
    return False


@rule
def gen_lines(s, b, p, out, n):
    """Append one `L` per exact line, or `O` with all and each window per longer one (9.3)."""
    code = MARKER + p
    need = b.par[LINE_LENGTH]
    least = max(b.par[LINE_BASE], need)
    if s.count[code] < least:
        return n
    for c in range(b.par[N]):
        if s.cell[c] == code:
            for i in range(b.par[AXES]):
                d = b.axis[i]
                if s.cell[b.nbr[c, opposite(b, d)]] == code:
                    continue
                k = run_from(s, b, c, d, code)
                if k < least:
                    continue
                last = along(b, c, d, k - 1)
                if k == need:
                    out[n] = pack(LINE, c, last, 0, i)
                    n += 1
                else:
                    out[n] = pack(OPTION, c, last, NONE, i)
                    n += 1
                    w = c
                    for _ in range(k - need + 1):
                        out[n] = pack(OPTION, c, last, w, i)
                        n += 1
                        w = b.nbr[w, d]
    return n


@rule
def collapse_run(s, b, p, c, d, k):
    """Collapse `k` cells from `c` in direction `d` to `p` (rules.md 9.4)."""
    for _ in range(k):
        collapse(s, c, p)
        c = b.nbr[c, d]
    s.terr[p] += k
