"""Perft: numbers of move sequences, counted once by the oracle of ../shared/oracle and kept here."""

from __future__ import annotations

from typing import Any

import pytest

from ringrift.rules import Position
from ringrift.rules.perft import perft

from .positions import state_text

CROSS = ". . a .\n. . a .\na a a a\n. . a .\n. . a ."
POCKETS = "2 a . . . . a 2\na . . . . . . a"

# board, players, options, text (None: the start), counts for depth 1, 2, ...
POSITIONS: dict[str, tuple[str, int, dict[str, Any], str | None, tuple[int, ...]]] = {
    "square8 start": ("square8", 2, {}, None, (192, 3192, 3192)),
    "hex8 start": ("hex8", 3, {}, None, (183, 2430, 2430)),
    "square19 start": ("square19", 2, {}, None, (1083, 56520)),
    "two rings": ("square8", 2, {"rings_per_player": 1}, None, (64, 1456, 1456)),
    "lines and debts": (
        "square8", 2, {}, state_text(CROSS, phase="line_processing", stacks={"7,7": "11", "6,5": "2"}), (4, 6, 6, 48),
    ),
    "two pockets": (
        "square8", 2, {},
        state_text(POCKETS, phase="territory_processing", stacks={"4,7": "1", "4,5": "1"}), (3, 5, 48, 84),
    ),
    "recovery": (
        "square8", 2, {}, state_text(stacks={"4,4": "12", "7,7": "112"}, markers={1: "3,3"}), (1, 17, 17, 17),
    ),
    "recovery line": (
        "square8", 2, {},
        state_text(stacks={"7,7": "12"}, markers={1: "0,3 1,3 2,3 3,1 3,2 3,4 3,5 4,4"}, phase="movement"), (9, 9, 9),
    ),
    "chain": ("square8", 2, {}, state_text("11 . 122 . .\n. 2 .", phase="movement"), (17, 21, 90)),
    "hex8 stock lines": (
        "hex8", 3, {"base_line_length": 4},
        state_text(
            players=3, phase="line_processing", stacks={"4,0,-4": "11", "3,-3,0": "2", "-4,0,4": "3"},
            markers={1: "-1,0,1 0,0,0 1,0,-1 2,0,-2 0,1,-1 0,2,-2 0,3,-3"},
        ),
        (6, 8, 8, 44),
    ),
    "forced elimination": (
        "square8", 2, {}, state_text("1 22 . . . . 222 211\n22 22 . . . . 222 222"), (1, 1, 1, 2, 2, 147),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POSITIONS)
def test_counts(name: str) -> None:
    board, players, options, text, counts = POSITIONS[name]
    if text is None:
        pos = Position.start(board, players=players, **options)
    else:
        pos = Position.parse(text, board=board, players=players, **options)
    before = str(pos)
    assert tuple(perft(pos, depth) for depth in range(1, len(counts) + 1)) == counts
    assert perft(pos, 0) == 1
    assert str(pos) == before
