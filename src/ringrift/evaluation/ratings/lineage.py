"""Parents of models, which the prior of a fit pulls their children to (`evaluation.md` 5)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model's description says: `nn`, `nnue` or None, first parent, when it was made."""

    id: str
    kind: str | None = None
    parent: str | None = None
    created_at: str | None = None


def model_facts(objects: Path, models: Iterable[str]) -> dict[str, ModelFacts]:
    """Return what the descriptions in the models folder say, by model id.

    A model without a description has no known parent. Raises `DataError` for a damaged one.
    """
    return {model: _facts(objects, model) for model in sorted(set(models))}


def parents_of(facts: dict[str, ModelFacts]) -> dict[str, str]:
    """Return the parents that are known, by model id."""
    return {model: fact.parent for model, fact in facts.items() if fact.parent is not None}


def _facts(objects: Path, model: str) -> ModelFacts:
    path = objects / model[:2] / f"{model}.json"
    try:
        tree = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ModelFacts(id=model)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"no description of a model: {error}", where=str(path)) from None
    if not isinstance(tree, dict):
        raise DataError("the description is no object", where=str(path))
    return ModelFacts(
        id=model,
        kind=_text(tree.get("kind")),
        parent=_parent(tree.get("parents")),
        created_at=_text(tree.get("created_at")),
    )


def _parent(found: Any) -> str | None:
    named = found if isinstance(found, list) else []
    ids = [parent.get("id") for parent in named if isinstance(parent, dict)]
    return next((_text(identity) for identity in ids if _text(identity)), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
