# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Sums of rows and of single entries of a table, and their gradients, in compiled code."""

from __future__ import annotations

import numpy as np

from ringrift.rules.jitconf import rule


@rule
def add_gradients(gradient, rows, pointer, out):
    """Add `gradient[i]` (float32[bags, H]) to `out[r]` (float32[R, H]) for each row r of bag i.

    The rows of bag i are `rows[pointer[i]:pointer[i + 1]]`. Sorted by row first, each row of `out`
    is written while it lies in the nearest cache; the order of additions is that of the bags.
    """
    ends = np.zeros(len(out) + 1, np.int64)
    for e in range(len(rows)):
        ends[rows[e] + 1] += 1
    for r in range(len(out)):
        ends[r + 1] += ends[r]
    bags = np.empty(len(rows), np.int32)
    for i in range(len(pointer) - 1):
        for e in range(pointer[i], pointer[i + 1]):
            bags[ends[rows[e]]] = i
            ends[rows[e]] += 1
    e = 0
    for r in range(len(out)):
        stop = ends[r]
        while e + 4 <= stop:
            g0 = bags[e]
            g1 = bags[e + 1]
            g2 = bags[e + 2]
            g3 = bags[e + 3]
            for j in range(out.shape[1]):
                out[r, j] += (gradient[g0, j] + gradient[g1, j]) + (
                    gradient[g2, j] + gradient[g3, j]
                )
            e += 4
        while e < stop:
            g0 = bags[e]
            for j in range(out.shape[1]):
                out[r, j] += gradient[g0, j]
            e += 1


@rule
def sum_entries(values, entries, pointer, out):
    """Set `out[i]` to the sum of `values[e]` over the entries e of bag i."""
    for i in range(len(out)):
        total = np.float32(0.0)
        for at in range(pointer[i], pointer[i + 1]):
            total += values[entries[at]]
        out[i] = total


@rule
def add_entry_gradients(gradient, entries, pointer, out):
    """Add `gradient[i]` to `out[e]` for each entry e of bag i."""
    for i in range(len(gradient)):
        for at in range(pointer[i], pointer[i + 1]):
            out[entries[at]] += gradient[i]
