"""Results as files beside the model: `<model id>/evaluations/holdout-<set hash>.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.core.ids import short

if TYPE_CHECKING:
    from ringrift.training.holdout_evaluation.evaluate import Evaluation

FOLDER = "evaluations"
PREFIX = "holdout-"


def result_path(model: Path, evaluation: Evaluation) -> Path:
    """Return where the result for a model file stands."""
    name = f"{PREFIX}{short(evaluation.set_hash)}.json"
    return model.resolve().parent / evaluation.model / FOLDER / name


def write_result(model: Path, evaluation: Evaluation) -> Path:
    """Write a result and return its path; the same evaluation writes the same bytes."""
    path = result_path(model, evaluation)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(evaluation.as_json(), indent=1, sort_keys=True, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")
    return path


def read_results(models: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every stored result below a folder, by path; raises `DataError` for a damaged one."""
    for path in sorted(models.rglob(f"{FOLDER}/{PREFIX}*.json")):
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"no result of an evaluation: {error}", where=str(path)) from None
        if not isinstance(found, dict) or not {"model", "config", "strata"} <= found.keys():
            raise DataError(
                "found no result of an evaluation; expected model, config and strata",
                where=str(path),
                hint="removing the file and ringrift data holdout --evaluate",
            )
        yield path, found
