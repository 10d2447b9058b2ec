"""Results as files beside the model: `<model id>/evaluations/holdout-<set hash>.json`.

One with a given training loss ends in `-given.json`: it is no measurement of the whole.
"""

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


def result_path(model: Path, identity: str, set_hash: str, *, given: bool = False) -> Path:
    """Return where the result of a model, its file and id, over a set of games stands."""
    name = f"{PREFIX}{short(set_hash)}{'-given' if given else ''}.json"
    return model.resolve().parent / identity / FOLDER / name


def write_result(model: Path, evaluation: Evaluation) -> Path:
    """Write a result and return its path; the same evaluation writes the same bytes."""
    given = evaluation.train_loss is not None
    path = result_path(model, evaluation.model, evaluation.set_hash, given=given)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(evaluation.as_json(), indent=1, sort_keys=True, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")
    return path


def read_results(models: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every stored result below a folder, by path; raises `DataError` for a damaged one."""
    for path in sorted(models.rglob(f"{FOLDER}/{PREFIX}*.json")):
        yield path, _read(path)


def read_result(model: Path, set_hash: str) -> dict[str, Any] | None:
    """Return the result over a set of games of a model whose file has its id as name, None for none.

    Raises `DataError` for a damaged one.
    """
    path = result_path(model, model.stem, set_hash)
    if not path.is_file():
        return None
    found = _read(path)
    return found if found.get("set_hash") == set_hash else None


def _read(path: Path) -> dict[str, Any]:
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
    return found
