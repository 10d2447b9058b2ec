"""The hold-out numbers of a candidate and a champion over the same games (`training.md` 8).

What a model loses on a set of games stands beside it under the hash of the set. Which set two models
are compared on stands beside the candidate, in `evaluations/compared-<champion>.json`: games of the
age of the candidate's training that neither lineage has seen.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.core.ids import short
from ringrift.models.judging import HoldOut
from ringrift.models.registry import model_path
from ringrift.training.holdout_evaluation import read_result, result_path

if TYPE_CHECKING:
    from pathlib import Path


class Pair(NamedTuple):
    """What two models lose on the set that they are compared on; None is not measured yet."""

    candidate: HoldOut | None
    champion: HoldOut | None


NOBODY = Pair(None, None)


def stored_pair(objects: Path, candidate: str, champion: str) -> Pair:
    """Return the stored numbers of both models over their common set; nothing is measured.

    A number over any other set counts as missing. Raises `DataError` for a damaged file.
    """
    path = _common_path(objects, candidate, champion)
    try:
        tree = json.loads(path.read_bytes())
        set_hash = str(tree["set_hash"])
    except FileNotFoundError:
        return NOBODY
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"no set of games of a comparison: {error!r}", where=str(path), hint=f"removing {path}"
        ) from None
    return Pair(*(stored_holdout(objects, model, set_hash) for model in (candidate, champion)))


def stored_holdout(objects: Path, model_id: str, set_hash: str) -> HoldOut | None:
    """Return the result of a model over a set of games, None where there is no value error."""
    tree = read_result(model_path(objects, model_id), set_hash)
    error: Any = None if tree is None else tree["holdout"].get("value_error")
    if tree is None or error is None:
        return None
    return HoldOut(
        value_error=float(error),
        gap=tree["gap"].get("value"),
        positions=int(tree["holdout"]["positions"]),
        set_hash=set_hash,
    )


def write_common(objects: Path, candidate: str, champion: str, set_hash: str) -> None:
    """Keep which set of games two models are compared on."""
    path = _common_path(objects, candidate, champion)
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = {"candidate": candidate, "champion": champion, "set_hash": set_hash}
    write_atomic(path, json.dumps(tree, indent=1).encode() + b"\n")


def _common_path(objects: Path, candidate: str, champion: str) -> Path:
    beside = result_path(model_path(objects, candidate), candidate, "")
    return beside.with_name(f"compared-{short(champion)}.json")
