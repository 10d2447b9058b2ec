"""Checks that a store of games must pass before it counts as canonical (selfplay.md 8)."""

from __future__ import annotations

from ringrift.records.canonical.check import STAGES, check_canonical
from ringrift.records.canonical.fixtures import check_positions, load_positions
from ringrift.records.canonical.history import history_fault
from ringrift.records.canonical.report import CanonicalReport

__all__ = [
    "STAGES",
    "CanonicalReport",
    "check_canonical",
    "check_positions",
    "history_fault",
    "load_positions",
]
