"""The folder of a match: what was planned, with which settings, how it went, what came out.

    plan.json      the plan, whose hash names the folder
    settings.json  settings and versions of the last command
    result.json    the result so far; replaced whole
    log.jsonl      one line for each beginning, each look and each end

Everything in it follows from the stored games; it may be deleted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.files import remove_partial, write_atomic
from ringrift.core.versions import versions
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.results import MatchResult

SCHEMA = 1
SHOWN_DIGITS = 12
PLAN, SETTINGS, RESULT, LOG = "plan.json", "settings.json", "result.json", "log.jsonl"


def match_report(
    plan: MatchPlan,
    result: MatchResult,
    *,
    played: int = 0,
    seconds: float | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """Return what `result.json` says; unknown values are None.

    `seconds` is how long this command took to play `played` games. `error` says why a match failed:
    it has no score.
    """
    if not played:
        seconds = None
    tree: dict[str, Any] = {
        "schema": SCHEMA,
        "run": plan.hash,
        **result.as_tree(),
        "plan": plan.as_tree(),
        "plies": {"median": result.plies},
        "by_node": [{"node": node, **row} for node, row in result.by_node.items()],
        "worker_check": result.worker_check.as_tree(),
        "reason": result.reason,
        "invalid": result.invalid,
        "warnings": list(result.warnings),
        "seconds": seconds,
        "games_per_s": None if not seconds else played / seconds,
        "versions": versions(),
        "error": error,
    }
    if error is not None:
        tree |= dict.fromkeys(("score", "score_ci95", "elo", "elo_ci95", "nelo", "los"))
        tree["status"] = "failed"
    return tree


@dataclass(frozen=True, slots=True)
class MatchFolder:
    """One match on disk."""

    path: Path

    @classmethod
    def of(cls, runs: Path, plan: MatchPlan) -> MatchFolder:
        """Return the folder of a match below the folder of all runs."""
        return cls(runs / "eval" / plan.hash[:SHOWN_DIGITS])

    def begin(self, plan: MatchPlan, settings: Mapping[str, Any]) -> None:
        """Make the folder and write what is known before the first game."""
        self.path.mkdir(parents=True, exist_ok=True)
        remove_partial(self.path)
        write_atomic(self.path / PLAN, plan.text + b"\n")
        self._write(SETTINGS, settings)
        self.log("begun", games=plan.games)

    def keep(self, report: Mapping[str, Any]) -> None:
        """Replace the result."""
        self._write(RESULT, report)

    def log(self, event: str, **values: Any) -> None:
        """Append a line."""
        line = json.dumps({"at": round(time.time(), 3), "event": event, **values}, allow_nan=False)
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _write(self, name: str, tree: Mapping[str, Any]) -> None:
        text = json.dumps(tree, indent=2, allow_nan=False, default=str)
        write_atomic(self.path / name, text.encode() + b"\n")
