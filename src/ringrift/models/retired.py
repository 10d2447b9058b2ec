"""Models that tournaments leave out: `models/retired.json` (`evaluation.md` 9).

A retired model is listed as archived; its file stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringrift.core.files import lock
from ringrift.models.marks import Marks, made_now, read_marks, write_marks

if TYPE_CHECKING:
    from pathlib import Path

FILE = "retired.json"
LOCK_WAIT_S = 20.0


def read_retired(models: Path) -> Marks:
    """Return who retired which model, when and why, by id; raises `DataError` for a damaged file."""
    return read_marks(models / FILE, what="retired models", fields="by, at, why")


def retire(models: Path, model_ids: Iterable[str], *, by: str, why: str) -> list[str]:
    """Mark models as archived and return those that were not."""
    with lock(models / ".retired.lock", timeout_s=LOCK_WAIT_S, what="the retired models"):
        known = read_retired(models)
        new = [model_id for model_id in model_ids if model_id not in known]
        if new:
            known |= dict.fromkeys(new, made_now(by, why=why))
            write_marks(models / FILE, known)
    return new
