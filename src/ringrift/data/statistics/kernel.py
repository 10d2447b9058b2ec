"""One pass over a game's moves: every count of its row, and a word for each ply (data.md 10)."""

from __future__ import annotations

from ringrift.data.statistics.layout import (
    BY_ROUNDS_STEP,
    LEGAL_SHIFT,
    MOST_LEGAL,
    PLACE,
    SEAT_SHIFT,
    SIZE_SHIFT,
)
from ringrift.records.replay import AFTER_END, FINE, ILLEGAL, STUCK, contains
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    BY_LAST,
    BY_RINGS,
    BY_TERRITORY,
    COLLAPSED,
    CUR,
    MOVEMENT,
    OVER,
    PHASE,
    PLACEMENT,
    PLAYERS,
    REASON,
    RING_GOAL,
    SIZE,
    STACK,
    TERRITORY_GOAL,
    WINNER,
)
from ringrift.rules.legal import legal
from ringrift.rules.lines import run_from
from ringrift.rules.moves import (
    BY_FALLBACK,
    BY_LINE,
    CAPTURES,
    CONTINUE,
    FORCE,
    LINE,
    OPTION,
    RECOVER,
    REGION,
    SWAP,
    a_of,
    is_noop,
    kind_of,
    x_of,
)
from ringrift.rules.placement import recovery_eligible
from ringrift.rules.territory import read_region
from ringrift.rules.turn import apply
from ringrift.rules.victory import unique_best

KIND = PLACE["kinds"]
ELIGIBLE = PLACE["eligible"]
OFFERED = PLACE["offered"]
SLID_LINE = PLACE["by_line"]
SLID_FALLBACK = PLACE["by_fallback"]
SLID_STRIKE = PLACE["by_stack_strike"]
FORCED = PLACE["forced"]
FIRST_CAPTURE = PLACE["first_capture"]
CHAINS = PLACE["chains"]
LONGEST_CHAIN = PLACE["longest_chain"]
TERRITORY_LEADS = PLACE["territory_leads"]
ELIMINATION_LEADS = PLACE["elimination_leads"]
TERRITORY_HALF = PLACE["territory_half"]
ELIMINATION_HALF = PLACE["elimination_half"]
ACTING = PLACE["acting"]
DECISIONS = PLACE["decisions"]
TURNS = PLACE["turns"]
EMPTY_TURNS = PLACE["empty_turns"]
EMPTY_STREAK = PLACE["empty_streak"]
STEP = PLACE["step"]


@rule
def leader(counts, players):
    """Return the one seat with the largest positive count, 0 for none or several."""
    best = 0
    holder = 0
    for q in range(1, players + 1):
        v = int(counts[q])
        if v > best:
            best = v
            holder = q
        elif v == best:
            holder = 0
    return holder


@rule
def victory_step(s, b):
    """Return the step of rules.md 15 that ended the game, `BY_ROUNDS_STEP` for 16, 0 if not over."""
    if s.misc[PHASE] != OVER:
        return 0
    q = s.misc[WINNER]
    reason = s.misc[REASON]
    players = b.par[PLAYERS]
    if reason == BY_RINGS:
        return 1 if s.elim[q] >= b.par[RING_GOAL] else 7
    if reason == BY_TERRITORY:
        own = int(s.count[COLLAPSED + q])
        total = 0
        for o in range(1, players + 1):
            total += s.count[COLLAPSED + o]
        return 2 if own >= b.par[TERRITORY_GOAL] and own > total - own else 6
    if reason == BY_LAST:
        for o in range(1, players + 1):
            if s.count[STACK + o] > 0:
                return 3
        return 8 if unique_best(s, b, 3) == q else 9
    return BY_ROUNDS_STEP


@rule
def size_of(s, b, w, m, kind):
    """Count the cells of the line or region that a move processes, 0 for any other move."""
    if kind in (LINE, OPTION):
        first = a_of(m)
        return run_from(s, b, first, b.axis[x_of(m)], s.cell[first])
    n = 0
    if kind == REGION:
        read_region(s, b, w, a_of(m), x_of(m))
        for r in range(b.par[SIZE]):
            row = int(w.comp[r])
            while row != 0:
                row &= row - 1
                n += 1
    return n


