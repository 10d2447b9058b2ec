"""Crowded drawings of every board, made by formula so that golden files never depend on a generator."""

from __future__ import annotations

from ringrift.rules.draw import BOARDS, Drawing
from ringrift.rules.draw_model import board_cells, cell_key

ALL_BOARDS = tuple(BOARDS)


def crowded(board: str, **changes: object) -> Drawing:
    """Return a position with every kind of cell, four seats, tall stacks and highlights."""
    stacks: dict[str, str] = {}
    markers: dict[str, int] = {}
    collapsed: dict[str, int] = {}
    keys = [cell_key(board, x, y) for x, y in board_cells(board)]
    for i, key in enumerate(keys):
        seat = i * 5 // 3 % 4 + 1
        kind = i * 11 % 17 % 5
        if kind == 0:
            height = (1, 2, 1, 3, 2, 4, 1, 6, 2, 3)[i % 10]
            stacks[key] = "".join(str((i // 7 + level * level) % 4 + 1) for level in range(height))
        elif kind == 1:
            markers[key] = seat
        elif kind == 2:
            collapsed[key] = seat
    stacks |= {keys[0]: "1", keys[-1]: "2", keys[len(keys) // 2]: "123412341234"}
    for key in stacks:
        markers.pop(key, None)
        collapsed.pop(key, None)
    free = [key for key in keys if key not in stacks and key not in collapsed]
    fields: dict[str, object] = {
        "board": board,
        "stacks": stacks,
        "markers": markers,
        "collapsed": collapsed,
        "last_move": (free[1], keys[len(keys) // 2]),
        "targets": (*free[5:9], keys[0], keys[len(keys) // 2]),
        "title": f"{board}_4p",
        "hands": (12, 0, 7, 3),
        "eliminated": (1, 22, 0, 4),
        "territory": (5, 6, 117, 0),
        "phase": "chain_capture",
        "current_player": 3,
    }
    return Drawing(**{**fields, **changes})  # type: ignore[arg-type]
