"""Names in foreign records and what they mean here: closed tables, anything else is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringrift.records.record import VerificationError, refuse
from ringrift.rules import moves as mv

FORMATS = ("gamereplaydb", "selfplay-jsonl", "gamerecord-jsonl", "trace")

BOARD_NAMES = {
    "square8": "square8",
    "sq8": "square8",
    "square19": "square19",
    "sq19": "square19",
    "hex8": "hex8",
    "hexagonal": "hexagonal",
    "hex": "hexagonal",
}
BOARD_SIZES = {
    "square8": (8,),
    "square19": (19,),
    "hex8": (9, 5),
    "hexagonal": (25, 13),
}
"""What a state may give as the size: the diameter in cells, on hex boards also the radius + 1."""

MOVE_KINDS = {
    "place_ring": mv.PLACE,
    "skip_placement": mv.SKIP_PLACE,
    "no_placement_action": mv.NO_PLACE,
    "swap_sides": mv.SWAP,
    "move_stack": mv.MOVE,
    "overtaking_capture": mv.CAPTURES,
    "continue_capture_segment": mv.CONTINUE,
    "skip_capture": mv.SKIP_CAPTURE,
    "no_movement_action": mv.NO_MOVE,
    "recovery_slide": mv.RECOVER,
    "skip_recovery": mv.SKIP_RECOVER,
    "process_line": mv.LINE,
    "choose_line_option": mv.OPTION,
    "no_line_action": mv.NO_LINE,
    "choose_territory_option": mv.REGION,
    "skip_territory_processing": mv.SKIP_REGION,
    "no_territory_action": mv.NO_REGION,
    "eliminate_rings_from_stack": mv.PAY,
    "forced_elimination": mv.FORCE,
}
MOVE_NAMES = {kind: name for name, kind in MOVE_KINDS.items()}
MOVE_ALIASES = {
    "move_ring": "move_stack",
    "build_stack": "move_stack",
    "chain_capture": "continue_capture_segment",
    "line_formation": "process_line",
    "choose_line_reward": "choose_line_option",
    "process_territory_region": "choose_territory_option",
    "territory_claim": "choose_territory_option",
}
RESIGN = "resign"
LEAVING_NAMES = (RESIGN, "timeout")
"""Entries of a move list that end a game without being moves of it."""

RECOVERY_MODES = {"line": mv.BY_LINE, "fallback": mv.BY_FALLBACK, "stack_strike": mv.BY_STRIKE}
CONTEXTS = {"line": mv.FOR_LINE, "territory": mv.FOR_TERRITORY, "recovery": mv.FOR_RECOVERY}

COMPLETED = ("completed", "finished")
RUNNING = ("active", "waiting", "in_progress", "paused")
FAILED = ("abandoned", "error", "aborted", "cancelled")

BY_RULES = {
    "ring_elimination": ("ring_elimination",),
    "elimination": ("ring_elimination",),
    "territory_control": ("territory_control",),
    "territory": ("territory_control",),
    "last_player_standing": ("last_player_standing", "lps_rounds"),
    "lps": ("last_player_standing", "lps_rounds"),
    "lps_rounds": ("lps_rounds",),
}
"""Reasons of ours that a claimed reason agrees with: the reference has one name for both kinds of
last player standing."""
BY_LIMIT = ("timeout", "max_moves", "max_plies", "move_limit")
BY_RESIGNATION = ("resignation", "resign")
NOT_PLAYED_OUT = ("abandonment", "abandoned", "error", "draw")
NO_CLAIM = ("", "unknown", "completed", "finished", "game_over", "normal", "stalemate")
"""Words that stand where a reason does and say nothing about it."""

MATCH_SOURCES = ("tournament", "elo_tournament", "evaluation", "eval")
"""Parts of a source's name that make its games matches (data.md 1)."""


def board_of(name: Any) -> str:
    """Return our name of a board; raises `VerificationError` (`unknown_board`)."""
    found = BOARD_NAMES.get(name) if isinstance(name, str) else None
    if found is None:
        raise refuse("board type", name, ", ".join(BOARD_NAMES), reason="unknown_board")
    return found


def players_of(count: Any) -> int:
    """Return the number of players; raises `VerificationError` (`bad_players`)."""
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= 4:
        raise refuse("number of players", count, "2, 3 or 4", reason="bad_players")
    return count


def move_name(name: Any) -> str:
    """Return the full name of a move type; raises `VerificationError` for an unknown one."""
    full = MOVE_ALIASES.get(name, name) if isinstance(name, str) else None
    if full not in MOVE_KINDS and full not in LEAVING_NAMES:
        raise refuse("move type", name, "one of " + ", ".join([*MOVE_KINDS, *MOVE_ALIASES]))
    return str(full)


def status_of(name: Any) -> str:
    """Return `completed`, `running` or `failed`; raises `VerificationError` for other words."""
    tables = {"completed": COMPLETED, "running": RUNNING, "failed": FAILED}
    for status, names in tables.items():
        if name in names:
            return status
    raise refuse("status", name, ", ".join([*COMPLETED, *RUNNING, *FAILED]))


def end_of(name: str) -> str | None:
    """Return which kind of end a claimed reason names; None where it claims nothing.

    `rules`, `limit`, `resigned` or `failed`. A word may carry a detail after a colon, as
    `status:completed:elimination`. Raises `VerificationError` for unknown words.
    """
    word = reason_word(name)
    if word in NO_CLAIM:
        return None
    tables: Mapping[str, Any] = {
        "rules": BY_RULES,
        "limit": BY_LIMIT,
        "resigned": BY_RESIGNATION,
        "failed": NOT_PLAYED_OUT,
    }
    for end, names in tables.items():
        if word in names:
            return end
    known = [word for names in tables.values() for word in names]
    raise VerificationError("malformed", f"found reason {name!r:.60}; expected {', '.join(known)}")


def reason_word(name: str) -> str:
    """Return the last part of a reason such as `status:completed:elimination`."""
    return name.rsplit(":", 1)[-1].strip()


def is_match(source: str | None) -> bool:
    """Tell whether a source's games are matches, which nobody learns from."""
    return source is not None and any(part in source.lower() for part in MATCH_SOURCES)
