"""The end of the game: victory at turn end, and last player standing by rounds (rules.md 14-16)."""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    BY_LAST,
    BY_RINGS,
    BY_ROUNDS,
    BY_TERRITORY,
    COLLAPSED,
    COLLAPSED1,
    CUR,
    DIRS,
    EMPTY,
    HANDS_COUNTED,
    LPS_EXCLUSIVE,
    LPS_FIRST,
    LPS_REAL,
    LPS_ROUND,
    LPS_ROUNDS,
    LPS_SEEN,
    LPS_STREAK,
    LPS_STREAK_SEAT,
    LPS_UPDATED,
    MARKER,
    OFF,
    ONLY,
    OVER,
    PHASE,
    PLAYERS,
    PREV,
    REASON,
    RING_GOAL,
    STACK,
    TERRITORY_GOAL,
    WINNER,
    N,
)
from ringrift.rules.movement import any_stack_acts
from ringrift.rules.placement import has_placement


@rule
def is_out(s, q):
    """Tell whether `q` owns no ring in hand or in any stack (rules.md 14)."""
    return s.hand[q] == 0 and s.rings[q] == 0


@rule
def finish(s, winner, reason):
    """End the game."""
    s.misc[PHASE] = OVER
    s.misc[WINNER] = winner
    s.misc[REASON] = reason
    s.misc[ONLY] = -1


@rule
def bare_cell_left(s, b):
    """Test rules.md 15 step 5 on a bare board: a free cell with a neighbour not collapsed."""
    for c in range(b.par[N]):
        if s.cell[c] == EMPTY:
            for d in range(b.par[DIRS]):
                t = b.nbr[c, d]
                if t != OFF and s.cell[t] < COLLAPSED1:
                    return True
    return False


@rule
def unique_best(s, b, kind):
    """Return the seat with the unique positive maximum, else 0 (rules.md 15 steps 6-8).

    `kind` 0: collapsed cells; 1: eliminated rings; 2: those and the hand; 3: markers.
    """
    best = 0
    holder = 0
    for q in range(1, b.par[PLAYERS] + 1):
        if kind == 0:
            v = int(s.count[COLLAPSED + q])
        elif kind == 1:
            v = int(s.elim[q])
        elif kind == 2:
            v = int(s.elim[q]) + int(s.hand[q])
        else:
            v = int(s.count[MARKER + q])
        if v > best:
            best = v
            holder = q
        elif v == best:
            holder = 0
    return holder


@rule
def bare_board_winner(s, b):
    """Run the ladder of rules.md 15 steps 5-9; return winner * 8 + reason, 0 if not over."""
    hands = 0
    for q in range(1, b.par[PLAYERS] + 1):
        hands += s.hand[q]
    if hands > 0 and bare_cell_left(s, b):
        return 0
    s.misc[HANDS_COUNTED] = 1 if hands > 0 else 0
    q = unique_best(s, b, 0)
    if q > 0:
        return q * 8 + BY_TERRITORY
    q = unique_best(s, b, 2 if hands > 0 else 1)
    if q > 0:
        return q * 8 + BY_RINGS
    q = unique_best(s, b, 3)
    if q > 0:
        return q * 8 + BY_LAST
    q = s.misc[PREV]
    if q == 0:
        q = (s.misc[CUR] - 2 + b.par[PLAYERS]) % b.par[PLAYERS] + 1
    return q * 8 + BY_LAST


@rule
def evaluate_victory(s, b):
    """Evaluate rules.md 15; return winner * 8 + reason, 0 if the game goes on.

    `PREV` still names the mover of the move before the one that ends the turn.
    """
    players = b.par[PLAYERS]
    for q in range(1, players + 1):
        if s.elim[q] >= b.par[RING_GOAL]:
            return q * 8 + BY_RINGS
    total = 0
    for q in range(1, players + 1):
        total += s.count[COLLAPSED + q]
    stacks = 0
    for q in range(1, players + 1):
        own = s.count[COLLAPSED + q]
        if own >= b.par[TERRITORY_GOAL] and own > total - own:
            return q * 8 + BY_TERRITORY
        stacks += s.count[STACK + q]
    if stacks == 0:
        return bare_board_winner(s, b)
    for q in range(1, players + 1):
        if s.count[STACK + q] == stacks:
            for o in range(1, players + 1):
                if o != q and not is_out(s, o):
                    return 0
            return q * 8 + BY_LAST
    return 0


@rule
def next_seat(s, b, p):
    """Return the first seat after `p` that is not out, `p` itself last (rules.md 4.3)."""
    players = b.par[PLAYERS]
    for i in range(1, players + 1):
        q = (p - 1 + i) % players + 1
        if not is_out(s, q):
            return q
    return p % players + 1


@rule
def real_action(s, b, q):
    """Test whether `q` has a placement, simple move or capture (rules.md 16)."""
    return any_stack_acts(s, b, q) or (s.hand[q] > 0 and has_placement(s, b, q))


@rule
def lps_update(s, b):
    """Update the round counters at the start of a turn (rules.md 16)."""
    m = s.misc
    c = m[CUR]
    m[LPS_UPDATED] = 1
    if is_out(s, c):
        return
    first = m[LPS_FIRST]
    if first == 0 or is_out(s, first):
        m[LPS_ROUND] += 1
        m[LPS_FIRST] = c
        m[LPS_SEEN] = 0
        m[LPS_REAL] = 0
        m[LPS_EXCLUSIVE] = 0
        if m[LPS_STREAK_SEAT] == 0 or is_out(s, m[LPS_STREAK_SEAT]):
            m[LPS_STREAK] = 0
            m[LPS_STREAK_SEAT] = 0
    elif c == first and m[LPS_SEEN] != 0:
        holder = 0
        several = False
        for q in range(1, b.par[PLAYERS] + 1):
            if (m[LPS_REAL] >> q) & 1 != 0 and not is_out(s, q):
                several = several or holder > 0
                holder = q
        if holder > 0 and not several:
            m[LPS_EXCLUSIVE] = holder
            if holder == m[LPS_STREAK_SEAT]:
                m[LPS_STREAK] += 1
            else:
                m[LPS_STREAK_SEAT] = holder
                m[LPS_STREAK] = 1
        else:
            m[LPS_EXCLUSIVE] = 0
            m[LPS_STREAK] = 0
            m[LPS_STREAK_SEAT] = 0
        m[LPS_ROUND] += 1
        m[LPS_SEEN] = 0
        m[LPS_REAL] = 0
    bit = 1 << c
    m[LPS_SEEN] |= bit
    if real_action(s, b, c):
        m[LPS_REAL] |= bit
    else:
        m[LPS_REAL] &= ~bit


@rule
def lps_victory(s, b):
    """End the game if the streak player is to move and alone can act (rules.md 16)."""
    q = s.misc[LPS_STREAK_SEAT]
    if q == 0 or s.misc[LPS_STREAK] < b.par[LPS_ROUNDS] or s.misc[CUR] != q:
        return
    if not real_action(s, b, q):
        return
    for o in range(1, b.par[PLAYERS] + 1):
        if o != q and not is_out(s, o) and real_action(s, b, o):
            return
    finish(s, q, BY_ROUNDS)
