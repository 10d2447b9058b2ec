"""Models that are never pruned: `models/pins.json` (`models.md` 2)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.core.files import lock, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

FILE = "pins.json"
LOCK_WAIT_S = 20.0


def read_pins(models: Path) -> dict[str, dict[str, str]]:
    """Return who pinned which model and when, by id; raises `DataError` for a damaged file."""
    path = models / FILE
    try:
        tree: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"no pins: {error}", where=str(path)) from None
    if not isinstance(tree, dict) or not all(isinstance(pin, dict) for pin in tree.values()):
        raise DataError("found no pins; expected {id: {by, at}}", where=str(path))
    return tree


def pin(models: Path, model_id: str, *, by: str) -> bool:
    """Keep a model from being pruned; return whether that is new."""
    with lock(models / ".pins.lock", timeout_s=LOCK_WAIT_S, what="the pins"):
        pins = read_pins(models)
        if model_id in pins:
            return False
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        _write(models, {**pins, model_id: {"by": by, "at": at}})
    return True


def unpin(models: Path, model_id: str) -> bool:
    """Let a model be pruned again; return whether it was pinned."""
    with lock(models / ".pins.lock", timeout_s=LOCK_WAIT_S, what="the pins"):
        pins = read_pins(models)
        if model_id not in pins:
            return False
        _write(models, {name: pin for name, pin in pins.items() if name != model_id})
    return True


def _write(models: Path, pins: dict[str, dict[str, str]]) -> None:
    tree = {name: pins[name] for name in sorted(pins)}
    write_atomic(models / FILE, json.dumps(tree, indent=1).encode() + b"\n")
