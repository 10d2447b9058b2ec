# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Values of finished games in compiled code: one entry per seat, sum 0 (rules.md 17)."""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import HANDS_COUNTED, MARKER, PLAYERS, WINNER

_NEVER_OUT = 1 << 30


@rule
def ahead(s, p, q):
    """Compare seats of a finished game: 1 if `p` finished before `q`, -1 if behind, 0 if level.

    The order is that of `rules.ranking`: winner, territory, eliminated rings (with the hand where
    the stalemate ladder counted it), markers, the turn a seat went out.
    """
    winner = s.misc[WINNER]
    if p == winner:
        return 1
    if q == winner:
        return -1
    difference = int(s.terr[p]) - int(s.terr[q])
    if difference == 0:
        difference = int(s.elim[p]) - int(s.elim[q])
        if s.misc[HANDS_COUNTED] != 0:
            difference += int(s.hand[p]) - int(s.hand[q])
    if difference == 0:
        difference = int(s.count[MARKER + p]) - int(s.count[MARKER + q])
    if difference == 0:
        out_p = int(s.out_turn[p])
        out_q = int(s.out_turn[q])
        difference = (out_p if out_p > 0 else _NEVER_OUT) - (out_q if out_q > 0 else _NEVER_OUT)
    if difference > 0:
        return 1
    return -1 if difference < 0 else 0


@rule
def final_values(s, b, out):
    """Write `v[p] = mean over opponents of sign(rank[o] - rank[p])` of a finished game to `out`."""
    players = b.par[PLAYERS]
    for p in range(1, players + 1):
        total = 0
        for q in range(1, players + 1):
            if q != p:
                total += ahead(s, p, q)
        out[p - 1] = total / (players - 1)
