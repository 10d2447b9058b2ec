"""The rules of RingRift: boards, positions, moves, batches.

The rules exist once, in plain Python that Numba compiles for CPU threads and CUDA. `Position`,
`Move` and `BoardSpec` are the public face; `engine` and `layout` are for compiled callers.
"""

from __future__ import annotations

from ringrift.rules.errors import IllegalMove, InvalidMove, InvalidOption, InvalidPosition
from ringrift.rules.position import Move, Position, Result
from ringrift.rules.spec import BOARDS, RULES_VERSION, BoardSpec, board_name, parse_config

__all__ = [
    "BOARDS",
    "RULES_VERSION",
    "BoardSpec",
    "IllegalMove",
    "InvalidMove",
    "InvalidOption",
    "InvalidPosition",
    "Move",
    "Position",
    "Result",
    "board_name",
    "parse_config",
]
