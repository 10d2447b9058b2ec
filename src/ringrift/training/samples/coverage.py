"""Which policy loss the samples allow: divergence from searches, or cross-entropy (training.md 5)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ringrift.core.errors import NegativeResult

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.samples.table import SampleTable


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChoice:
    """Say which policy loss is used and why.

    `samples` count for the policy, `searched` of them have a searched distribution; `coverage` is
    their share, `None` without samples.
    """

    loss: Literal["kl", "ce"]
    samples: int
    searched: int
    coverage: float | None
    reason: str

    def apply(self, table: SampleTable) -> SampleTable:
        """Return the table as this loss takes it: with a divergence only searches count."""
        if self.loss == "ce":
            return table
        weight = np.where(table.searched, table.policy_weight, np.float32(0))
        return replace(table, policy_weight=weight)

    def facts(self) -> dict[str, Any]:
        """Return the choice as the report states it."""
        return asdict(self)


def choose_policy_loss(table: SampleTable, settings: TrainSettings) -> PolicyChoice:
    """Choose the policy loss for the training samples of a table.

    `auto` takes the divergence where both the share and the number of searched samples reach their
    thresholds. Raises `NegativeResult` where `kl` is demanded and no sample was searched.
    """
    counted = table.policy_weight > 0
    samples = int(counted.sum())
    searched = int((counted & table.searched).sum())
    coverage = searched / samples if samples else None
    loss: Literal["kl", "ce"]
    if settings.policy_loss == "auto":
        enough = (coverage or 0.0) >= settings.kl_min_coverage and (
            searched >= settings.kl_min_samples
        )
        loss = "kl" if enough else "ce"
        share = "unknown" if coverage is None else f"{coverage:.2f}"
        reason = (
            f"coverage {share}, {searched} searched samples; a divergence needs "
            f"{settings.kl_min_coverage:g} and {settings.kl_min_samples}"
        )
    else:
        loss, reason = settings.policy_loss, "asked for"
    if loss == "kl" and not searched:
        raise NegativeResult(
            f"none of {samples} policy samples has a searched distribution",
            where=f"dataset {table.dataset[:12]}",
            hint="ringrift selfplay reanalyze, or leave out --use-kl-loss",
        )
    return PolicyChoice(
        loss=loss, samples=samples, searched=searched, coverage=coverage, reason=reason
    )
