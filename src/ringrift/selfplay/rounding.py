# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Round many distributions over moves at once, as `records.record.quantize` does one."""

from __future__ import annotations

import math

from ringrift.rules.jitconf import rule


@rule
def round_shares(moves, shares, offsets, total, whole):
    """Fill `whole`: int64[t] with numbers that sum to `total` in each distribution.

    `moves`: int64[t] and `shares`: float64[t] of distribution i stand from `offsets[i]` to
    `offsets[i + 1]`. Largest remainders are rounded up, of equal ones the smaller move. Returns the
    first distribution that is none (a share below 0 or not finite, or all 0), -1 without one.
    """
    for i in range(len(offsets) - 1):
        first = offsets[i]
        last = offsets[i + 1]
        mass = 0.0
        lost = 0.0  # what the sum has rounded away (Kahan, Neumaier)
        for j in range(first, last):
            if not shares[j] >= 0.0:
                return i
            after = mass + shares[j]
            lost += (mass - after) + shares[j] if mass >= shares[j] else (shares[j] - after) + mass
            mass = after
        mass += lost
        if not (mass > 0.0 and math.isfinite(mass)):
            return i
        left = total
        for j in range(first, last):
            whole[j] = int(shares[j] / mass * total)
            left -= whole[j]
        for _ in range(left):
            best = -1
            most = -1.0
            for j in range(first, last):
                rest = shares[j] / mass * total - whole[j]
                if rest > most or (rest == most and moves[j] < moves[best]):
                    best = j
                    most = rest
            whole[best] += 1
    return -1
