"""Files that mark models by id, with who did it and when: pins, retired models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

Marks = dict[str, dict[str, str]]


def read_marks(path: Path, *, what: str, fields: str) -> Marks:
    """Return what a file says of each model, nothing without one; raises `DataError` if damaged."""
    try:
        tree: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"no {what}: {error}", where=str(path)) from None
    if not isinstance(tree, dict) or not all(isinstance(row, dict) for row in tree.values()):
        raise DataError(f"found no {what}; expected {{id: {{{fields}}}}}", where=str(path))
    return tree


def write_marks(path: Path, marks: Mapping[str, Mapping[str, str]]) -> None:
    """Replace a file."""
    tree = {name: marks[name] for name in sorted(marks)}
    write_atomic(path, json.dumps(tree, indent=1).encode() + b"\n")


def made_now(by: str, **more: str) -> dict[str, str]:
    """Return a mark that `by` makes now."""
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"by": by, "at": at, **more}
