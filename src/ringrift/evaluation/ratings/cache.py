"""The file of a fit, `data/ratings/<config>-<digest>.json`: deletable, made again when missing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.core.ids import canonical_json
from ringrift.evaluation.ratings.table import FORMAT

DIGITS = 16
KEPT = 10
"""Files of a configuration that stay; readers take the newest."""


def cache_path(folder: Path, config: str, digest: str) -> Path:
    """Return the file of a fit."""
    return folder / f"{config}-{digest[:DIGITS]}.json"


def read_cached(path: Path, digest: str) -> dict[str, Any] | None:
    """Return a fit that was made before and mark it as the newest, None if it was not.

    Raises `DataError` for a file that is no fit of these games.
    """
    try:
        tree = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(tree, dict) or tree.get("format") != FORMAT or tree.get("digest") != digest:
        raise _damaged(path, f"expected format {FORMAT} and digest {digest}")
    try:
        os.utime(path)
    except OSError:  # a folder that only another user may write
        return tree
    return tree


def write_cache(path: Path, tree: dict[str, Any]) -> None:
    """Write a fit and take away the oldest of its configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, canonical_json(tree) + b"\n")
    config = str(tree["config"])
    files = sorted(path.parent.glob(f"{config}-*.json"), key=_age)
    for old in files[:-KEPT]:
        old.unlink(missing_ok=True)


def _age(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, path.name
    except FileNotFoundError:
        return 0.0, path.name


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"no fit of ratings: {what}", where=str(path), hint=f"rm {path}")
