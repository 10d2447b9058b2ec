"""Correct JSON lines of games by replay, and take out those that no one can learn from (`data.md` 10).

`fix_file` is the door; `judge` says what a line is, `splice` changes it, `busy` who still writes.
"""

from __future__ import annotations

from ringrift.data.jsonl_fixing.busy import Busy, writers_of
from ringrift.data.jsonl_fixing.files import FileReport, FixOptions, fix_file
from ringrift.data.jsonl_fixing.judge import REASONS

__all__ = ["REASONS", "Busy", "FileReport", "FixOptions", "fix_file", "writers_of"]
