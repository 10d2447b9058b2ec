# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Accumulators: sums of the weights of a position's active inputs, kept up to date by differences.

What changed is found by comparing the features of a position with those its accumulators were made
from, so any two positions of a game may follow each other. Sums of whole numbers do not depend on
their order: an accumulator is the same however it came about.
"""

from __future__ import annotations

from ringrift.nets.nnue.features import (
    CELL_FEATURES,
    SLOTS,
    cell_mask,
    fill_slots,
    position_base,
    seen_from,
    spread,
)
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import PLAYERS, N


@rule
def find_changes(s, b, old, now, spare):
    """Write the features of a position to the place `now` and the difference to those of `old`.

    The places may be the same. Fills `spare.added` and `spare.removed`; returns their lengths.
    """
    added = 0
    removed = 0
    for c in range(b.par[N]):
        was = old.masks[c]
        mask = cell_mask(s, c)
        if mask != was:
            added = spread(mask & ~was, CELL_FEATURES * c, spare.added, added)
            removed = spread(was & ~mask, CELL_FEATURES * c, spare.removed, removed)
        now.masks[c] = mask
    fill_slots(s, b, spare.slots)
    base = position_base(b) << 8
    for i in range(SLOTS):
        had = int(old.slots[i])
        has = int(spare.slots[i])
        if has != had:
            if has >= 0:
                spare.added[added] = base | (CELL_FEATURES + has)
                added += 1
            if had >= 0:
                spare.removed[removed] = base | (CELL_FEATURES + had)
                removed += 1
        now.slots[i] = has
    return added, removed


@rule
def list_known(b, now, spare):
    """Fill `spare.added` with all features of a place; return their number."""
    n = 0
    for c in range(b.par[N]):
        n = spread(now.masks[c], CELL_FEATURES * c, spare.added, n)
    base = position_base(b) << 8
    for i in range(SLOTS):
        if now.slots[i] >= 0:
            spare.added[n] = base | (CELL_FEATURES + int(now.slots[i]))
            n += 1
    return n


@rule
def make_sums(w, turn, spare, n, seat, sums, at):
    """Set row `at` to the bias and the weights of the first `n` of `spare.added` as `seat` sees them."""
    last = w.shape[0] - 1
    for j in range(sums.shape[1]):
        sums[at, j] = w[last, j]
    i = 0
    while i + 4 <= n:
        r0 = seen_from(spare.added[i], turn, seat)
        r1 = seen_from(spare.added[i + 1], turn, seat)
        r2 = seen_from(spare.added[i + 2], turn, seat)
        r3 = seen_from(spare.added[i + 3], turn, seat)
        for j in range(sums.shape[1]):
            sums[at, j] += w[r0, j] + w[r1, j] + w[r2, j] + w[r3, j]
        i += 4
    while i < n:
        r0 = seen_from(spare.added[i], turn, seat)
        for j in range(sums.shape[1]):
            sums[at, j] += w[r0, j]
        i += 1


@rule
def change_sums(w, turn, spare, added, removed, seat, sums, source, at):
    """Set row `at` to row `source` and the changes as `seat` sees them."""
    if source != at:
        for j in range(sums.shape[1]):
            sums[at, j] = sums[source, j]
    pairs = min(added, removed)
    i = 0
    while i + 2 <= pairs:
        come = seen_from(spare.added[i], turn, seat)
        gone = seen_from(spare.removed[i], turn, seat)
        come2 = seen_from(spare.added[i + 1], turn, seat)
        gone2 = seen_from(spare.removed[i + 1], turn, seat)
        for j in range(sums.shape[1]):
            sums[at, j] += w[come, j] - w[gone, j] + w[come2, j] - w[gone2, j]
        i += 2
    for k in range(i, added):
        come = seen_from(spare.added[k], turn, seat)
        for j in range(sums.shape[1]):
            sums[at, j] += w[come, j]
    for k in range(i, removed):
        gone = seen_from(spare.removed[k], turn, seat)
        for j in range(sums.shape[1]):
            sums[at, j] -= w[gone, j]


@rule
def update(s, b, net, work, source, place):
    """Set `place` to the position, from `source` where that is less work; they may be the same.

    Anew if `source` holds none, or if more than half of the features changed.
    """
    players = int(b.par[PLAYERS])
    turn = net.small[0].turn
    spare = work.spare[0]
    old = work.places[source]
    now = work.places[place]
    known = int(old.known)
    added, removed = find_changes(s, b, old, now, spare)
    active = known + added - removed
    if known == 0 or added + removed > active:
        active = list_known(b, now, spare)
        for p in range(players):
            make_sums(net.inputs, turn, spare, active, p + 1, work.sums, place * players + p)
    elif added + removed > 0 or place != source:
        for p in range(players):
            change_sums(
                net.inputs, turn, spare, added, removed, p + 1, work.sums,
                source * players + p, place * players + p,
            )  # fmt: skip
    now.known = active


@rule
def refresh(s, b, net, work, place):
    """Set `place` to the position anew."""
    work.places[place].known = 0
    update(s, b, net, work, place, place)
