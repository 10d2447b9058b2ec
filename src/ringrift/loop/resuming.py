"""When a person let held work go on: what a configuration's failures before that no longer hold."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from ringrift.core.files import write_atomic

RESUMED_FILE = Path("data/coordination/resumed.json")
ALL = "all"


def note_resumed(root: Path, config: str | None, at: float) -> None:
    """Write down that a configuration, or with None every one, may go on; `at` in Unix seconds."""
    path = root / RESUMED_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    times = {**_read(root), config or ALL: at}
    write_atomic(path, json.dumps(times).encode() + b"\n")


def resumed(root: Path, configs: Collection[str]) -> dict[str, float]:
    """Return when each of these configurations was let go on last; `all` is every one.

    A file that is none says nothing: then only new facts lift what failures hold.
    """
    return {name: at for name, at in _read(root).items() if name == ALL or name in configs}


def _read(root: Path) -> dict[str, float]:
    try:
        found = json.loads((root / RESUMED_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): float(at) for name, at in found.items() if isinstance(at, int | float)}
