# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""What the layers get of the accumulators of all seats, and its gradient, in compiled code."""

from __future__ import annotations

from ringrift.rules.jitconf import rule


@rule
def fill_x(sums, bias, unit, players, x):
    """Write the units of each seat, sums and bias clipped to 0 ... `unit`, and the largest of the others'.

    `sums`: float32[B * players, H]; `x`: float32[B, players, 2 H].
    """
    hidden = len(bias)
    for i in range(len(x)):
        for p in range(players):
            for j in range(hidden):
                value = sums[i * players + p, j] + bias[j]
                x[i, p, j] = min(max(value, 0 * unit), unit)
        for p in range(players):
            first = 0 if p > 0 else 1
            for j in range(hidden):
                x[i, p, hidden + j] = x[i, first, j]
            for o in range(first + 1, players):
                if o != p:
                    for j in range(hidden):
                        x[i, p, hidden + j] = max(x[i, p, hidden + j], x[i, o, j])


@rule
def share_largest(x, p, gradient, share, out, at):
    """Add the gradient of the largest of the others' units to those seats that are level there.

    `x`, `gradient`: float32[players, 2 H] of one position; `share`: float32[H] is work space; row
    `at + o` of `out` is that of seat o.
    """
    hidden = len(share)
    for j in range(hidden):
        share[j] = 0
    for o in range(len(x)):
        if o != p:
            for j in range(hidden):
                share[j] += 1 if x[o, j] == x[p, hidden + j] else 0
    for j in range(hidden):
        share[j] = gradient[p, hidden + j] / share[j]
    for o in range(len(x)):
        if o != p:
            for j in range(hidden):
                out[at + o, j] += share[j] if x[o, j] == x[p, hidden + j] else 0 * share[j]


@rule
def spread_gradient(sums, bias, unit, players, x, gradient, share, out):
    """Write the gradient of `sums` to `out` from that of `x`, none beyond the bounds; see `fill_x`."""
    hidden = len(bias)
    for i in range(len(x)):
        at = i * players
        for p in range(players):
            for j in range(hidden):
                out[at + p, j] = gradient[i, p, j]
        for p in range(players):
            if players == 2:
                for j in range(hidden):
                    out[at + 1 - p, j] += gradient[i, p, hidden + j]
            else:
                share_largest(x[i], p, gradient[i], share, out, at)
        for p in range(players):
            for j in range(hidden):
                value = sums[at + p, j] + bias[j]
                inside = value >= 0 * unit and value <= unit
                out[at + p, j] = out[at + p, j] if inside else 0 * unit
