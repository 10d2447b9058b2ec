"""Final ranking of a finished game (rules.md 17)."""

from __future__ import annotations

from typing import Any

from ringrift.rules import layout as lay
from ringrift.rules.spec import BoardSpec


def ranks(s: Any, spec: BoardSpec) -> tuple[int, ...]:
    """Return the rank of each seat of the finished record `s`; equals share one (1, 2, 2, 4).

    The winner is first; the others follow by territory, eliminated rings (with the hand where the
    stalemate ladder counted it), markers, and the turn they went out (never is best).
    """
    counted = bool(s["misc"][lay.HANDS_COUNTED])
    winner = int(s["misc"][lay.WINNER])

    def merit(q: int) -> tuple[int, ...]:
        out = int(s["out_turn"][q])
        return (
            int(q == winner),
            int(s["terr"][q]),
            int(s["elim"][q]) + (int(s["hand"][q]) if counted else 0),
            int(s["count"][lay.MARKER + q]),
            out or 1 << 30,
        )

    merits = [merit(q) for q in range(1, spec.players + 1)]
    return tuple(1 + sum(other > own for other in merits) for own in merits)
