"""Files about one divergence: what replays it, and the states before and at it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ringrift.core.files import write_atomic
from ringrift.records.parity.games import RecordedGame
from ringrift.records.parity.report import GameCheck
from ringrift.records.parity.scenario import scenario_tree


def write_fixture(folder: Path, check: GameCheck, game: RecordedGame) -> Path:
    """Write the game up to the divergence as a scenario, with what was found; return the file."""
    plies = None if check.diverged_at is None else check.diverged_at + 1
    return _write(folder, check, {**scenario_tree(game, plies), "found": check.as_json()})


def write_bundle(folder: Path, check: GameCheck) -> Path:
    """Write our states before and at the divergence and the recorded one; return the file."""
    return _write(folder, check, {**check.as_json(), "states": check.evidence})


def _write(folder: Path, check: GameCheck, tree: dict[str, Any]) -> Path:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{check.game[:80]}-{check.engine}")
    path = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(tree, indent=1) + "\n").encode())
    return path
