"""Names of boards and configurations."""

from __future__ import annotations

from typing import Literal, get_args

Board = Literal["square8", "hex8", "square19", "hexagonal"]
Configuration = Literal[
    "square8_2p", "square8_3p", "square8_4p",
    "hex8_2p", "hex8_3p", "hex8_4p",
    "square19_2p", "square19_3p", "square19_4p",
    "hexagonal_2p", "hexagonal_3p", "hexagonal_4p",
]  # fmt: skip

CONFIGURATIONS: tuple[Configuration, ...] = get_args(Configuration)
BOARDS: tuple[str, ...] = get_args(Board)
SHORT_BOARDS = {"sq8": "square8", "sq19": "square19", "hex": "hexagonal"}
"""Short names of boards that are understood everywhere, and printed long."""
