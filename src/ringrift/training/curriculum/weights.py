"""Which configuration needs work most: weights from the Elo of the champions (training.md 9)."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import DataError, UsageError

ELO_STEP = 200.0
"""So many Elo below the median add 1 to the weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigWeight:
    """One configuration: its champion's Elo, None if unrated, and its weight."""

    config: str
    elo: float | None
    weight: float


def adaptive_weights(
    ratings: Mapping[str, float | None], *, least: float = 0.5, most: float = 2.0
) -> list[ConfigWeight]:
    """Return `clamp(1 + (median - Elo) / 200)` for each configuration; unrated ones get `most`.

    The median is that of the rated champions. Raises `UsageError` unless 0 < `least` <= `most`.
    """
    if not 0 < least <= most:
        raise UsageError(
            f"weights from {least:g} to {most:g}; expected two positive numbers in order",
            where="--min-weight, --max-weight",
        )
    rated = [elo for elo in ratings.values() if elo is not None]
    median = statistics.median(rated) if rated else 0.0
    return [
        ConfigWeight(
            config=config,
            elo=elo,
            weight=most if elo is None else min(most, max(least, 1.0 + (median - elo) / ELO_STEP)),
        )
        for config, elo in ratings.items()
    ]


def champion_ratings(path: Path, configs: tuple[str, ...]) -> dict[str, float | None]:
    """Read the champions' Elo from `promoted_models.json`; None for those without one.

    A file that is not there rates nobody. Raises `DataError` naming the field.
    """
    if not path.exists():
        return dict.fromkeys(configs)
    try:
        models = json.loads(path.read_bytes())["models"]
        found = {config: models[config]["elo_rating"] for config in configs if config in models}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"no table of promoted models: {error}",
            where=str(path),
            hint="ringrift models promote --update-all",
        ) from None
    for config, elo in found.items():
        number = isinstance(elo, int | float) and not isinstance(elo, bool)
        if elo is not None and not (number and math.isfinite(elo)):
            raise DataError(
                f"found {elo!r}; expected a number or null",
                where=f"{path} models.{config}.elo_rating",
            )
    return {config: found.get(config) for config in configs}
