"""Models that tournaments leave out: `models/retired.json` (`evaluation.md` 9).

A retired model is listed as archived; its file stays where it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.core.files import lock, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

FILE = "retired.json"
LOCK_WAIT_S = 20.0


def read_retired(models: Path) -> dict[str, dict[str, str]]:
    """Return who retired which model, when and why, by id; raises `DataError` for a damaged file."""
    path = models / FILE
    try:
        tree: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"no retired models: {error}", where=str(path)) from None
    if not isinstance(tree, dict) or not all(isinstance(row, dict) for row in tree.values()):
        raise DataError("found no retired models; expected {id: {by, at, why}}", where=str(path))
    return tree


def retire(models: Path, model_ids: Iterable[str], *, by: str, why: str) -> list[str]:
    """Mark models as archived and return those that were not."""
    with lock(models / ".retired.lock", timeout_s=LOCK_WAIT_S, what="the retired models"):
        known = read_retired(models)
        new = [model_id for model_id in model_ids if model_id not in known]
        if new:
            at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            known |= {model_id: {"by": by, "at": at, "why": why} for model_id in new}
            tree = {name: known[name] for name in sorted(known)}
            write_atomic(models / FILE, json.dumps(tree, indent=1).encode() + b"\n")
    return new
