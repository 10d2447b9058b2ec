"""Files of games as JSON lines: each game, then its analyses (selfplay.md 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.records.game_json import (
    analysis_from_json,
    analysis_to_json,
    from_json,
    line_type,
    to_json,
)
from ringrift.records.record import Analysis, GameRecord, VerificationError, refuse

MOST_LINE_BYTES = 16 * 1024 * 1024


def read_jsonl(path: Path) -> Iterator[tuple[GameRecord, Analysis | None]]:
    """Yield the games of a file with their analyses; a game with several comes once for each.

    Raises `VerificationError` (a `DataError`) naming file, line and field of the first bad line.
    """
    game: GameRecord | None = None
    waiting = False
    for number, line in _lines(Path(path)):
        where = f"{path}:{number}"
        try:
            kind = line_type(line)
            if kind not in ("game", "analysis"):
                raise refuse("type", kind, "game or analysis")
            if kind == "analysis" and game is None:
                raise refuse("type", kind, "the game before its analysis")
        except VerificationError as error:
            raise error.at(where) from None
        if kind == "game":
            if waiting and game is not None:
                yield game, None
            game, waiting = from_json(line, where=where), True
        elif game is not None:
            yield game, analysis_from_json(line, game, where=where)
            waiting = False
    if waiting and game is not None:
        yield game, None


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


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MOST_LINE_BYTES + 1):
                number += 1
                if len(line) > MOST_LINE_BYTES:
                    detail = f"found a line of more than {MOST_LINE_BYTES} bytes"
                    raise VerificationError("malformed", detail, where=f"{path}:{number}")
                yield number, line.rstrip(b"\n")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
