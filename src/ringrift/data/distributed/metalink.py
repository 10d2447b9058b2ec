"""Metalinks: hashes of a file and of its pieces, and the mirrors that have it (RFC 5854)."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ringrift.core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".meta4"
MEDIA_TYPE = "application/metalink4+xml"
PIECE_BYTES = 1024 * 1024
MOST_BYTES = 16 * 1024 * 1024
"""The longest metalink that is read: 240,000 pieces."""

_NAMESPACE = "urn:ietf:params:xml:ns:metalink"
_HASH = "sha-256"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metalink:
    """Describe one file: SHA-256 of all of it and of each `piece_bytes`, and its mirrors' URLs."""

    name: str
    size_bytes: int
    sha256: str
    piece_bytes: int
    pieces: tuple[str, ...]
    urls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expected = -(-self.size_bytes // self.piece_bytes)
        if len(self.pieces) != expected:
            raise DataError(
                f"pieces: found {len(self.pieces)}; expected {expected} of {self.piece_bytes} bytes"
            )

    def span(self, piece: int) -> tuple[int, int]:
        """Return where a piece begins and ends in the file, in bytes; the end is exclusive."""
        begin = piece * self.piece_bytes
        return begin, min(begin + self.piece_bytes, self.size_bytes)


def describe_file(path: Path, *, name: str | None = None) -> Metalink:
    """Return the hashes of a file, without mirrors."""
    whole, pieces, size = hashlib.sha256(), [], 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            whole.update(piece)
            pieces.append(hashlib.sha256(piece).hexdigest())
            size += len(piece)
    return Metalink(
        name=name or path.name,
        size_bytes=size,
        sha256=whole.hexdigest(),
        piece_bytes=PIECE_BYTES,
        pieces=tuple(pieces),
    )


def write_metalink(link: Metalink) -> bytes:
    """Return the XML of a metalink; of the mirrors the first has the highest priority."""
    root = ET.Element("metalink", xmlns=_NAMESPACE)
    file = ET.SubElement(root, "file", name=link.name)
    ET.SubElement(file, "size").text = str(link.size_bytes)
    ET.SubElement(file, "hash", type=_HASH).text = link.sha256
    if link.pieces:
        pieces = ET.SubElement(file, "pieces", length=str(link.piece_bytes), type=_HASH)
        for digest in link.pieces:
            ET.SubElement(pieces, "hash").text = digest
    for place, url in enumerate(link.urls, start=1):
        ET.SubElement(file, "url", priority=str(place)).text = url
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def read_metalink(data: bytes, *, where: str) -> Metalink:
    """Read the XML of a metalink of one file.

    Raises `DataError` naming `where` and the element for anything but such a metalink: entities,
    several files, names with folders, other hashes.
    """
    if len(data) > MOST_BYTES:
        raise DataError(f"found {len(data)} bytes; expected at most {MOST_BYTES}", where=where)
    if b"<!" in data.replace(b"<!--", b""):
        raise DataError("found a document type; expected a plain metalink", where=where)
    try:
        root = ET.fromstring(data)  # noqa: S314 - without a document type there are no entities
        return _parsed(root)
    except (ET.ParseError, LookupError, ValueError) as error:
        raise DataError(f"no metalink: {error}", where=where) from None
    except DataError as error:
        raise DataError(f"no metalink: {error.message}", where=where) from None


def _parsed(root: ET.Element) -> Metalink:
    if root.tag != _tag("metalink"):
        raise DataError(f"root element: found {root.tag!r}; expected a metalink of RFC 5854")
    files = root.findall(_tag("file"))
    if len(files) != 1:
        raise DataError(f"found {len(files)} files; expected one")
    (file,) = files
    name = file.get("name", "")
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise DataError(f"file name: found {name!r}; expected letters, digits, dots, dashes")
    whole = [e for e in file.findall(_tag("hash")) if e.get("type") == _HASH]
    if len(whole) != 1:
        raise DataError(f"found {len(whole)} hashes of type {_HASH}; expected one")
    size = _number(file.findtext(_tag("size")), "size", least=0)
    pieces = [e for e in file.findall(_tag("pieces")) if e.get("type") == _HASH]
    piece_bytes = max(size, 1)
    digests = [_digest(whole[0].text)] if size else []
    if pieces:
        piece_bytes = _number(pieces[0].get("length"), "length of a piece", least=1)
        digests = [_digest(element.text) for element in pieces[0].findall(_tag("hash"))]
    urls = [(element.text or "").strip() for element in _by_priority(file)]
    return Metalink(
        name=name,
        size_bytes=size,
        sha256=_digest(whole[0].text),
        piece_bytes=piece_bytes,
        pieces=tuple(digests),
        urls=tuple(url for url in urls if urlsplit(url).scheme in {"http", "https"}),
    )


def _by_priority(file: ET.Element) -> list[ET.Element]:
    lowest = 999_999
    return sorted(
        file.findall(_tag("url")),
        key=lambda element: _number(element.get("priority", str(lowest)), "priority", least=1),
    )


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"


def _digest(text: str | None) -> str:
    digest = (text or "").strip().lower()
    if not _SHA256.fullmatch(digest):
        raise DataError(f"hash: found {digest[:80]!r}; expected 64 hexadecimal digits")
    return digest


def _number(text: str | None, what: str, *, least: int) -> int:
    digits = (text or "").strip()
    if not re.fullmatch(r"[0-9]{1,15}", digits) or int(digits) < least:
        raise DataError(f"{what}: found {digits[:40]!r}; expected a whole number from {least}")
    return int(digits)
