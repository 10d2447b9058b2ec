"""Files of games as JSON lines: each game, then its analyses (selfplay.md 6).

A file may be compressed with gzip or zstd; what it is, its first bytes say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.records.analysis import Analysis
from ringrift.records.game_json import (
    analysis_from_json,
    analysis_to_json,
    from_json,
    line_type,
    to_json,
)
from ringrift.records.packed import UNPACK_ERRORS, complaint_of, unpacked
from ringrift.records.record import GameRecord, VerificationError, refuse
from ringrift.records.refused import MOST_KEPT_BYTES, Refused

MOST_LINE_BYTES = 16 * 1024 * 1024
_SKIP_BYTES = 1024 * 1024


def read_jsonl(path: Path) -> Iterator[tuple[GameRecord, Analysis | None]]:
    """Yield the games of a file with their analyses; a game with several comes once for each.

    Raises `VerificationError` (a `DataError`) naming file, line and field of the first bad line.
    """
    for found in scan_jsonl(path):
        if isinstance(found, Refused):
            raise found.error
        yield found


def scan_jsonl(path: Path) -> Iterator[tuple[GameRecord, Analysis | None] | Refused]:
    """Yield as `read_jsonl`, but go on after a bad line, which is a `Refused`.

    The analyses that follow a refused game are refused too.
    """
    game: GameRecord | None = None
    waiting = False
    for where, line, fault in _lines(Path(path)):
        try:
            kind = _kind_of(line, fault, game)
        except VerificationError as error:
            yield Refused(line, error.at(where))
            continue
        if kind == "game" and waiting and game is not None:
            yield game, None
        try:
            if kind == "game":
                game, waiting = None, False
                game, waiting = from_json(line, where=where), True
            elif game is not None:
                yield game, analysis_from_json(line, game, where=where)
                waiting = False
        except VerificationError as error:
            yield Refused(line, error)
    if waiting and game is not None:
        yield game, None


def _kind_of(line: bytes, fault: VerificationError | None, game: GameRecord | None) -> str:
    if fault is not None:
        raise fault
    kind = line_type(line)
    if kind not in ("game", "analysis"):
        raise refuse("type", kind, "game or analysis")
    if kind == "analysis" and game is None:
        raise refuse("type", kind, "the game before its analysis")
    return kind


def write_jsonl(path: Path, games: Iterable[tuple[GameRecord, list[Analysis]]]) -> int:
    """Write games with their analyses; the file appears whole. Returns the number of games."""
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for game, analyses in games:
            count += 1
            yield to_json(game)
            for analysis in analyses:
                yield analysis_to_json(analysis, game)

    write_atomic(Path(path), lambda file: file.writelines(f"{line}\n".encode() for line in lines()))
    return count


def _lines(path: Path) -> Iterator[tuple[str, bytes, VerificationError | None]]:
    """Yield (place, line, None), or the beginning of what is no line with the complaint."""
    number = 0
    try:
        with path.open("rb") as raw:
            try:
                file = unpacked(raw)
                while line := file.readline(MOST_LINE_BYTES + 1):
                    number += 1
                    if len(line) <= MOST_LINE_BYTES:
                        yield f"{path}:{number}", line.rstrip(b"\n"), None
                        continue
                    _skip_line(file, line)
                    detail = f"found a line of more than {MOST_LINE_BYTES} bytes"
                    fault = VerificationError("malformed", detail)
                    yield f"{path}:{number}", line[:MOST_KEPT_BYTES], fault
            except UNPACK_ERRORS as error:
                yield f"{path}:{number + 1}", b"", complaint_of(error)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None


def _skip_line(file: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(_SKIP_BYTES)
