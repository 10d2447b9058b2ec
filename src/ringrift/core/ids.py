"""Name things by their content: canonical bytes, SHA-256 ids, prefixes people can type."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORT_DIGITS = 12
MIN_PREFIX = 6

_HEX = re.compile(r"[0-9a-f]+")


def content_id(kind: str, data: bytes) -> str:
    """Return the 64 hex digits of SHA-256 over `kind`, a zero byte and `data`.

    The kind keeps equal bytes of different things apart: a game never has the id of a model.
    """
    if not kind or "\0" in kind:
        raise ValueError(f"kind of an id: found {kind!r}; expected a word")
    digest = hashlib.sha256(kind.encode())
    digest.update(b"\0")
    digest.update(data)
    return digest.hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return the one JSON text of `value`: sorted keys, no spaces, UTF-8, no NaN or infinity."""
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError) as error:
        raise DataError(f"no canonical JSON for this value: {error}") from error


def canonical_msgpack(value: Any) -> bytes:
    """Return the one MessagePack text of `value`: sorted keys, shortest integers."""
    import msgspec

    try:
        return msgspec.msgpack.Encoder(order="deterministic").encode(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"no canonical MessagePack for this value: {error}") from error


def derived_seed(seed: int, *words: object) -> int:
    """Return a seed below 2**63 that follows from `seed` and the words."""
    text = " ".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def short(identity: str) -> str:
    """Return the first 12 digits, as ids are shown to people."""
    return identity[:SHORT_DIGITS]


def resolve_prefix(prefix: str, ids: Iterable[str], *, what: str = "id") -> str:
    """Return the one id that starts with `prefix`, which has at least six hex digits.

    Raises `UsageError` for no match (with the nearest three), for several, and for a prefix that
    is too short or not hexadecimal.
    """
    wanted = prefix.strip().lower()
    if len(wanted) < MIN_PREFIX or not _HEX.fullmatch(wanted):
        raise UsageError(f"{what}: found {prefix!r}; expected at least {MIN_PREFIX} hex digits")
    known = sorted(set(ids))
    found = [identity for identity in known if identity.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        first = ", ".join(short(identity) for identity in found[:3])
        first += ", ..." if len(found) > 3 else ""
        raise UsageError(f"{what}: {prefix!r} fits {len(found)} ids ({first})", hint="more digits")
    shown = {short(identity): identity for identity in known}
    close = difflib.get_close_matches(wanted[:SHORT_DIGITS], list(shown), n=3, cutoff=0.5)
    raise UsageError(
        f"{what}: none starts with {prefix!r}", hint=", ".join(close) if close else None
    )
