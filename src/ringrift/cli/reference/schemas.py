"""Publish the JSON schema of each command's `--json` result.

A file `schemas/CONFIG-SHOW.json` holds the command's own fields; the head that all results share
is added here. `x-line` describes one line of what the command prints as a stream, without the head.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ringrift.cli.failure import nearest
from ringrift.cli.output import SCHEMA
from ringrift.core.errors import UsageError

FOLDER = Path(__file__).parents[1] / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
ERROR = "error"


@cache
def published() -> tuple[str, ...]:
    """Return the commands with a schema, such as `config show`, sorted; also `error`."""
    return tuple(sorted(json.loads(path.read_text(encoding="utf-8"))["title"] for path in _files()))


def schema_of(command: str) -> dict[str, Any]:
    """Return the whole schema of a command's result.

    Raises `UsageError` for a command without one, naming the nearest.
    """
    path = FOLDER / f"{command.replace(' ', '-')}.json"
    if command not in published() or not path.is_file():
        raise UsageError(
            f"no result schema of {command!r}", where="COMMAND", hint=nearest(command, published())
        )
    own: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    made = {"$schema": DIALECT, **own, "type": "object"}
    ok = {"const": False} if command == ERROR else {"type": "boolean"}
    name = {"type": "string"} if command == ERROR else {"const": command}
    head = {"schema": {"const": SCHEMA}, "command": name, "ok": ok}
    made["properties"] = {**head, **own.get("properties", {})}
    made["required"] = [*head, *own.get("required", [])]
    return made


def _files() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))
