"""What a build of the pool did, by input and in total (data.md 2)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ringrift.core.errors import RingriftError
from ringrift.data.pool.units import UNREADABLE
from ringrift.records.ingest import IngestReport
from ringrift.records.refused import Refused

EXAMPLES = 20
"""Refused games of each reason that an input names one by one."""

STRUCTURAL = (*UNREADABLE, "unknown_board", "bad_players", "spec", "zero_moves", "id_mismatch")
NON_CANONICAL = ("non_canonical",)
NO_FAULT = ("incomplete", "error_status")
"""Reasons that say nothing against the record: `incomplete` games replayed, aborted ones were not."""


@dataclass(slots=True, kw_only=True)
class InputReport:
    """What became of the games of one input.

    `looked_at` counts games and lines that are none, `skipped` games taken by an earlier run, `torn`
    half-written last lines that wait. `error` is why reading stopped, `ignored` that the file holds
    no games. `ingest` counts what the store made of them.
    """

    path: str
    kind: str = "unknown"
    considered: int = 0
    looked_at: int = 0
    skipped: int = 0
    torn: int = 0
    ignored: bool = False
    error: RingriftError | None = None
    notes: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    ingest: IngestReport = field(default_factory=IngestReport)
    seconds: float = 0.0
    matches_counted: bool = False

    @property
    def failed(self) -> int:
        """Games whose record is at fault, and what is no game."""
        return sum(n for why, n in self.ingest.reasons.items() if why not in NO_FAULT)

    @property
    def failed_share(self) -> float:
        """Share of `failed`."""
        return self.failed / self.looked_at if self.looked_at else 0.0

    def refuse(self, refused: Refused) -> None:
        """Name a refused game, the first of each reason."""
        error = refused.error
        if sum(example["reason"] == error.reason for example in self.examples) < EXAMPLES:
            self.examples.append(
                {
                    "reason": error.reason,
                    "ply": error.ply,
                    "where": error.where,
                    "detail": error.detail,
                }
            )

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "path": self.path,
            "kind": self.kind,
            **counts_json([self]),
            "seconds": round(self.seconds, 3),
            "examples": self.examples,
            "notes": dict(self.notes),
            "ignored": self.ignored,
            "error": None if self.error is None else str(self.error),
        }


@dataclass(slots=True, kw_only=True)
class PoolReport:
    """All inputs, what a recheck took out, and the datasets that this made stale."""

    inputs: list[InputReport] = field(default_factory=list)
    rechecked: int = 0
    withdrawn: int = 0
    stale: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def considered(self) -> int:
        """Games that were looked at."""
        return sum(one.considered for one in self.inputs)

    @property
    def added(self) -> int:
        """Games that came into the store."""
        return sum(one.ingest.added for one in self.inputs)

    @property
    def changed(self) -> bool:
        """Whether the store holds anything that it did not hold before."""
        return self.withdrawn > 0 or any(
            one.ingest.added or one.ingest.quarantined or one.ingest.analyses for one in self.inputs
        )

    def failing(self, limit: float) -> list[InputReport]:
        """Return the inputs of which more than this share failed."""
        return [one for one in self.inputs if one.failed_share > limit]

    @property
    def errors(self) -> list[RingriftError]:
        """Why inputs could not be read to their end."""
        return [one.error for one in self.inputs if one.error is not None]

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "inputs": [one.as_json() for one in self.inputs],
            "totals": counts_json(self.inputs),
            "parity_summary": parity_summary(self.inputs),
            "rechecked": self.rechecked,
            "withdrawn": self.withdrawn,
            "stale_datasets": self.stale,
            "seconds": round(self.seconds, 3),
            "games_per_s": round(self.considered / self.seconds, 1) if self.seconds > 0 else None,
        }


def counts_json(inputs: list[InputReport]) -> dict[str, Any]:
    """Return the counts of some inputs together."""
    splits: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for one in inputs:
        splits += one.ingest.splits
        reasons += one.ingest.reasons
    matches = sum(one.ingest.purposes["match"] for one in inputs)
    return {
        "games_considered": sum(one.considered for one in inputs),
        "skipped_existing": sum(one.skipped for one in inputs),
        "duplicates": sum(one.ingest.duplicate for one in inputs),
        "duplicate_play": sum(one.ingest.duplicate_play for one in inputs),
        "training_passed": splits["train"],
        "validation_passed": splits["val"],
        "holdout_passed": splits["holdout"],
        "never_trainable": splits["never"],
        "tournament_games": matches if any(one.matches_counted for one in inputs) else None,
        "analyses": sum(one.ingest.analyses for one in inputs),
        "quarantined": dict(sorted(reasons.items())),
        "unfinished_lines": sum(one.torn for one in inputs),
    }


def parity_summary(inputs: list[InputReport]) -> dict[str, int]:
    """Return how many games were checked against the rules, and what was wrong with the others."""
    reasons: Counter[str] = Counter()
    for one in inputs:
        reasons += one.ingest.reasons
    structural = sum(reasons[why] for why in STRUCTURAL)
    non_canonical = sum(reasons[why] for why in NON_CANONICAL)
    others = (*STRUCTURAL, *NON_CANONICAL, *NO_FAULT)
    semantic = sum(count for why, count in reasons.items() if why not in others)
    passed = sum(one.ingest.added for one in inputs) + reasons["incomplete"]
    return {
        "total_games_checked": passed + structural + non_canonical + semantic,
        "passed": passed,
        "semantic_divergence": semantic,
        "structural_issues": structural,
        "non_canonical_history": non_canonical,
    }
