"""What a decision measured of a candidate against the champion of its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringrift.models.decisions import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class EloStep:
    """Elo of the candidate above the champion before, its 95 % interval, games; None is unknown."""

    elo: float | None = None
    low: float | None = None
    high: float | None = None
    games: int | None = None


def elo_step(decision: Decision) -> EloStep:
    """Return the difference that a decision was made from, as far as it tells."""
    ends = decision.inputs.get("elo_ci95")
    low, high = ends if isinstance(ends, list) and len(ends) == 2 else (None, None)
    games = decision.inputs.get("games")
    return EloStep(
        elo=_number(decision.inputs.get("elo_diff")),
        low=_number(low),
        high=_number(high),
        games=games if isinstance(games, int) else None,
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
