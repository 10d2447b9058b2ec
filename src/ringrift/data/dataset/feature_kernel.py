# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Encoding of packed positions, row by row, in compiled code."""

from __future__ import annotations

import numpy as np

from ringrift.nets.encoder import encode
from ringrift.nets.nnue.features import SLOTS, list_features
from ringrift.nets.planes1 import encode_planes1
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR
from ringrift.rules.packing import FINE, read_packed
from ringrift.rules.policy import fill_entries

_PARTS = 24
_HALVES = (np.arange(2 * _PARTS + 1, dtype=np.float32) / np.float32(_PARTS)).astype(np.float16)
_BITS = _HALVES.view(np.uint16)
"""The bits of float16 for each value of a plane: multiples of 1/8, 1/3 or 1/4 up to 2."""


@rule
def put_halves(scene, out):
    """Copy planes (float32[H, W, C]) to the bits of float16, uint16[C, H, W], zero before."""
    for y in range(scene.shape[0]):
        for x in range(scene.shape[1]):
            for c in range(scene.shape[2]):
                value = scene[y, x, c]
                if value != 0.0:
                    out[c, y, x] = _BITS[int(value * _PARTS + 0.5)]


@rule
def encode_rows(rows, states, boards, scratch, moves, legal_sets, scene, features, numbers):
    """Encode packed positions, each from its mover's seat; return the first bad row or -1.

    `planes1` with `legal_sets`, else `planes1-basic`. `scene`: float32[H, W, C] and `moves`:
    int64[max_moves] are work space. `features`: uint16[N, C, H, W], the bits of float16.
    """
    s = states[0]
    b = boards[0]
    for i in range(len(rows)):
        if read_packed(rows[i], s, b) != FINE:
            return i
        seat = int(s.misc[CUR])
        if legal_sets:
            encode_planes1(s, b, scratch[0], seat, moves, scene, numbers[i])
        else:
            encode(s, b, seat, scene, numbers[i])
        put_halves(scene, features[i])
    return -1


@rule
def list_rows(rows, states, boards, turn, out, counts):
    """List the active features of packed positions; return the first bad row or -1."""
    slots = np.empty(SLOTS, np.int16)
    s = states[0]
    b = boards[0]
    for i in range(len(rows)):
        if read_packed(rows[i], s, b) != FINE:
            return i
        counts[i] = list_features(s, b, turn, int(s.misc[CUR]), slots, out[i])
    return -1


@rule
def entries_of_rows(rows, states, boards, pointer, moves, entries):
    """Fill `entries` (int32[K, 2]) for the moves of each row; return the first bad row or -1."""
    s = states[0]
    b = boards[0]
    first = entries[:, 0]
    second = entries[:, 1]
    for i in range(len(rows)):
        if read_packed(rows[i], s, b) != FINE:
            return i
        fill_entries(s, b, moves, pointer[i], pointer[i + 1], first, second)
    return -1
