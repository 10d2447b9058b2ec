"""The turn machine: play a packed move (rules.md 4)."""

from __future__ import annotations

from ringrift.rules.cells import extract_lowest, pop_cap, pop_top
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    ACTED,
    CAPTURE,
    CHAIN,
    CUR,
    EMPTY,
    FORCED,
    LINE_DEBT,
    LINE_LENGTH,
    LINES,
    LPS_UPDATED,
    MAX_CELLS,
    MOVED,
    MOVEMENT,
    OFF,
    ONLY,
    OVER,
    PHASE,
    PLACEMENT,
    PLAYERS,
    PLY,
    PREV,
    RECOVERED,
    RINGS,
    STACK,
    TERRITORY,
    TERRITORY_DEBT,
    TURN,
    WALL,
    N,
)
from ringrift.rules.lines import collapse_run, has_line, run_from
from ringrift.rules.movement import apply_capture, apply_move, can_capture
from ringrift.rules.moves import (
    CAPTURES,
    CONTINUE,
    FOR_LINE,
    FOR_TERRITORY,
    FORCE,
    LINE,
    MOVE,
    NO_LINE,
    NO_MOVE,
    NO_PLACE,
    NO_REGION,
    NONE,
    OPTION,
    PAY,
    PLACE,
    RECOVER,
    REGION,
    SKIP_CAPTURE,
    SKIP_PLACE,
    SKIP_RECOVER,
    SKIP_REGION,
    SWAP,
    a_of,
    b_of,
    c_of,
    is_noop,
    kind_of,
    x_of,
)
from ringrift.rules.placement import apply_place, has_placement, recovery_eligible
from ringrift.rules.recovery import apply_recovery
from ringrift.rules.territory import apply_region, has_region
from ringrift.rules.victory import (
    evaluate_victory,
    finish,
    is_out,
    lps_update,
    lps_victory,
    next_seat,
)


@rule
def reset(s, b):
    """Set the start position of the board (rules.md 1.1)."""
    n = b.par[N]
    for c in range(MAX_CELLS):
        s.cell[c] = EMPTY if c < n else WALL
        s.height[c] = 0
        s.cap[c] = 0
        s.top[c] = -1
        s.bottom[c] = -1
    s.cell[OFF] = WALL
    for i in range(len(s.count)):
        s.count[i] = 0
    s.count[EMPTY] = n
    for i in range(len(s.misc)):
        s.misc[i] = 0
    for q in range(5):
        s.hand[q] = b.par[RINGS] if 1 <= q and q <= b.par[PLAYERS] else 0
        s.elim[q] = 0
        s.terr[q] = 0
        s.rings[q] = 0
        s.out_turn[q] = 0
    s.misc[CUR] = 1
    s.misc[ONLY] = -1


@rule
def end_if_stuck(s, b):
    """Run the active-no-moves resolver (rules.md 13); it can bite only in artificial positions."""
    p = s.misc[CUR]
    if s.hand[p] == 0 or s.count[STACK + p] > 0:
        return
    if s.misc[PHASE] != MOVEMENT and recovery_eligible(s, p):
        return
    if has_placement(s, b, p):
        return
    v = evaluate_victory(s, b)
    if v > 0:
        finish(s, v >> 3, v & 7)


@rule
def end_turn(s, b, p):
    """End the turn of `p`: victory, rotation, counters (rules.md 4.3)."""
    m = s.misc
    m[ONLY] = -1
    m[LINE_DEBT] = 0
    m[TERRITORY_DEBT] = 0
    m[TURN] += 1
    for q in range(1, b.par[PLAYERS] + 1):
        if s.out_turn[q] == 0 and is_out(s, q):
            s.out_turn[q] = m[TURN]
    v = evaluate_victory(s, b)
    if v > 0:
        finish(s, v >> 3, v & 7)
        return
    q = next_seat(s, b, p)
    if q != p:
        m[ACTED] = 0
        m[RECOVERED] = 0
    m[CUR] = q
    m[PHASE] = PLACEMENT
    end_if_stuck(s, b)
    if m[PHASE] != OVER:
        lps_update(s, b)
        lps_victory(s, b)


