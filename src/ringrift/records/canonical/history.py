"""Canonical history: in every turn each phase that is visited has its ply (rules.md 4.1).

Reads nothing but the kinds of the moves, so it does not lean on the engine that played them.
"""

from __future__ import annotations

from collections.abc import Iterable

from ringrift.rules import moves as mv

START, MOVEMENT, MOVED, CHAIN, LINES = "ring_placement", "movement", "capture", "chain", "lines"
COLLAPSED, PAID, LINES_DONE = "line collapsed", "line paid", "lines done"
OWED, SETTLED, CLOSED, OVER = "region taken", "region paid", "territory done", "turn over"

_LINE = {mv.LINE: COLLAPSED, mv.OPTION: COLLAPSED}
_LINES = {**_LINE, mv.NO_LINE: LINES_DONE}
_TERRITORY = {mv.REGION: OWED, mv.SKIP_REGION: CLOSED, mv.NO_REGION: CLOSED}
_FORCED = {mv.FORCE: OVER}

NEXT: dict[str, dict[int, str]] = {
    START: {
        mv.SWAP: START,
        mv.PLACE: MOVEMENT,
        mv.SKIP_PLACE: MOVEMENT,
        mv.NO_PLACE: MOVEMENT,
    },
    MOVEMENT: {
        mv.MOVE: MOVED,
        mv.CAPTURES: CHAIN,
        mv.RECOVER: LINES,
        mv.SKIP_RECOVER: LINES,
        mv.NO_MOVE: LINES,
    },
    MOVED: {mv.CAPTURES: CHAIN, mv.SKIP_CAPTURE: LINES, **_LINES},
    CHAIN: {mv.CONTINUE: CHAIN, **_LINES},
    LINES: _LINES,
    COLLAPSED: {**_LINE, mv.PAY: PAID, **_TERRITORY},
    PAID: _LINES,
    LINES_DONE: {**_TERRITORY, **_FORCED},
    OWED: {mv.PAY: SETTLED},
    SETTLED: {mv.REGION: OWED, mv.SKIP_REGION: CLOSED},
    CLOSED: _FORCED,
    OVER: {},
}
"""What may follow by what has been done in the turn."""

ENDS = frozenset({SETTLED, CLOSED, OVER})
"""Where a turn may end. A game may also end in placement, where the resolver of rules.md 13 does."""

NAMES = {
    mv.PLACE: "place_ring",
    mv.SKIP_PLACE: "skip_placement",
    mv.NO_PLACE: "no_placement_action",
    mv.SWAP: "swap_sides",
    mv.MOVE: "move_stack",
    mv.CAPTURES: "overtaking_capture",
    mv.CONTINUE: "continue_capture_segment",
    mv.SKIP_CAPTURE: "skip_capture",
    mv.NO_MOVE: "no_movement_action",
    mv.RECOVER: "recovery_slide",
    mv.SKIP_RECOVER: "skip_recovery",
    mv.LINE: "process_line",
    mv.OPTION: "choose_line_option",
    mv.NO_LINE: "no_line_action",
    mv.REGION: "choose_territory_option",
    mv.SKIP_REGION: "skip_territory_processing",
    mv.NO_REGION: "no_territory_action",
    mv.PAY: "eliminate_rings_from_stack",
    mv.FORCE: "forced_elimination",
}


def history_fault(moves: Iterable[int], *, finished: bool) -> tuple[int, str] | None:
    """Return (ply, what is wrong) of the first turn with a phase missing, None for a whole history.

    `moves` are packed; a game that was not `finished` may end within a turn.
    """
    state, ply = START, -1
    for ply, move in enumerate(moves):
        kind = move & mv.KIND_MASK
        if kind in NEXT[START] and state in ENDS:
            state = START
        following = NEXT[state].get(kind)
        if following is None:
            return ply, f"{NAMES.get(kind, kind)} cannot follow in a turn at: {state}"
        state = following
    if ply < 0:
        return 0, "no move"
    if finished and state not in ENDS and state != MOVEMENT:
        return ply, f"the game ended in a turn at: {state}"
    return None
