"""What games of past generations count in a training: one weight for each game."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ringrift.data.quality.weights import write_weights
from ringrift.records.store import GameStore


def games_in(path: Path, config: str) -> set[str]:
    """Return the ids of a store's verified games."""
    with GameStore.open(path) as store:
        return store.game_ids(config=config)


def write_game_weights(
    folder: Path, config: str, stores: Mapping[Path, float], facts: Mapping[str, object]
) -> Path:
    """Write the weight of each game of the stores and return the file.

    `stores` maps the store of a generation to the weight of its games; a game of two generations
    keeps that of the first. Raises `DataError` for a file that is no store.
    """
    found: dict[str, float] = {}
    for path, weight in stores.items():
        for identity in games_in(path, config):
            found.setdefault(identity, weight)
    ids = sorted(found)
    weights = np.array([found[identity] for identity in ids], np.float32)
    return write_weights(folder, config, ids, weights, facts)[0]
