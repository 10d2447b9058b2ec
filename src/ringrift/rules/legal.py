"""The complete legal set of a position (rules.md 5)."""

from __future__ import annotations

from ringrift.rules.cells import has_buried
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    CAPTURE,
    CHAIN,
    COLLAPSED1,
    CUR,
    FORCED,
    LINE_DEBT,
    LINES,
    MOVED,
    MOVEMENT,
    ONLY,
    PHASE,
    PLACEMENT,
    PLAYERS,
    RECOVERED,
    STACK,
    STACK1,
    SWAP_RULE,
    TERRITORY,
    TERRITORY_DEBT,
    N,
)
from ringrift.rules.lines import gen_lines
from ringrift.rules.movement import any_stack_acts, gen_captures, gen_stack_moves
from ringrift.rules.moves import (
    CAPTURES,
    CONTINUE,
    FOR_LINE,
    FOR_RECOVERY,
    FOR_TERRITORY,
    FORCE,
    NO_LINE,
    NO_MOVE,
    NO_PLACE,
    NO_REGION,
    PAY,
    SKIP_CAPTURE,
    SKIP_PLACE,
    SKIP_RECOVER,
    SKIP_REGION,
    SWAP,
    pack,
)
from ringrift.rules.placement import (
    gen_placements,
    has_placement,
    may_skip_placement,
    recovery_eligible,
)
from ringrift.rules.recovery import gen_recovery
from ringrift.rules.territory import gen_regions


@rule
def swap_offered(s, b):
    """Test rules.md 18: player 2's very first ply of a two-player game with the pie rule."""
    return (
        b.par[SWAP_RULE] != 0
        and b.par[PLAYERS] == 2
        and s.misc[CUR] == 2
        and s.misc[PHASE] == PLACEMENT
        and s.misc[MOVED] == 2
    )


@rule
def gen_controlled(s, b, p, kind, context, out, n):
    """Append one payment or elimination per stack that `p` controls (rules.md 11)."""
    mine = STACK + p
    left = s.count[mine]
    c = 0
    while left > 0:
        if s.cell[c] == mine:
            left -= 1
            out[n] = pack(kind, c, 0, 0, context)
            n += 1
        c += 1
    return n


@rule
def gen_recovery_payments(s, b, p, out, n):
    """Append one extraction per stack with a buried ring of `p` (rules.md 10.6)."""
    for c in range(b.par[N]):
        code = s.cell[c]
        if STACK1 <= code and code < COLLAPSED1 and has_buried(s, c, p):
            out[n] = pack(PAY, c, 0, 0, FOR_RECOVERY)
            n += 1
    return n


@rule
def legal_placement_phase(s, b, p, out):
    """Fill the legal set of ring_placement (rules.md 6)."""
    n = gen_placements(s, b, p, out, 0)
    if may_skip_placement(s, b, p):
        out[n] = SKIP_PLACE
        n += 1
    if n == 0:
        out[n] = NO_PLACE
        n += 1
    if swap_offered(s, b):
        out[n] = SWAP
        n += 1
    return n


@rule
def legal_movement(s, b, p, out):
    """Fill the legal set of movement (rules.md 7, 8, 12)."""
    n = gen_stack_moves(s, b, p, out, 0)
    if recovery_eligible(s, p):
        out[n] = SKIP_RECOVER
        n = gen_recovery(s, b, p, out, n + 1)
    if n == 0:
        out[n] = NO_MOVE
        n += 1
    return n


@rule
def legal_lines(s, b, p, out):
    """Fill the legal set of line_processing (rules.md 9.3, 9.5)."""
    if s.misc[LINE_DEBT] != 0 and s.count[STACK + p] > 0:
        return gen_controlled(s, b, p, PAY, FOR_LINE, out, 0)
    n = gen_lines(s, b, p, out, 0)
    if n == 0:
        out[n] = NO_LINE
        n += 1
    return n


@rule
def legal_territory(s, b, w, p, out):
    """Fill the legal set of territory_processing (rules.md 10.3, 10.6)."""
    if s.misc[TERRITORY_DEBT] != 0:
        if s.misc[RECOVERED] != 0:
            return gen_recovery_payments(s, b, p, out, 0)
        return gen_controlled(s, b, p, PAY, FOR_TERRITORY, out, 0)
    n = gen_regions(s, b, w, p, out, 0)
    out[n] = SKIP_REGION if n > 0 else NO_REGION
    return n + 1


@rule
def legal_forced(s, b, p, out):
    """Fill the legal set of forced_elimination (rules.md 13)."""
    if any_stack_acts(s, b, p) or has_placement(s, b, p):
        return 0
    return gen_controlled(s, b, p, FORCE, 0, out, 0)


@rule
def legal(s, b, w, out):
    """Fill `out` with the complete legal set as packed moves; return its size (rules.md 5).

    `out` must hold `BoardSpec.max_moves` entries. Empty only where the game is over, and in
    artificial positions.
    """
    phase = s.misc[PHASE]
    p = s.misc[CUR]
    if phase == PLACEMENT:
        return legal_placement_phase(s, b, p, out)
    if phase == MOVEMENT:
        return legal_movement(s, b, p, out)
    if phase == CAPTURE:
        n = gen_captures(s, b, s.misc[ONLY], CAPTURES, out, 0)
        out[n] = SKIP_CAPTURE
        return n + 1
    if phase == CHAIN:
        return gen_captures(s, b, s.misc[ONLY], CONTINUE, out, 0)
    if phase == LINES:
        return legal_lines(s, b, p, out)
    if phase == TERRITORY:
        return legal_territory(s, b, w, p, out)
    if phase == FORCED:
        return legal_forced(s, b, p, out)
    return 0
