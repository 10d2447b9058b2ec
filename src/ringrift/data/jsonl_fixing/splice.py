"""Change fields of one JSON object in its text; every other character stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def spans(text: str) -> tuple[list[tuple[str, int, int]], int]:
    """Return name, start and end of the value of every field of an object, and where `}` stands.

    Fields are those of the outermost object, in order; a name may come twice. `text` is valid JSON.
    """
    found: list[tuple[str, int, int]] = []
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        found.append((name, start, end))
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return found, at


def with_fields(text: str, values: Mapping[str, Any]) -> str:
    """Return an object's text with `values` in place of what stood there, new names at its end."""
    found, closing = spans(text)
    edits = [(start, end, json.dumps(values[n])) for n, start, end in found if n in values]
    there = {name for name, _, _ in found}
    missing = {name: value for name, value in values.items() if name not in there}
    if missing:
        comma, colon = _separators(text)
        last = found[-1][2] if found else closing
        pairs = [f"{json.dumps(name)}{colon}{json.dumps(v)}" for name, v in missing.items()]
        edits.append((last, last, (comma if found else "") + comma.join(pairs)))
    for start, end, new in reversed(edits):
        text = text[:start] + new + text[end:]
    return text


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _separators(text: str) -> tuple[str, str]:
    """Return comma and colon as this object writes them."""
    spaced = re.match(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:(\s*)', text)
    space = " " if spaced is not None and spaced.group(1) else ""
    return f",{space}", f":{space}"
