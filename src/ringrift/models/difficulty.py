"""Tell the move service which agent and model play each level of difficulty (`models.md` 4)."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from ringrift.agents.ladder import Overrides, ladder
from ringrift.core.files import write_atomic
from ringrift.models.promotion import configurations
from ringrift.models.references import References

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA = 1


def levels(models: Path, overrides: Overrides) -> dict[str, dict[str, Any]]:
    """Return agent and model id of every level, by configuration with a champion.

    A level whose model is not here has no id, and the reason why.
    """
    references = References(models)
    found: dict[str, dict[str, Any]] = {}
    for config in configurations(models):
        rows = ladder(config, partial(references.file, config=config), overrides)
        found[config] = {
            str(row.level): {
                "agent": str(row.agent),
                "model_id": references.id(row.model, config)
                if row.model is not None and row.available
                else None,
                "available": row.available,
                "reason": row.reason,
            }
            for row in rows
        }
    return found


def write_levels(file: Path, found: Mapping[str, Any]) -> bool:
    """Write the levels of all configurations whole; return whether anything is new."""
    text = json.dumps({"schema": SCHEMA, "levels": found}, indent=1, sort_keys=True) + "\n"
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, text.encode())
    return True
