# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Policy targets beside the legal moves, in compiled code."""

from __future__ import annotations

from ringrift.rules.jitconf import rule


@rule
def place_target(moves, n, keys, shares, start, stop, out, at):
    """Lay a policy on the `n` legal `moves`, `out[at:at + n]`; false if it names another move.

    Both are in nearly the same order, so each search begins behind the last hit.
    """
    for j in range(n):
        out[at + j] = 0.0
    j = 0
    for k in range(start, stop):
        tried = 0
        while tried < n and moves[j] != keys[k]:
            j = j + 1 if j + 1 < n else 0
            tried += 1
        if tried == n:
            return False
        out[at + j] = shares[k]
        j = j + 1 if j + 1 < n else 0
    return True
