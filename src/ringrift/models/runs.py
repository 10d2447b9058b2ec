"""Which models the trainings need that were not ended and can be gone on with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CONFIG, REPORT = "config.json", "report.json"

_ID = re.compile(r'"([0-9a-f]{64})"')


def models_of_unfinished_runs(runs: Path) -> frozenset[str]:
    """Return every id that the `config.json` of a run without a report names."""
    found: set[str] = set()
    for config in runs.rglob(CONFIG):
        if not config.with_name(REPORT).exists():
            found.update(_ID.findall(config.read_text(encoding="utf-8", errors="replace")))
    return frozenset(found)
