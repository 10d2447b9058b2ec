"""The hold-out numbers that stand beside a model (`training.md` 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.models.judging import HoldOut
from ringrift.models.registry import model_path
from ringrift.training.holdout_evaluation import read_results

if TYPE_CHECKING:
    from pathlib import Path


def stored_holdout(objects: Path, model_id: str) -> HoldOut | None:
    """Return the newest result of a model, None where there is none with a value error."""
    path = model_path(objects, model_id)
    results = list(read_results(path.parent / path.stem))
    if not results:
        return None
    _, tree = max(results, key=lambda result: result[0].stat().st_mtime_ns)
    error: Any = tree["holdout"].get("value_error")
    if error is None:
        return None
    return HoldOut(
        value_error=float(error),
        gap=tree["gap"].get("value"),
        positions=int(tree["holdout"]["positions"]),
        set_hash=str(tree["set_hash"]),
    )
