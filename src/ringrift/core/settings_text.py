"""Write the commented settings file that is shipped and that `config init` makes (`core.md` 1)."""

from __future__ import annotations

import json
import re
from typing import Any

from ringrift.core.settings_loader import known_keys

# YAML reads these words as truth or nothing.
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"})
_BARE = re.compile(r"[A-Za-z][\w./*-]*")


def commented_settings() -> str:
    """Return a settings file with every key at its default, commented out.

    Commented, because a value in the file would undo the profile's (`loop.md` 8).
    """
    lines = ["# RingRift settings. Every key stands here with its default, commented out.", ""]
    open_sections: list[str] = []
    for key in known_keys().values():
        *sections, name = key.path.split(".")
        for depth, section in enumerate(sections):
            if open_sections[: depth + 1] != sections[: depth + 1]:
                head = f"{'  ' * depth}{section}:"
                lines += ["", head] if depth == 0 else [head]
        if open_sections and not sections:  # a key of the top level between two sections
            lines.append("")
        open_sections = sections
        value = as_yaml(key.default, quoted=key.path == "version")
        lines.append(f"{'  ' * len(sections)}# {name}: {value}  # {key.meaning}")
    return "\n".join(lines) + "\n"


def as_yaml(value: Any, *, quoted: bool = False) -> str:
    """Return a default as one line of YAML; text bare where YAML reads it as the same text."""
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and value.lower() not in _WORDS
        return value if bare and not quoted else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