@rule
def close_turn(row, acted, streak):
    """Count a turn that is over; return the streak of empty turns after it."""
    if acted:
        return 0
    row[EMPTY_TURNS] += 1
    row[EMPTY_STREAK] = max(row[EMPTY_STREAK], streak + 1)
    return streak + 1


@rule
def count_move(row, kind, p, m, chain):
    """Count a move by what it is; return the segments of the capture that it belongs to."""
    row[KIND + kind] += 1
    if kind == RECOVER:
        mode = x_of(m) & 3
        if mode == BY_LINE:
            row[SLID_LINE + p - 1] += 1
        elif mode == BY_FALLBACK:
            row[SLID_FALLBACK + p - 1] += 1
        else:
            row[SLID_STRIKE + p - 1] += 1
    elif kind == FORCE:
        row[FORCED + p - 1] += 1
    if kind == CAPTURES:
        if row[FIRST_CAPTURE] == 0:
            row[FIRST_CAPTURE] = p
        chain = 1
    elif kind == CONTINUE:
        chain += 1
        if chain == 2:
            row[CHAINS] += 1
    else:
        return 0
    row[LONGEST_CHAIN] = max(row[LONGEST_CHAIN], chain)
    return chain


@rule
def count_choice(row, s, p, n):
    """Count a ply by what the mover could do: `n` legal moves, a recovery."""
    if n > 1:
        row[DECISIONS] += 1
    if s.misc[PHASE] == MOVEMENT and recovery_eligible(s, p):
        row[ELIGIBLE + p - 1] += 1
        if n > 1:
            row[OFFERED + p - 1] += 1


@rule
def follow_lead(row, changes, held, q):
    """Count a change if `q` leads and another led last; return who leads now or led last."""
    if q == 0:
        return held
    if held != 0 and held != q:  # noqa: PLR1714 - two questions
        row[changes] += 1
    return q


@rule
def walk(states, boards, scratch, moves, buffer, row, words):
    """Play `moves` (int64[n]) in position 0 and fill `row` (int64[COUNTERS]) and `words` (int64[n]).

    `buffer`: int64[max_moves]. Returns `ply * 8 + fault` of where it stopped, as `replay` does.
    """
    s = states[0]
    b = boards[0]
    w = scratch[0]
    players = b.par[PLAYERS]
    half = len(moves) // 2
    by_territory = 0
    by_elimination = 0
    before = 0
    chain = 0
    streak = 0
    in_turn = False
    acted = False
    for ply in range(len(moves)):
        phase = s.misc[PHASE]
        p = s.misc[CUR]
        if phase == OVER:
            return ply * 8 + AFTER_END
        n = legal(s, b, w, buffer)
        if n == 0:
            return ply * 8 + STUCK
        m = moves[ply]
        if not contains(buffer, n, m):
            return ply * 8 + ILLEGAL
        kind = kind_of(m)
        if phase == PLACEMENT and before != SWAP:
            if in_turn:
                streak = close_turn(row, acted, streak)
            in_turn = True
            acted = False
            row[TURNS] += 1
        if not is_noop(kind):
            acted = True
            row[ACTING] += 1
        count_choice(row, s, p, n)
        chain = count_move(row, kind, p, m, chain)
        size = size_of(s, b, w, m, kind)
        words[ply] = (
            int(phase)
            | (int(p - 1) << SEAT_SHIFT)
            | (int(size) << SIZE_SHIFT)
            | (int(min(n, MOST_LEGAL)) << LEGAL_SHIFT)
        )
        apply(s, b, w, m)
        before = kind
        q = leader(s.terr, players)
        by_territory = follow_lead(row, TERRITORY_LEADS, by_territory, q)
        e = leader(s.elim, players)
        by_elimination = follow_lead(row, ELIMINATION_LEADS, by_elimination, e)
        if ply + 1 == half:
            row[TERRITORY_HALF] = q
            row[ELIMINATION_HALF] = e
    ended = s.misc[PHASE] == OVER or (s.misc[PHASE] == PLACEMENT and before != SWAP)
    if in_turn and ended:
        close_turn(row, acted, streak)
    row[STEP] = victory_step(s, b)
    return len(moves) * 8 + FINE
