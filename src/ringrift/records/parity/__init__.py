"""Engine parity: replay what the reference engine recorded, compare all it holds (selfplay.md 7)."""

from __future__ import annotations

from ringrift.records.parity.compare import compare
from ringrift.records.parity.evidence import write_bundle, write_fixture
from ringrift.records.parity.games import RecordedGame, recorded
from ringrift.records.parity.report import GameCheck, Report
from ringrift.records.parity.run import ENGINES, Options, check, check_engines
from ringrift.records.parity.scenario import read_scenario
from ringrift.records.parity.stored import StoredGame

__all__ = [
    "ENGINES",
    "GameCheck",
    "Options",
    "RecordedGame",
    "Report",
    "StoredGame",
    "check",
    "check_engines",
    "compare",
    "read_scenario",
    "recorded",
    "write_bundle",
    "write_fixture",
]
