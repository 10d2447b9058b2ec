# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The eight features that only the full heuristic has: attacks, windows, fences, regions.

They follow the nineteen of `light` in the rows of `f`; definitions are the table of `agents.md` 4.
A ray meets the *first stack* with no collapsed cell before it; markers are transparent.
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    AXES,
    COLLAPSED,
    COLLAPSED1,
    CUR,
    DIRS,
    EMPTY,
    HEX,
    LINE_BASE,
    LINE_LENGTH,
    MARKER,
    MAX_REGIONS,
    OFF,
    PLAYERS,
    RECOVERED,
    SIZE,
    STACK,
    STACK1,
    WALL,
    N,
)
from ringrift.rules.lines import opposite, run_from
from ringrift.rules.territory import find_regions, read_border

FULL_FEATURES = (
    "attacks", "exposed", "line_half", "line_near", "line_full", "fence", "intruders", "region",
)  # fmt: skip
FIRST_FULL = 19
ATTACKS, EXPOSED, LINE_HALF, LINE_NEAR, LINE_FULL, FENCE, INTRUDERS, REGION_GAIN = range(
    FIRST_FULL, FIRST_FULL + 8
)


@rule
def attacker(s, b, c, d):
    """Return the cell of the stack that attacks the one on `c` along direction `d`; `OFF` if none.

    `d` leads away from `c`. The attack needs a cap not below the target's, and behind the target a
    landing at least as far from the attacker as it is high (rules.md 8.1).
    """
    a = b.nbr[c, d]
    steps = 1
    while s.cell[a] < STACK1:
        a = b.nbr[a, d]
        steps += 1
    if s.cell[a] >= COLLAPSED1 or s.cap[c] > s.cap[a]:
        return OFF
    back = opposite(b, d)
    t = b.nbr[c, back]
    while s.cell[t] < STACK1:
        steps += 1
        if steps >= s.height[a]:
            return a
        t = b.nbr[t, back]
    return OFF


@rule
def attack_features(s, b, c, f):
    """Count the attacks of others on the stack on `c`, and its cap if there is one."""
    mine = s.cell[c]
    exposed = False
    for d in range(b.par[DIRS]):
        a = attacker(s, b, c, d)
        if a != OFF and s.cell[a] != mine:
            f[s.cell[a] - STACK, ATTACKS] += 1
            exposed = True
    if exposed:
        f[mine - STACK, EXPOSED] -= s.cap[c]


@rule
def window_features(s, b, c, f):
    """Count the windows of the needed length from `c` that one seat alone has markers in."""
    need = b.par[LINE_LENGTH]
    for i in range(b.par[AXES]):
        d = b.axis[i]
        t = c
        owner = 0
        own = 0
        for step in range(need):
            code = s.cell[t]
            if code >= COLLAPSED1:
                owner = -1
                break
            if code != EMPTY and code < STACK1:
                if owner == 0:
                    owner = code
                elif owner != code:
                    owner = -1
                    break
                own += 1
            if own + need - 1 - step < need - 2:
                owner = -1  # too few cells are left
                break
            t = b.nbr[t, d]
        if owner > 0:
            if own == need - 2:
                f[owner - MARKER, LINE_HALF] += 1
            elif own == need - 1:
                f[owner - MARKER, LINE_NEAR] += 1


@rule
def marker_features(s, b, c, f):
    """Count what the marker on `c` begins or belongs to: lines and fences."""
    code = s.cell[c]
    p = code - MARKER
    least = max(b.par[LINE_BASE], b.par[LINE_LENGTH])
    for i in range(b.par[AXES]):
        d = b.axis[i]
        if s.cell[b.nbr[c, opposite(b, d)]] != code and run_from(s, b, c, d, code) >= least:
            f[p, LINE_FULL] += 1
    held = 0
    for d in range(b.par[DIRS]):
        beside = s.cell[b.nbr[c, d]]
        if beside == code or beside >= COLLAPSED1:
            held += 1
    if held >= 2:
        f[p, FENCE] += 1


@rule
def intruder_features(s, b, c, f):
    """Charge every seat that has a marker within two steps of the other seat's stack on `c`."""
    owner = s.cell[c] - STACK
    size = b.par[SIZE]
    seen = 0
    for i in range(-2, 3):
        r = b.row[c] + i
        if r < 0 or r >= size:
            continue
        low = -2
        high = 2
        if b.par[HEX] != 0:  # |i + j| is the third coordinate
            low = max(-2, -2 - i)
            high = min(2, 2 - i)
        for j in range(low, high + 1):
            k = b.bit[c] + j
            if k < 0 or k >= size:
                continue
            code = s.cell[b.at[r, k]]
            if code != EMPTY and code < STACK1:
                seen |= 1 << int(code - MARKER)
    for p in range(1, b.par[PLAYERS] + 1):
        if p != owner and (seen >> p) & 1 != 0:
            f[p, INTRUDERS] -= 1


@rule
def region_gain(s, b, w, i):
    """Return what region `i` of `w.region` would bring: cells, border markers, rings inside."""
    for r in range(b.par[SIZE]):
        w.comp[r] = w.region[i, r]
    read_border(b, w)
    gain = 0
    for c in range(b.par[N]):
        bit = int(b.bit[c])
        r = b.row[c]
        if (int(w.comp[r]) >> bit) & 1 != 0:
            code = s.cell[c]
            gain += 1
            if STACK1 <= code < COLLAPSED1:
                gain += s.height[c]
        elif (int(w.border[r]) >> bit) & 1 != 0:
            gain += 1
    return gain


@rule
def full_features(s, b, w, f):
    """Fill columns 19 to 26 of `f`: float64[5, 27] for every seat."""
    players = b.par[PLAYERS]
    markers = 0
    collapsed = 0
    for p in range(1, players + 1):
        for k in range(FIRST_FULL, f.shape[1]):
            f[p, k] = 0.0
        markers += int(s.count[MARKER + p])
        collapsed += int(s.count[COLLAPSED + p])
    for c in range(b.par[N]):
        code = s.cell[c]
        if code >= STACK1 and code < COLLAPSED1:
            attack_features(s, b, c, f)
            if markers > 0:
                intruder_features(s, b, c, f)
        elif code != EMPTY and code < STACK1:
            marker_features(s, b, c, f)
        if markers > 0 and code < WALL:
            window_features(s, b, c, f)
    if markers + collapsed > 0:
        recovered = s.misc[RECOVERED]
        for p in range(1, players + 1):
            # The flag is about the mover's payments alone.
            s.misc[RECOVERED] = recovered if p == s.misc[CUR] else 0
            best = 0
            for i in range(find_regions(s, b, w, p, MAX_REGIONS)):
                best = max(best, region_gain(s, b, w, i))
            f[p, REGION_GAIN] = best
        s.misc[RECOVERED] = recovered
