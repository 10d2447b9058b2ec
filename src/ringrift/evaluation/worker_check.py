"""Ask whether the machines of a match saw the same match (`evaluation.md` 4, Workers).

Chi-square of (won, not) x node. A node that plays wrongly, or only looks as if it did by chance
once in a thousand matches, is named; nothing is removed by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEAST_EXPECTED = 5.0
SUSPICIOUS = 0.001
ALERT = "verification"
"""The kind of alert that a suspicious check is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCheck:
    """Hold the test of a match over its nodes.

    `residuals` are the adjusted residuals of the wins by node, standard normal where all is well;
    `left_out` are nodes with too few games. `p` is `None` with less than two nodes left.
    """

    chi_square: float
    degrees: int
    p: float | None
    residuals: dict[str, float]
    left_out: tuple[str, ...]

    @property
    def suspicious(self) -> bool:
        """Whether the nodes differ more than chance does once in a thousand matches."""
        return self.p is not None and self.p < SUSPICIOUS

    @property
    def worst(self) -> str | None:
        """The node that differs most; `None` with less than two."""
        if self.p is None:
            return None
        return max(self.residuals, key=lambda node: abs(self.residuals[node]))

    @property
    def words(self) -> str:
        """One line with the residual of each node."""
        if self.p is None:
            return "less than two nodes have games enough to be compared"
        share = "unequal" if self.suspicious else "equal"
        parts = ", ".join(f"{node} {value:+.1f}" for node, value in self.residuals.items())
        return f"the nodes won {share} shares (p = {self.p:.1e}): {parts}"

    def as_tree(self) -> dict[str, Any]:
        """Return the check as it is published."""
        return {
            "chi_square": self.chi_square,
            "degrees": self.degrees,
            "p": self.p,
            "residuals": self.residuals,
            "left_out": list(self.left_out),
            "suspicious": self.suspicious,
        }


def check_workers(nodes: Mapping[str, tuple[int, int]]) -> WorkerCheck:
    """Compare nodes given as (wins, games) by name.

    Nodes of which fewer than five wins or five other results are expected are left out. Raises
    `ValueError` for more wins than games.
    """
    for node, (wins, games) in nodes.items():
        if not 0 <= wins <= games:
            raise ValueError(f"{node}: {wins} wins in {games} games")
    kept = dict(sorted(nodes.items()))
    while kept:
        games = sum(count for _, count in kept.values())
        share = sum(wins for wins, _ in kept.values()) / games if games else 0.0
        rarer = min(share, 1.0 - share)
        few = [node for node, (_, count) in kept.items() if count * rarer < LEAST_EXPECTED]
        if not few:
            break
        del kept[min(few, key=lambda node: (kept[node][1], node))]
    left_out = tuple(node for node in sorted(nodes) if node not in kept)
    if len(kept) < 2:
        return WorkerCheck(
            chi_square=0.0, degrees=0, p=None, residuals={}, left_out=tuple(sorted(nodes))
        )
    from scipy.stats import chi2

    spread = share * (1.0 - share)
    chi_square = math.fsum(
        (wins - count * share) ** 2 / (count * spread) for wins, count in kept.values()
    )
    return WorkerCheck(
        chi_square=chi_square,
        degrees=len(kept) - 1,
        p=float(chi2.sf(chi_square, len(kept) - 1)),
        residuals={
            node: (wins - count * share) / math.sqrt(count * spread * (1.0 - count / games))
            for node, (wins, count) in kept.items()
        },
        left_out=left_out,
    )
