"""Look before a training starts: every check at once, each with its number, limit and remedy (`data.md` 11)."""

from __future__ import annotations

from ringrift.training.preflight.model import Check, Context, Dataset, Report
from ringrift.training.preflight.run import CHECKS, run_preflight

__all__ = ["CHECKS", "Check", "Context", "Dataset", "Report", "run_preflight"]
