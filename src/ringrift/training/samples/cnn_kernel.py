# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Samples of the convolutional net, encoded and laid out in batches in compiled code.

A move is an index into the net's policy table of a position: `place * P + plane` on the grid, then
the scalars. Of most moves the index says what its image under a symmetry is. Lines and regions begin
at the first of their cells, which only the position tells, and slides have two entries: samples with
such moves are `special` and keep the indices of each symmetry.
"""

from __future__ import annotations

import numpy as np

from ringrift.nets.encoder import encode
from ringrift.nets.encoders import STEPS
from ringrift.nets.planes1 import encode_known
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, PLAYERS, N
from ringrift.rules.legal import legal
from ringrift.rules.moves import LINE, OPTION, RECOVER, REGION, kind_of
from ringrift.rules.packing import FINE, read_packed
from ringrift.rules.policy import policy_entries
from ringrift.training.samples.faults import (
    BAD_LEGAL_SET,
    BAD_POSITION,
    BAD_SYMMETRIES,
    BAD_TARGET,
    NO_FAULT,
)
from ringrift.training.samples.images import move_image
from ringrift.training.samples.targets import place_target

_STEPS, _HALF = np.float32(STEPS), np.float32(0.5)  # as float32 the loop over planes is vectorised


@rule
def table_index(entry, cells, places, planes, area):
    """Turn a policy entry into an index of the net's table."""
    plane = entry // cells
    cell = entry - plane * cells
    if plane < planes:
        return places[cell] * planes + plane
    return area * planes + cell


@rule
def image_index(index, k, planes, area, place_maps, plane_maps):
    """Return the index of a move's image under symmetry `k`; not for moves of special samples."""
    place = index // planes
    if place >= area:
        return index
    return place_maps[k, place] * planes + plane_maps[k, index - place * planes]


@rule
def put_bytes(scene, out):
    """Write planes (float32[H, W, C]) as whole multiples of 1 / STEPS, uint8[H, W, C]."""
    for y in range(scene.shape[0]):
        for x in range(scene.shape[1]):
            for c in range(scene.shape[2]):
                out[y, x, c] = np.uint8(scene[y, x, c] * _STEPS + _HALF)


@rule
def is_special(kind):
    """Tell whether moves of a kind belong to special samples."""
    return kind in (LINE, OPTION, REGION, RECOVER)


@rule
def fill_special(s, b, w, buffer, n, places, planes, area, cells, axes, turned, at, first, second):
    """Write the indices of all moves of a special sample, for each symmetry; tell if one slides."""
    players = int(b.par[PLAYERS])
    mover = int(s.misc[CUR])
    size = int(b.par[N])
    slides = False
    for i in range(n):
        m = int(buffer[i])
        slides = slides or kind_of(m) == RECOVER
        e1, e2 = policy_entries(b, m, mover, players)
        first[0, at + i] = table_index(e1, size, places, planes, area)
        second[at + i] = -1 if e2 < 0 else table_index(e2, size, places, planes, area)
    for k in range(1, cells.shape[0]):
        for i in range(n):
            first[k, at + i] = first[0, at + i]
            if not slides:
                m = move_image(s, b, w, int(buffer[i]), cells[k], axes[k], turned[k])
                e1, _ = policy_entries(b, m, mover, players)
                first[k, at + i] = table_index(e1, size, places, planes, area)
    return slides


@rule
def encode_samples(
    start,
    stop,
    rows,
    legal_count,
    sym_mask,
    policy_ptr,
    policy_moves,
    policy_probs,
    states,
    boards,
    scratch,
    buffer,
    scene,
    legal_sets,
    places,
    width,
    cells,
    axes,
    turned,
    offsets,
    special_ptr,
    planes,
    numbers,
    index,
    target,
    special_first,
    special_second,
    slides,
    answer,
):
    """Encode samples `start` to `stop`; the arrays are those of `SampleTable` and `PreparedCnn`.

    `rows`: packed positions; `scene`: float32[H, W, C] and `buffer`: int64[max_moves] are work
    space; `legal_sets` tells `planes1` from `planes1-basic`. `answer` (int64[2]) becomes the first
    faulty sample, -1 for none, and its fault.
    """
    s = states[0]
    b = boards[0]
    w = scratch[0]
    area = scene.shape[0] * scene.shape[1]
    players = int(b.par[PLAYERS])
    size = int(b.par[N])
    answer[0] = -1
    answer[1] = NO_FAULT
    for i in range(start, stop):
        answer[0] = i
        if read_packed(rows[i], s, b) != FINE:
            answer[1] = BAD_POSITION
            return
        n = legal(s, b, w, buffer)
        if n != legal_count[i]:
            answer[1] = BAD_LEGAL_SET
            return
        at = offsets[i]
        stop_at = policy_ptr[i + 1]
        if not place_target(
            buffer, n, policy_moves, policy_probs, policy_ptr[i], stop_at, target, at
        ):
            answer[1] = BAD_TARGET
            return
        mover = int(s.misc[CUR])
        special = special_ptr[i + 1] > special_ptr[i]
        for j in range(n):
            m = int(buffer[j])
            if not special and is_special(kind_of(m)):
                answer[1] = BAD_SYMMETRIES
                return
            e1, _ = policy_entries(b, m, mover, players)
            index[at + j] = table_index(e1, size, places, width, area)
        if special:
            slides[i] = fill_special(
                s,
                b,
                w,
                buffer,
                n,
                places,
                width,
                area,
                cells,
                axes,
                turned,
                special_ptr[i],
                special_first,
                special_second,
            )
            if slides[i] and sym_mask[i] != 1:
                answer[1] = BAD_SYMMETRIES
                return
        if legal_sets:
            encode_known(s, b, w, mover, buffer, n, scene, numbers[i])
        else:
            encode(s, b, mover, scene, numbers[i])
        put_bytes(scene, planes[i])
    answer[0] = -1


@rule
def fill_scenes(chosen, maps, grid, planes, owners, cell_maps, places, out, out_owners):
    """Copy planes (uint8[N, H * W, C]) and owners of cells, each under its symmetry.

    `out`: uint8[B, H * W, C]; `out_owners`: int8[B, H * W], -1 outside the board.
    """
    for i in range(len(chosen)):
        k = maps[i]
        j = chosen[i]
        for p in range(out.shape[1]):
            q = grid[k, p]
            for c in range(out.shape[2]):
                out[i, p, c] = planes[j, q, c]
            out_owners[i, p] = -1
        for c in range(len(places)):
            out_owners[i, places[cell_maps[k, c]]] = owners[j, c]


@rule
def fill_moves(
    chosen,
    maps,
    width,
    area,
    place_maps,
    plane_maps,
    offsets,
    index,
    target,
    special_ptr,
    special_first,
    special_second,
    first,
    second,
    shares,
    count,
):
    """Lay out the moves of samples in rows: `first`, `second` (int32), `shares`, `count`.

    Unused places are 0 in `first`, -1 in `second`, which may have no columns.
    """
    for i in range(len(chosen)):
        j = chosen[i]
        k = maps[i]
        at = offsets[j]
        n = offsets[j + 1] - at
        count[i] = n
        begin = special_ptr[j]
        special = special_ptr[j + 1] > begin
        for m in range(n):
            if special:
                first[i, m] = special_first[k, begin + m]
            else:
                first[i, m] = image_index(index[at + m], k, width, area, place_maps, plane_maps)
            shares[i, m] = target[at + m]
        for m in range(n, first.shape[1]):
            first[i, m] = 0
            shares[i, m] = 0.0
        for m in range(second.shape[1]):
            second[i, m] = special_second[begin + m] if special and m < n else -1