@rule
def after_capture(s, b, p, to):
    """Choose the phase after a capture segment that landed on `to` (rules.md 8.3)."""
    if s.cell[to] == STACK + p and can_capture(s, b, to):
        s.misc[PHASE] = CHAIN
        s.misc[ONLY] = to
    else:
        s.misc[PHASE] = LINES
        s.misc[ONLY] = -1


@rule
def play_line(s, b, p, m):
    """Collapse a line or a window of it; owe a ring where all of it went (rules.md 9.4)."""
    first = a_of(m)
    d = b.axis[x_of(m)]
    k = run_from(s, b, first, d, s.cell[first])
    window = c_of(m)
    if kind_of(m) == LINE or window == NONE:
        collapse_run(s, b, p, first, d, k)
        s.misc[LINE_DEBT] = 1 if s.count[STACK + p] > 0 else 0
    else:
        collapse_run(s, b, p, window, d, b.par[LINE_LENGTH])
        s.misc[LINE_DEBT] = 0
    if s.misc[LINE_DEBT] == 0 and not has_line(s, b, p):
        s.misc[PHASE] = TERRITORY


@rule
def play_payment(s, b, w, p, m):
    """Pay for a line or a region (rules.md 9.5, 10.6)."""
    c = a_of(m)
    context = x_of(m)
    if context == FOR_LINE:
        pop_top(s, c)
        s.elim[p] += 1
        s.misc[LINE_DEBT] = 0
        return
    if context == FOR_TERRITORY:
        s.elim[p] += pop_cap(s, c)
    else:
        extract_lowest(s, c, p)
        s.elim[p] += 1
    s.misc[TERRITORY_DEBT] = 0
    if not has_region(s, b, w, p):
        end_turn(s, b, p)


@rule
def apply(s, b, w, m):
    """Play the legal packed move `m` in place (rules.md 4.1). Legality is the caller's concern."""
    p = s.misc[CUR]
    kind = kind_of(m)
    s.misc[LPS_UPDATED] = 0
    if not is_noop(kind):
        s.misc[ACTED] = 1

    if kind == PLACE:
        apply_place(s, p, a_of(m), x_of(m))
        s.misc[PHASE] = MOVEMENT
        s.misc[ONLY] = a_of(m)
    elif kind == SKIP_PLACE or kind == NO_PLACE:
        s.misc[PHASE] = MOVEMENT
        end_if_stuck(s, b)
    elif kind == SWAP:
        end_if_stuck(s, b)
    elif kind == MOVE:
        to = b_of(m)
        apply_move(s, b, p, a_of(m), to)
        if s.cell[to] == STACK + p and can_capture(s, b, to):
            s.misc[PHASE] = CAPTURE
            s.misc[ONLY] = to
        else:
            s.misc[PHASE] = LINES
            s.misc[ONLY] = -1
    elif kind == CAPTURES or kind == CONTINUE:
        apply_capture(s, b, p, a_of(m), b_of(m), c_of(m))
        after_capture(s, b, p, c_of(m))
    elif kind == RECOVER:
        apply_recovery(s, b, p, m)
        s.misc[RECOVERED] = 1
        s.misc[PHASE] = LINES
        s.misc[ONLY] = -1
    elif kind == SKIP_CAPTURE or kind == SKIP_RECOVER or kind == NO_MOVE:
        s.misc[PHASE] = LINES
        s.misc[ONLY] = -1
    elif kind == LINE or kind == OPTION:
        play_line(s, b, p, m)
    elif kind == NO_LINE:
        if s.misc[ACTED] != 0 or s.count[STACK + p] == 0 or has_region(s, b, w, p):
            s.misc[PHASE] = TERRITORY
        else:
            s.misc[PHASE] = FORCED
    elif kind == REGION:
        apply_region(s, b, w, p, a_of(m), x_of(m))
        s.misc[TERRITORY_DEBT] = 1
    elif kind == SKIP_REGION or kind == NO_REGION:
        if s.misc[ACTED] == 0 and s.count[STACK + p] > 0:
            s.misc[PHASE] = FORCED
        else:
            end_turn(s, b, p)
    elif kind == PAY:
        play_payment(s, b, w, p, m)
    elif kind == FORCE:
        s.elim[p] += pop_cap(s, a_of(m))
        end_turn(s, b, p)

    s.misc[PREV] = p
    s.misc[MOVED] |= 1 << p
    s.misc[PLY] += 1
