"""Write one JSON line per applied move, for whoever looks for a defect (`core.md` 3).

On with RINGRIFT_TRACE_DEBUG; it sees the moves of `Position` and of replays, not those inside a
search. The lines go to `logs/rules-trace-YYYYMMDD.jsonl` of the data root, without one to the
temporary folder.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.environment import as_bool
from ringrift.core.log import JsonLines
from ringrift.core.paths import locate_root

if TYPE_CHECKING:
    from ringrift.rules.position import Position

VARIABLE = "RINGRIFT_TRACE_DEBUG"
ENABLED = as_bool(VARIABLE, os.environ.get(VARIABLE), default=False)


@cache
def _lines() -> JsonLines:
    root = locate_root()
    folder = Path(tempfile.gettempdir()) if root is None else root / "logs"
    return JsonLines(folder, "rules-trace")


def applied(before: Position, packed: int, after: Position) -> None:
    """Write what a move did: phases, how many legal moves there were and are, hashes."""
    _lines().write(
        {
            "pid": os.getpid(),
            "config": before.spec.config,
            "ply": before.ply,
            "player": before.current_player,
            "move": before.move_text(packed),
            "phase": before.phase,
            "legal": len(before.legal_packed()),
            "hash": f"{before.hash64:016x}",
            "phase_after": after.phase,
            "legal_after": 0 if after.is_over else len(after.legal_packed()),
            "hash_after": f"{after.hash64:016x}",
        }
    )
