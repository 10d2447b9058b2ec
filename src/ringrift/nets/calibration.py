# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Temperatures that divide a model's value logits: the card field `calibration` (training.md 7).

The field is None or `{"temperature": T}`, T one number or three: those of the thirds of a game. How
long a game will be nobody knows while it is played, so the third is that of the way which the
leading seat has gone to a threshold: the largest of eliminated rings / T and territory / TM.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import NegativeResult
from ringrift.nets.container import ModelError
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import PLAYERS, RING_GOAL, TERRITORY_GOAL

THIRDS = 3
LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that a card may hold."""

Temperatures = tuple[float, float, float]
"""Those of the first, the second and the last third of a game."""

UNCALIBRATED: Temperatures = (1.0, 1.0, 1.0)


def temperatures_of(card: Mapping[str, Any], ref: str) -> Temperatures:
    """Return the temperatures of a card, 1 without any; raises `ModelError` for another content."""
    field = card.get("calibration")
    if field is None:
        return UNCALIBRATED
    given = field.get("temperature") if isinstance(field, Mapping) else None
    listed = given if isinstance(given, list) else [given] * THIRDS
    known = isinstance(field, Mapping) and set(field) == {"temperature"}
    if not known or len(listed) != THIRDS or not all(map(_is_temperature, listed)):
        raise ModelError(
            "card_invalid",
            ref,
            f"card field calibration: found {field!r:.60}; expected one temperature or three "
            f"from {LOWEST:g} to {HIGHEST:g}",
        )
    first, second, third = map(float, listed)
    return first, second, third


def calibration_field(
    card: Mapping[str, Any], temperatures: Temperatures, ref: str
) -> dict[str, Any]:
    """Return the field of a model that divides by the temperatures of `card` and by these.

    Raises `NegativeResult` for a product that no card may hold.
    """
    products = [a * b for a, b in zip(temperatures_of(card, ref), temperatures, strict=True)]
    rounded = [float(f"{t:.6g}") for t in products]
    for t in rounded:
        if not _is_temperature(t):
            raise NegativeResult(
                f"a temperature of {t:g}; expected {LOWEST:g} to {HIGHEST:g}", where=ref
            )
    return {"temperature": rounded[0] if len(set(rounded)) == 1 else rounded}


def _is_temperature(found: Any) -> bool:
    number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return number and math.isfinite(found) and LOWEST <= found <= HIGHEST


@rule
def third_of(s, b):
    """Return 0, 1 or 2: the third of the game that a position is in."""
    rings = 0
    territory = 0
    for seat in range(1, int(b.par[PLAYERS]) + 1):
        rings = max(rings, int(s.elim[seat]))
        territory = max(territory, int(s.terr[seat]))
    thirds = max(3 * rings // int(b.par[RING_GOAL]), 3 * territory // int(b.par[TERRITORY_GOAL]))
    return min(thirds, 2)


@rule
def fill_thirds(states, boards, thirds):
    """Fill `thirds` (int8[n]) with the third of each of `states`."""
    for i in range(len(states)):
        thirds[i] = third_of(states[i], boards[0])


def temperature_rows(states: Any, boards: Any, temperatures: Temperatures) -> NDArray[np.float32]:
    """Return the temperature of each position: `float32[n]`, from compiled views of them."""
    thirds = np.empty(len(states), np.int8)
    fill_thirds(states, boards, thirds)
    return np.array(temperatures, np.float32)[thirds]
