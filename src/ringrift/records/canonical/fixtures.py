"""Hand-made positions of forced elimination and territory, with outcomes worked out from the rules.

`positions/<board>.json` holds for each position: the rules sections, a canonical state, the steps
(`legal`: the whole legal set; `has`, `lacks`: moves in and not in it; `play`: the move) and, under
`final`, fields of the canonical state at the end, and the `reason` of a finished game.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.records.parity.compare import ENGINE_FAULTS
from ringrift.rules import Position

FORMAT = "ringrift.positions/1"
PACKAGED = Path(__file__).parent / "positions"


def load_positions(board: str, folder: Path = PACKAGED) -> list[dict[str, Any]]:
    """Read the positions of a board; raises `DataError` for a file that is none of theirs."""
    path = folder / f"{board}.json"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from None
    if tree.get("format") != FORMAT or tree.get("board") != board:
        raise DataError(f"not positions of {board} of format {FORMAT!r}", where=str(path))
    cases: list[dict[str, Any]] = tree["positions"]
    return cases


def check_positions(board: str, folder: Path = PACKAGED) -> list[str]:
    """Play every position of a board on the engine of this process; return what is wrong."""
    return [
        f"{board} {text}" for case in load_positions(board, folder) for text in faults(board, case)
    ]


def faults(board: str, case: dict[str, Any]) -> Iterator[str]:
    """Yield what differs in one position; nothing after the first step that does."""
    name = case["name"]
    try:
        position = Position.parse(case["state"], board, case["players"])
        for number, step in enumerate(case["steps"]):
            wrong = _step_fault(position, step)
            if wrong is not None:
                yield f"{name} step {number}: {wrong}"
                return
            position.play(step["play"])
    except ENGINE_FAULTS as error:
        yield f"{name}: {type(error).__name__}: {error}"
        return
    fields = dict(part.split("=", 1) for part in str(position).split(";"))
    fields["reason"] = position.result.reason if position.result else "-"
    for field, wanted in case["final"].items():
        if fields[field] != wanted:
            yield f"{name} {field}: expected {wanted!r:.200}, got {fields[field]!r:.200}"


def _step_fault(position: Position, step: dict[str, Any]) -> str | None:
    legal = sorted(move.text for move in position.legal_moves())
    wanted = step.get("legal", legal)
    if legal != wanted:
        missing, extra = sorted(set(wanted) - set(legal)), sorted(set(legal) - set(wanted))
        return f"legal set: missing {missing!r:.200}, extra {extra!r:.200}"
    if lacking := [move for move in step.get("has", ()) if move not in legal]:
        return f"not legal: {lacking[0]!r:.200}"
    if found := [move for move in step.get("lacks", ()) if move in legal]:
        return f"legal: {found[0]!r:.200}"
    return None
