"""Take files that another node sends over HTTP, piece by piece (`models.md` 8).

    GET  /models/<sha256>/pieces      which pieces are here: {pieces: [0, 1, ...]}
    PUT  /models/<sha256>/pieces/<n>  one piece of 1 MiB, the last one shorter
    POST /models/<sha256>/done        {name, bytes}: check the whole, load it, let it appear

What a broken connection left is kept, and only the rest is sent again. A file that is not what its
name and hash say is refused with 422 and removed.
"""

from __future__ import annotations

import json
import re
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO

from ringrift.core.errors import DataError, RingriftError
from ringrift.core.log import get_logger
from ringrift.data.distributed.metalink import PIECE_BYTES
from ringrift.data.distributed.serving import Reply
from ringrift.models.aliases import align
from ringrift.models.synchronisation.admission import (
    admit_description,
    admit_model,
    incoming,
    sha256_of,
)
from ringrift.models.synchronisation.chains import merge, parse_decision
from ringrift.models.synchronisation.listing import MOST_BYTES, Listing, Shared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = get_logger(__name__)

_PATH = re.compile(r"/models/([0-9a-f]{64})/(pieces/(\d{1,6})|pieces|done)")
_MOST_JSON = 4096


class Receiving:
    """Answer nodes that send files; one file is put together at a time."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._lock = threading.Lock()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: BinaryIO, length: int
    ) -> Reply | None:
        """Answer a request; None for a path that is not about files sent here."""
        del headers
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        sha256, what, piece = match.groups()
        with self._lock:
            if (method, what) == ("GET", "pieces"):
                return Reply.of({"pieces": self._pieces(sha256)})
            if method == "PUT" and piece is not None:
                return self._take(sha256, int(piece), body, length)
            if (method, what) == ("POST", "done"):
                return self._done(sha256, body, length)
        return _bad(f"{method} of {what}", HTTPStatus.METHOD_NOT_ALLOWED)

    def _folder(self, sha256: str) -> Path:
        return incoming(self._models, f"{sha256}.pieces")

    def _pieces(self, sha256: str) -> list[int]:
        return sorted(int(path.name) for path in self._folder(sha256).glob("[0-9]*"))

    def _take(self, sha256: str, piece: int, body: BinaryIO, length: int) -> Reply:
        if not 0 < length <= PIECE_BYTES or piece > MOST_BYTES // PIECE_BYTES:
            return _bad(f"piece {piece} of {length} bytes; expected 1 to {PIECE_BYTES}")
        data = body.read(length)
        if len(data) != length:
            return _bad(f"piece {piece}: {len(data)} of {length} bytes came")
        folder = self._folder(sha256)
        folder.mkdir(exist_ok=True)
        arriving = folder / f".{piece}"
        arriving.write_bytes(data)
        arriving.replace(folder / str(piece))
        return Reply.of({"ok": True})

    def _done(self, sha256: str, body: BinaryIO, length: int) -> Reply:
        try:
            told: Any = json.loads(body.read(min(length, _MOST_JSON)))
            file = Shared(str(told["name"]), sha256, int(told["bytes"]))
        except (ValueError, KeyError, TypeError):
            return _bad("expected {name, bytes}")
        try:
            self._place(file, self._joined(file))
        except RingriftError as error:
            log.warning("a file that was sent is refused", file=file.name, why=error.message)
            return _bad(error.message, HTTPStatus.UNPROCESSABLE_ENTITY)
        return Reply.of({"ok": True})

    def _joined(self, file: Shared) -> Path:
        """Put the pieces together; raises `DataError` unless they are the file of the hash."""
        folder = self._folder(file.sha256)
        arrived = incoming(self._models, file.name)
        with arrived.open("wb") as out:
            for piece in self._pieces(file.sha256):
                out.write((folder / str(piece)).read_bytes())
        for path in folder.glob("*"):
            path.unlink()
        if folder.is_dir():
            folder.rmdir()
        if sha256_of(arrived) != file.sha256:
            arrived.unlink()
            raise DataError(f"{file.name}: the pieces are not the file of the hash")
        return arrived

    def _place(self, file: Shared, arrived: Path) -> None:
        listing = Listing.of([file])
        if listing.models:
            admit_model(self._models, next(iter(listing.models)), arrived)
        elif listing.descriptions:
            admit_description(self._models, next(iter(listing.descriptions)), arrived)
        elif listing.decisions:
            config, _, name = file.name.partition("/")
            data = arrived.read_bytes()
            arrived.unlink()
            self._decide(config, name, data)
        else:
            arrived.unlink()
            raise DataError(f"{file.name} is the name of no shared file")

    def _decide(self, config: str, name: str, data: bytes) -> None:
        """Take one more decision, which must follow those that are here or replace one of them."""
        folder = self._models / "decisions"
        known = [
            (parse_decision(path.read_bytes(), config, path.name), path.read_bytes())
            for path in (folder / config).glob("*.json")
        ]
        new = parse_decision(data, config, name)
        before = [entry for entry in known if entry[0].sequence < new.sequence]
        merged = merge(folder, config, [*before, (new, data)])
        if merged.refused is not None:
            raise DataError(merged.refused)
        if new.name not in merged.added and not (folder / config / name).is_file():
            raise DataError(f"decision {name} does not follow those that are here")
        align(self._models, [config])


def _bad(told: str, code: int = HTTPStatus.BAD_REQUEST) -> Reply:
    return Reply.of({"error": told}, code)
