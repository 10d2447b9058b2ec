"""Breach the rules, as `BREACH` says, in every process that starts with this folder on its path."""

from __future__ import annotations

import os
from typing import Any

from ringrift.rules import legal, turn
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import PLY

FROM_PLY = 12

end_turn = turn.end_turn
placements = legal.legal_placement_phase


@rule
def uncrediting(s: Any, b: Any, p: Any) -> None:
    end_turn(s, b, p)
    if s.misc[PLY] >= FROM_PLY:
        s.elim[p] -= 1


@rule
def barren(s: Any, b: Any, p: Any, out: Any) -> Any:
    if s.misc[PLY] >= FROM_PLY:
        return 0
    return placements(s, b, p, out)


if os.environ.get("BREACH") == "elimination falls":
    turn.end_turn = uncrediting
elif os.environ.get("BREACH") == "no legal move":
    legal.legal_placement_phase = barren
