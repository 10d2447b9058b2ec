# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Sparse features and policy rows of samples, listed once and laid out for batches, compiled."""

from __future__ import annotations

import numpy as np

from ringrift.nets.nnue.features import CELL_FEATURES, SLOTS, list_features
from ringrift.nets.nnue.rows import REGION_ROW, move_rows, origin, target
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, N
from ringrift.rules.legal import legal
from ringrift.rules.moves import LINE, OPTION, RECOVER, REGION, a_of, kind_of, x_of
from ringrift.rules.packing import FINE, read_packed
from ringrift.rules.territory import read_region
from ringrift.training.samples.faults import (
    BAD_LEGAL_SET,
    BAD_POSITION,
    BAD_SYMMETRIES,
    BAD_TARGET,
)
from ringrift.training.samples.targets import place_target

IDENTITY_ONLY = 1
PLAIN = -1
AXES = 4
"""A move's `form` is PLAIN, the axis of its line or window, or AXES + the index of its region."""


@rule
def list_inputs(packed, states, boards, turn, work, out, ends):
    """Append the active inputs of positions, each from its mover's seat, to `out`: uint16.

    `ends`: int64[n] is where each one's inputs end; `work`: int32[most_active] is work space.
    Returns the first position that cannot be read, or -1.
    """
    slots = np.empty(SLOTS, np.int16)
    s = states[0]
    b = boards[0]
    n = 0
    for i in range(len(packed)):
        if read_packed(packed[i], s, b) != FINE:
            return i
        count = list_features(s, b, turn, int(s.misc[CUR]), slots, work)
        for e in range(count):
            out[n] = work[e]
            n += 1
        ends[i] = n
    return -1


@rule
def add_extremes(s, b, w, m, mask, cell_maps, out):
    """Write the rows of the first and last cell of a region's image under each symmetry of `mask`.

    `out`: uint16[S, 2], origin and target of `nets.nnue.rows`.
    """
    read_region(s, b, w, a_of(m), x_of(m))
    for k in range(len(cell_maps)):
        if (int(mask) >> k) & 1 == 0:
            continue
        first = int(b.par[N])
        last = -1
        for c in range(b.par[N]):
            if (int(w.comp[b.row[c]]) >> int(b.bit[c])) & 1 != 0:
                first = min(first, int(cell_maps[k, c]))
                last = max(last, int(cell_maps[k, c]))
        out[k, 0] = origin(b, REGION_ROW, first)
        out[k, 1] = target(b, REGION_ROW, last)


@rule
def list_choices(
    packed, states, boards, scratch, move_ptr, policy_ptr, policy_moves, policy_probs, masks,
    cell_maps, buffer, work, targets, counts, forms, rows, ends, extremes, answer,
):  # fmt: skip
    """List the legal moves of positions with their rows and targets.

    `move_ptr`: int64[n + 1] delimits the legal moves of each position, none for one that is not
    asked for; per move `targets`: float32, `counts`: uint8 (rows), `forms`: int32. `rows`: uint16,
    one move's behind the other's; `ends`: int64[n], where those of a position end. `extremes`:
    uint16[regions, S, 2], see `add_extremes`. `answer`: int64[3] becomes (regions, faulty position
    or -1, fault).
    """
    s = states[0]
    b = boards[0]
    w = scratch[0]
    at = 0
    regions = 0
    answer[1] = -1
    for i in range(len(packed)):
        first = move_ptr[i]
        n = move_ptr[i + 1] - first
        ends[i] = at
        if n == 0:
            continue
        answer[1] = i
        if read_packed(packed[i], s, b) != FINE:
            answer[2] = BAD_POSITION
            return
        if legal(s, b, w, buffer) != n:
            answer[2] = BAD_LEGAL_SET
            return
        start, stop = policy_ptr[i], policy_ptr[i + 1]
        if not place_target(buffer, n, policy_moves, policy_probs, start, stop, targets, first):
            answer[2] = BAD_TARGET
            return
        answer[2] = BAD_SYMMETRIES
        for j in range(n):
            if kind_of(buffer[j]) == RECOVER and masks[i] != IDENTITY_ONLY:
                return
        answer[1] = -1
        for j in range(n):
            m = buffer[j]
            kind = kind_of(m)
            count = move_rows(s, b, w, m, work)
            for e in range(count):
                rows[at] = work[e]
                at += 1
            counts[first + j] = count
            forms[first + j] = PLAIN
            if kind in (LINE, OPTION):
                forms[first + j] = x_of(m)
            elif kind == REGION:
                forms[first + j] = AXES + regions
                add_extremes(s, b, w, m, masks[i], cell_maps, extremes[regions])
                regions += 1
        ends[i] = at
    answer[0] = regions


@rule
def fill_inputs(chosen, maps, seats, features, pointer, turn, cell_maps, split, out, out_ptr):
    """Write the inputs of samples `chosen` as each seat sees them, moved by symmetry `maps[i]`.

    `out_ptr`: int32[B * seats + 1]. `split` is the first input that is no cell's.
    """
    n = 0
    for i in range(len(chosen)):
        cell_map = cell_maps[maps[i]]
        for r in range(seats):
            out_ptr[i * seats + r] = n
            for e in range(pointer[chosen[i]], pointer[chosen[i] + 1]):
                f = int(features[e])
                if f < split:
                    c = f // CELL_FEATURES
                    out[n] = CELL_FEATURES * int(cell_map[c]) + turn[r, f - CELL_FEATURES * c]
                else:
                    out[n] = split - CELL_FEATURES + turn[r, CELL_FEATURES + f - split]
                n += 1
    out_ptr[len(chosen) * seats] = n


@rule
def fill_choices(
    chosen, maps, most, pointer, counts, forms, targets, rows, row_ptr, extremes, row_maps, turned,
    out, out_ptr, out_target, out_legal,
):  # fmt: skip
    """Write rows and targets of the legal moves of samples, moved by symmetry `maps[i]`.

    Row r of sample i is written as `i * R + r`. Every sample has `most` places, those behind its
    legal moves without rows. `row_maps`: int32[2, S, R], the image of each row, and that of rows of a
    line that then runs the other way, as `turned`: bool[S, axes] says. `out_ptr`:
    int32[B * most + 1].
    """
    n = 0
    for i in range(len(chosen)):
        k = maps[i]
        first = pointer[chosen[i]]
        legal_count = pointer[chosen[i] + 1] - first
        at = row_ptr[chosen[i]]
        base = i * row_maps.shape[2]
        for j in range(most):
            place = i * most + j
            out_ptr[place] = n
            out_legal[i, j] = j < legal_count
            out_target[i, j] = 0.0
            if j >= legal_count:
                continue
            out_target[i, j] = targets[first + j]
            form = forms[first + j]
            back = 1 if form >= 0 and form < AXES and turned[k, form] else 0
            count = int(counts[first + j])
            for e in range(count):
                out[n + e] = base + row_maps[back, k, int(rows[at + e])]
            if form >= AXES:
                out[n] = base + int(extremes[form - AXES, k, 0])
                out[n + 1] = base + int(extremes[form - AXES, k, 1])
            n += count
            at += count
    out_ptr[len(chosen) * most] = n
