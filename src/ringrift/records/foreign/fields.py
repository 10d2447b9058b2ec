"""Read fields of foreign JSON objects: known spellings, checked types, errors that name them."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

from ringrift.records.record import VerificationError, refuse
from ringrift.rules.geometry import geometry

Object = Mapping[str, Any]

MOST_STATE_BYTES = 16 * 1024 * 1024


def read_object(text: str | bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object; raises `VerificationError` naming it."""
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise VerificationError("malformed", f"not JSON: {error}", where=f"field {name}") from None
    if not isinstance(found, dict):
        raise refuse(name, found, "a JSON object")
    return found


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON number")


def unpacked(data: Any, *, compressed: bool, name: str) -> str | bytes:
    """Return the text of a column that may be gzip-compressed, at most 16 MiB of it."""
    if not isinstance(data, str | bytes):
        raise refuse(name, data, "text or bytes")
    if not compressed:
        return data
    if isinstance(data, str):
        raise refuse(name, data[:20], "gzip bytes, as compressed = 1 says")
    try:
        inflate = zlib.decompressobj(wbits=31)
        text = inflate.decompress(data, MOST_STATE_BYTES)
    except zlib.error as error:
        raise VerificationError("malformed", f"not gzip: {error}", where=f"field {name}") from None
    if not inflate.eof:
        detail = f"found gzip data that is cut or longer than {MOST_STATE_BYTES} bytes"
        raise VerificationError("truncated", detail, where=f"field {name}")
    return text


def compressed(text: str) -> bytes:
    """Return text as gzip bytes, the same for the same text."""
    return gzip.compress(text.encode(), mtime=0)


def pick(fields: Object, *names: str) -> Any:
    """Return the first field that is there and not null, else None."""
    for name in names:
        value = fields.get(name)
        if value is not None:
            return value
    return None


def text_of(fields: Object, *names: str) -> str | None:
    """Return a text field, None where it is missing."""
    value = pick(fields, *names)
    if value is not None and not isinstance(value, str):
        raise refuse(names[0], value, "text")
    return value


def whole_of(fields: Object, *names: str) -> int | None:
    """Return a whole number, None where it is missing; 3.0 is whole too."""
    value = pick(fields, *names)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(names[0], value, "a whole number")
    return value


def flag_of(fields: Object, *names: str) -> bool | None:
    """Return a truth value, None where it is missing."""
    value = pick(fields, *names)
    if value is not None and not isinstance(value, bool):
        raise refuse(names[0], value, "true or false")
    return value


def object_of(fields: Object, *names: str) -> dict[str, Any] | None:
    """Return an object, None where it is missing."""
    value = pick(fields, *names)
    if value is not None and not isinstance(value, dict):
        raise refuse(names[0], value, "an object")
    return value


def list_of(fields: Object, *names: str) -> list[Any] | None:
    """Return a list, None where it is missing."""
    value = pick(fields, *names)
    if value is not None and not isinstance(value, list):
        raise refuse(names[0], value, "a list")
    return value


def seats_of(fields: Object, players: int, *names: str) -> tuple[int, ...] | None:
    """Return one whole number per seat of a map from seat to number, or of a list."""
    value = pick(fields, *names)
    if value is None:
        return None
    if isinstance(value, list):
        value = {str(seat): number for seat, number in enumerate(value, 1)}
    wanted = [str(seat) for seat in range(1, players + 1)]
    if not isinstance(value, dict) or sorted(value) != wanted:
        raise refuse(names[0], value, f"a number for each of {players} seats")
    numbers = [whole_of(value, seat) for seat in wanted]
    if any(number is None for number in numbers):
        raise refuse(names[0], value, f"a number for each of {players} seats")
    return tuple(number for number in numbers if number is not None)


def shares_of(value: Any, name: str) -> dict[str, float]:
    """Return a distribution as finite shares >= 0 by key; raises `bad_policy`."""
    if not isinstance(value, dict):
        raise refuse(name, value, "an object of shares", reason="bad_policy")
    for key, share in value.items():
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not math.isfinite(share) or share < 0:
            raise refuse(f"{name}.{key}", share, "a share >= 0", reason="bad_policy")
    return {key: float(share) for key, share in value.items()}


def cell_of(board: str, value: Any, name: str) -> int:
    """Return the cell of `{x, y, z}`, `[x, y, z]` or the text `x,y,z`; z may be left out."""
    g = geometry(board)
    if isinstance(value, str):
        parts: list[Any] = value.split(",")
    elif isinstance(value, list):
        parts = value
    elif isinstance(value, dict):
        parts = [value.get("x"), value.get("y"), value.get("z")]
        parts = parts if parts[2] is not None else parts[:2]
    else:
        parts = []
    try:
        numbers = [int(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if g.hex and len(numbers) == 2:
        numbers.append(-numbers[0] - numbers[1])
    cell = g.index.get(",".join(map(str, numbers if g.hex else numbers[:2])))
    if cell is None:
        raise refuse(name, value, f"a cell of {board}")
    return cell


def cells_of(board: str, value: Any, name: str) -> frozenset[int]:
    """Return the cells of a list of positions."""
    if not isinstance(value, list):
        raise refuse(name, value, "a list of cells")
    return frozenset(cell_of(board, item, f"{name}[{i}]") for i, item in enumerate(value))


def position_json(board: str, cell: int) -> dict[str, int]:
    """Return a cell as the reference writes positions."""
    return dict(zip("xyz", geometry(board).coordinates[cell], strict=False))
