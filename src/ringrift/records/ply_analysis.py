"""What a search found at one ply of a game, and how it is checked (selfplay.md 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ringrift.core.errors import DataError
from ringrift.records.record import MOVE_LIMIT, VerificationError, refuse, whole

KINDS = ("full", "cheap", "reanalysis")
POLICY_TOTAL = 65_535
VALUE_UNITS = 10_000
"""Values of an analysis are whole numbers of this part: finer than any net, and short to store."""


def to_units(value: float) -> int:
    """Return the whole number that stores a value."""
    return round(value * VALUE_UNITS)


def unit(value: float) -> float:
    """Round a value to the unit in which analyses are stored; raises for NaN and infinity."""
    if not math.isfinite(value * VALUE_UNITS):
        raise refuse("value", float(value), "a finite number")
    return round(float(value) * VALUE_UNITS) / VALUE_UNITS


@dataclass(frozen=True, slots=True, kw_only=True)
class PlyAnalysis:
    """What a search found at one ply: values per seat, visit distribution by packed move.

    `value` is the evaluator's at the root, `root_value` the search's; both are empty where the file
    that the search was imported from does not say. The integers of `policy` sum
    to 65535 (see `quantize`); a move without an entry has none of it. Unknown figures are None.
    """

    ply: int
    kind: str
    sims: int
    value: tuple[float, ...]
    root_value: tuple[float, ...]
    policy: Mapping[int, int]
    visits: Mapping[int, int] | None = None
    prior_kl: float | None = None
    nodes: int | None = None
    depth: int | None = None
    ms: int | None = None

    def __post_init__(self) -> None:
        """Round the values to what is stored, and make plain integers of NumPy's."""
        put = object.__setattr__
        for name in ("ply", "sims", "nodes", "depth", "ms"):
            number = getattr(self, name)
            put(self, name, None if number is None else int(number))
        put(self, "value", tuple(unit(v) for v in self.value))
        put(self, "root_value", tuple(unit(v) for v in self.root_value))
        put(self, "policy", {int(m): int(k) for m, k in self.policy.items()})
        if self.visits is not None:
            put(self, "visits", {int(m): int(n) for m, n in self.visits.items()})
        if self.prior_kl is not None:
            put(self, "prior_kl", unit(self.prior_kl))


def quantize(policy: Mapping[int, float]) -> dict[int, int]:
    """Round a distribution over moves to whole numbers that sum to 65535, by largest remainder.

    The weights need not be normalised. Moves that get nothing have no entry. Raises `DataError`
    for negative or non-finite weights, or when all are zero.
    """
    weights = {int(move): float(weight) for move, weight in policy.items()}
    total = math.fsum(weights.values())
    if not (0 < total < math.inf) or min(weights.values()) < 0:
        raise DataError(
            f"policy of {len(weights)} moves and total {total}; expected weights >= 0, not all zero"
        )
    exact = {move: weight / total * POLICY_TOTAL for move, weight in weights.items()}
    whole = {move: math.floor(share) for move, share in exact.items()}
    left = POLICY_TOTAL - sum(whole.values())
    by_remainder = sorted(exact, key=lambda move: (whole[move] - exact[move], move))
    for move in by_remainder[:left]:
        whole[move] += 1
    return {move: k for move, k in whole.items() if k > 0}


def check_ply(name: str, ply: PlyAnalysis, players: int) -> None:
    """Raise `VerificationError` naming the field of `ply` that no search has that way."""
    if ply.kind not in KINDS:
        raise refuse(f"{name}.kind", ply.kind, ", ".join(KINDS))
    for field_name in ("sims", "nodes", "depth", "ms"):
        number = getattr(ply, field_name)
        if number is not None:
            whole(f"{name}.{field_name}", number, 0, (1 << 31) - 1)
    for field_name in ("value", "root_value"):
        values = getattr(ply, field_name)
        if len(values) not in (0, players) or not all(-1 <= v <= 1 for v in values):
            expected = f"{players} values from -1 to 1, or none"
            raise refuse(f"{name}.{field_name}", values, expected)
    if ply.prior_kl is not None and not 0 <= ply.prior_kl < 1e6:
        raise refuse(f"{name}.prior_kl", ply.prior_kl, "a number >= 0, or null")
    for field_name, least in (("policy", 1), ("visits", 0)):
        counts = getattr(ply, field_name)
        if counts and not (
            min(counts) >= 0
            and max(counts) < MOVE_LIMIT
            and min(counts.values()) >= least
            and max(counts.values()) < 1 << 31
        ):
            raise VerificationError(
                "bad_policy",
                f"found {counts!r:.80}; expected packed moves with positive counts",
                ply=ply.ply,
                where=f"field {name}.{field_name}",
            )
    total = sum(ply.policy.values())
    if total != POLICY_TOTAL:
        expected = f"numbers that sum to {POLICY_TOTAL}"
        raise VerificationError(
            "bad_policy",
            f"found a sum of {total}; expected {expected}",
            ply=ply.ply,
            where=f"field {name}.policy",
        )
