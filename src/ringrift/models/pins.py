"""Models that are never pruned: `models/pins.json` (`models.md` 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.files import lock
from ringrift.models.marks import Marks, made_now, read_marks, write_marks

if TYPE_CHECKING:
    from pathlib import Path

FILE = "pins.json"
LOCK_WAIT_S = 20.0


def read_pins(models: Path) -> Marks:
    """Return who pinned which model and when, by id; raises `DataError` for a damaged file."""
    return read_marks(models / FILE, what="pins", fields="by, at")


def pin(models: Path, model_id: str, *, by: str) -> bool:
    """Keep a model from being pruned; return whether that is new."""
    with lock(models / ".pins.lock", timeout_s=LOCK_WAIT_S, what="the pins"):
        pins = read_pins(models)
        if model_id in pins:
            return False
        write_marks(models / FILE, {**pins, model_id: made_now(by)})
    return True


def unpin(models: Path, model_id: str) -> bool:
    """Let a model be pruned again; return whether it was pinned."""
    with lock(models / ".pins.lock", timeout_s=LOCK_WAIT_S, what="the pins"):
        pins = read_pins(models)
        if model_id not in pins:
            return False
        write_marks(models / FILE, {name: pin for name, pin in pins.items() if name != model_id})
    return True
