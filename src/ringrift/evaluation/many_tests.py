"""How many tests were made since the last promotion, and how often chance alone would pass.

Each test has an alpha of its own (`evaluation.md` 4, Many candidates); a reader of one verdict
should know of the others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringrift.records.store import GameStore

TESTING = ("gate", "test")
"""Purposes of matches that a promotion may rest on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyTests:
    """Tests of a configuration since a time; `expected_false` is the sum of their alphas."""

    tests: int
    expected_false: float

    def as_tree(self) -> dict[str, Any]:
        """Return the numbers as they are published."""
        return asdict(self)

    @property
    def words(self) -> str:
        """One sentence."""
        number = "1 test" if self.tests == 1 else f"{self.tests} tests"
        return (
            f"{number} since the last promotion; chance alone would pass "
            f"{self.expected_false:.2f} of them"
        )


NO_TESTS = ManyTests(tests=0, expected_false=0.0)


def count_tests(store: GameStore, config: str, since: float) -> ManyTests:
    """Count the tests whose plans were stored after a time, Unix seconds."""
    alphas: list[float] = []
    for purpose in TESTING:
        for plan in store.plans.all(config, purpose=purpose):
            alpha = _alpha(json.loads(plan.text).get("test"))
            if plan.made_at > since and alpha is not None:
                alphas.append(alpha)
    return ManyTests(tests=len(alphas), expected_false=round(sum(alphas), 6))


def _alpha(test: dict[str, Any] | None) -> float | None:
    """Return how often a test accepts by chance; None for what is no test."""
    if test is None:
        return None
    if "alpha" in test:
        return float(test["alpha"])
    if "confidence" in test:
        return (1.0 - float(test["confidence"])) / 2.0
    return None
