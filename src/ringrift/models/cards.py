"""What is known of a model without loading it: its card, when and where it was made, its label.

The card comes from the header of the model's file; of a model whose file was pruned, from the
description that stands beside. No tensor is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.ids import short
from ringrift.models.registry import model_path
from ringrift.nets.container import Card, ModelError, read_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DESCRIBING = ("id", "created_at", "host", "label")
"""Fields of a description that are no part of the card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A model as its card and its description say; `here` tells whether its file is in `objects`."""

    id: str
    card: Card
    created_at: str | None
    host: str | None
    label: str | None
    here: bool

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        """(id, role) of each parent."""
        return tuple(
            (str(parent.get("id")), str(parent.get("role")))
            for parent in self.card.get("parents", ())
            if isinstance(parent, dict)
        )

    @property
    def training(self) -> Mapping[str, Any]:
        """The lineage facts, empty for random weights."""
        found = self.card.get("training")
        return found if isinstance(found, dict) else {}

    @property
    def datasets(self) -> tuple[str, ...]:
        """Ids of the datasets it was trained on, not those of its parents."""
        found = self.training.get("datasets", self.training.get("dataset"))
        if isinstance(found, str):
            return (found,)
        return tuple(map(str, found)) if isinstance(found, list) else ()


def describe(objects: Path, model_id: str) -> Described:
    """Return what is known of a model; raises `ModelError` where neither file nor card is here."""
    path = model_path(objects, model_id)
    beside = _beside(path.with_suffix(".json"))
    if path.is_file():
        identity, card = read_header(path)
        if identity != model_id:
            raise ModelError("hash_mismatch", str(path), f"named {short(model_id)} outside")
        here = True
    elif beside is not None:
        card = {name: value for name, value in beside.items() if name not in DESCRIBING}
        here = False
    else:
        raise ModelError("missing", str(path), f"model {short(model_id)} has neither file nor card")
    told = {} if beside is None else beside
    return Described(
        id=model_id,
        card=card,
        created_at=_text(told.get("created_at")),
        host=_text(told.get("host")),
        label=_text(told.get("label")),
        here=here,
    )


def _beside(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError("card_invalid", str(path), f"no description: {error}") from None
    if not isinstance(found, dict):
        raise ModelError("card_invalid", str(path), "the description is no object")
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
