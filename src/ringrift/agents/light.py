# ruff: noqa: SIM300 - compiled rules: Numba values, one flat pass
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The nineteen features of the light heuristic: own quantities of each seat in one pass.

Definitions are the table of `agents.md` 4; `full` adds eight more, `evaluation` weighs them.
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    COLLAPSED1,
    DIRS,
    HEX,
    LPS_ROUNDS,
    LPS_STREAK,
    LPS_STREAK_SEAT,
    MARKER,
    PLAYERS,
    RING_GOAL,
    SIZE,
    STACK,
    STACK1,
    TERRITORY_GOAL,
    N,
)
from ringrift.rules.placement import recovery_eligible

LIGHT_FEATURES = (
    "stacks", "height", "cap", "hand", "elim", "territory", "ring_goal", "territory_goal",
    "markers", "center", "mobility", "blocked", "no_stack", "one_stack", "fe_risk", "adjacent",
    "buried", "recovery", "lps",
)  # fmt: skip
(
    STACKS, HEIGHT, CAP, HAND, ELIM, TERRITORY, RINGS_TO_GO, CELLS_TO_GO,
    MARKERS, CENTER, MOBILITY, BLOCKED, NO_STACK, ONE_STACK, FE_RISK, ADJACENT,
    BURIED, RECOVERY, LPS,
) = range(19)  # fmt: skip


@rule
def diminishing(x):
    """Count up to five in full and the rest at a tenth: `g` of agents.md 4."""
    return float(x) if x <= 5 else 5.0 + 0.1 * (x - 5)


@rule
def is_central(b, c):
    """Tell the central cells: 4 of square8, distance 1 on square19 and hex8, 2 on hexagonal."""
    size = b.par[SIZE]
    row = 2 * int(b.row[c]) - (size - 1)
    bit = 2 * int(b.bit[c]) - (size - 1)
    if b.par[HEX] != 0:
        return max(abs(row), abs(bit), abs(row + bit)) <= (4 if size > 9 else 2)
    return max(abs(row), abs(bit)) <= (2 if size > 8 else 1)


@rule
def stack_features(s, b, c, f):
    """Add the stack on `c` to the features of its controller."""
    mine = s.cell[c]
    p = mine - STACK
    cap = int(s.cap[c])
    f[p, STACKS] += 1
    f[p, HEIGHT] += diminishing(s.height[c])
    f[p, CAP] += diminishing(cap)
    if is_central(b, c):
        f[p, CENTER] += 1
    ways = 0
    for d in range(b.par[DIRS]):
        t = b.nbr[c, d]
        code = s.cell[t]
        if code < STACK1:
            ways += 1
        elif code < COLLAPSED1:
            if s.cap[t] <= cap:
                ways += 1
            if code != mine:
                f[p, ADJACENT] += min(2.5, max(-2.5, (cap - int(s.cap[t])) / 2))
    f[p, MOBILITY] += ways
    if ways == 0:
        f[p, BLOCKED] -= 1


@rule
def light_features(s, b, f):
    """Fill the first 19 columns of `f`: float64[5, k] for every seat; row 0 is unused."""
    players = b.par[PLAYERS]
    stacks = 0
    cells = 0
    for p in range(1, players + 1):
        for k in range(LPS + 1):
            f[p, k] = 0.0
        stacks += int(s.count[STACK + p])
        cells += int(s.terr[p])
    c = 0
    while stacks > 0 and c < b.par[N]:
        if STACK1 <= s.cell[c] and s.cell[c] < COLLAPSED1:
            stacks -= 1
            stack_features(s, b, c, f)
        c += 1
    for p in range(1, players + 1):
        own = f[p, STACKS]
        terr = int(s.terr[p])
        f[p, HAND] = s.hand[p]
        f[p, ELIM] = s.elim[p]
        f[p, TERRITORY] = terr
        f[p, RINGS_TO_GO] = 1.0 / max(1, int(b.par[RING_GOAL]) - int(s.elim[p]))
        behind = max(int(b.par[TERRITORY_GOAL]) - terr, 1 + (cells - terr) - terr)
        f[p, CELLS_TO_GO] = 1.0 / max(1, behind)
        f[p, MARKERS] = s.count[MARKER + p]
        f[p, NO_STACK] = -1.0 if own == 0 else 0.0
        f[p, ONE_STACK] = -1.0 if own == 1 else 0.0
        if own > 0:
            f[p, FE_RISK] = -max(0.0, 2.0 - f[p, MOBILITY] / own)
        f[p, BURIED] = s.rings[p] - own
        f[p, RECOVERY] = 1.0 if recovery_eligible(s, p) else 0.0
        if s.misc[LPS_STREAK_SEAT] == p:
            share = s.misc[LPS_STREAK] / b.par[LPS_ROUNDS]
            f[p, LPS] = share * share
