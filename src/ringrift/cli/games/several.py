"""What the commands on several files of games share: what `--model` and the filters mean there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.cli.games.parts import config_of, purpose_of, seconds_of
from ringrift.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from ringrift.cli.invocation import Invocation
    from ringrift.records.selection import Selection


def selection_of(
    invocation: Invocation,
    *,
    config_key: str | None,
    since: datetime | None,
    run: str | None,
    model: str | None,
    purpose: str | None,
    reason: str | None,
) -> Selection:
    """Return the choice of games that the filters make in any file."""
    from ringrift.records.selection import Selection

    return Selection(
        config=config_of(config_key),
        since=seconds_of(since),
        run=run,
        model=None if model is None else _model_of(invocation, model),
        purpose=purpose_of(purpose),
        reason=reason,
    )


def _model_of(invocation: Invocation, name: str) -> str:
    """Return the id of a model by its alias or whole id: no one store lists the models of files."""
    link = (invocation.known_root() or Path.cwd()) / "models" / f"{name}.safetensors"
    found = link.resolve().stem if link.is_file() else name
    if not re.fullmatch(r"[0-9a-f]{64}", found):
        raise UsageError(
            f"found {name!r}; expected an alias or all 64 digits of an id", where="--model"
        )
    return found


def existing(paths: list[Path]) -> list[Path]:
    """Return the paths; raises `DataError` for the first that is no file."""
    for path in paths:
        if not path.is_file():
            raise DataError("no such file", where=str(path))
    return paths
