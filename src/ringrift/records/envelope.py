"""The sealed form of everything the records room writes as bytes (selfplay.md 6).

    sealed    MessagePack [ format, digest, id, body ]

`body` is the MessagePack array of the fields and `digest` the first 16 bytes of its SHA-256, so
that a flipped bit anywhere, also outside the identity, is refused. A sealed record has at most
8 MiB, so that nobody who reads one allocates without bound.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, TypeVar

import msgspec

from ringrift.records.record import VerificationError, refuse

MOST_RECORD_BYTES = 8 * 1024 * 1024
_DIGEST_BYTES = 16
_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`$", re.DOTALL)

T = TypeVar("T")


class Fields(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Base of wire forms: a fixed array of typed fields."""


class _Sealed(Fields):
    format: str
    digest: bytes
    id: bytes
    body: bytes


_pack = msgspec.msgpack.Encoder(order="deterministic").encode


def digest(body: bytes) -> bytes:
    """Return the 16 bytes that guard a body."""
    return hashlib.sha256(body).digest()[:_DIGEST_BYTES]


def encode(wire: Any) -> bytes:
    """Encode a wire form; raises `VerificationError` for content that has no encoding."""
    try:
        return _pack(wire)
    except (TypeError, ValueError, OverflowError) as error:
        raise VerificationError("malformed", f"cannot be encoded: {error}") from None


def seal(kind: str, identity: str, body: bytes) -> bytes:
    """Put a body with its format, digest and id."""
    data = encode(_Sealed(kind, digest(body), bytes.fromhex(identity), body))
    _check_size(data)
    return data


def unseal(data: bytes, kind: str) -> tuple[str, bytes]:
    """Return id and body; raises `VerificationError` for altered, cut or foreign bytes."""
    if not isinstance(data, bytes):  # what a damaged database hands out
        raise refuse("record", data, "bytes")
    _check_size(data)
    sealed = decode(data, _Sealed)
    if sealed.format != kind:
        raise refuse("format", sealed.format, kind)
    if digest(sealed.body) != sealed.digest:
        raise VerificationError(
            "malformed", "the bytes are not those that were written", where="field body"
        )
    if encode(sealed) != data:
        raise VerificationError("malformed", "not the one encoding of its content")
    return sealed.id.hex(), sealed.body


def sealed_head(data: bytes) -> tuple[str, str]:
    """Return the format and id that sealed bytes claim, checking nothing else."""
    sealed = decode(data, _Sealed)
    return sealed.format, sealed.id.hex()


def _check_size(data: bytes) -> None:
    if len(data) > MOST_RECORD_BYTES:
        raise refuse("record", f"{len(data)} bytes", f"at most {MOST_RECORD_BYTES}")


def decode(data: bytes, kind: type[T]) -> T:
    """Decode MessagePack into a wire form, with the field in every complaint."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise complaint(error) from None


def complaint(error: Exception) -> VerificationError:
    """Translate a decoder's error: what was found, and the field."""
    text = str(error) or type(error).__name__
    found = _PLACE.match(text)
    if found:
        return VerificationError("malformed", found[1], where=f"field {found[2]}")
    cut = "truncated" in text
    return VerificationError("truncated" if cut else "malformed", text)
