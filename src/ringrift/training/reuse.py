"""How often a model's lineage has learned from each game (data.md 4, Reuse)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ringrift.core.errors import RingriftError
from ringrift.core.log import get_logger
from ringrift.data.dataset import Manifest

log = get_logger(__name__)

INHERITING = ("warm_start", "averaged", "calibrated_from")
"""Roles of parents whose tensors a model goes on with on the same board."""


def passes_over_games(model: Path, objects: Path, npz: Path) -> dict[str, float]:
    """Return, by game id, the training passes of the model in file `model` and its ancestors.

    Counted from cards and manifests; a dataset whose manifest is gone counts nothing.
    """
    found: dict[str, float] = {}
    for card in _lineage(model, objects):
        training = card.get("training") or {}
        passes = _passes(training)
        for identity in training.get("datasets", ()):
            for game in _games(npz / str(card.get("config")) / str(identity)):
                found[game] = found.get(game, 0.0) + passes
    return found


def _passes(training: Mapping[str, Any]) -> float:
    """Return how often a training went over its samples."""
    samples, steps = training.get("samples"), training.get("steps")
    batch = (training.get("hyperparameters") or {}).get("batch_size")
    if not samples or not steps or not batch:
        return 0.0
    return float(steps) * float(batch) / float(samples)


def _lineage(model: Path, objects: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the cards of a model and its ancestors, each once; a card that is gone ends its line."""
    waiting, seen = [model.with_suffix(".json")], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            card = json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            log.warning("a card is left out of the lineage", file=str(path), why=str(error))
            continue
        yield card
        for parent in card.get("parents", ()):
            if parent.get("role") in INHERITING:
                identity = str(parent["id"])
                waiting.append(objects / identity[:2] / f"{identity}.json")


def _games(folder: Path) -> tuple[str, ...]:
    try:
        return Manifest.read(folder).game_ids
    except RingriftError:
        return ()
