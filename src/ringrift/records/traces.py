"""Reader of the reference engine's recorded games (traces FORMAT.md)."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.rules import BoardSpec, InvalidOption

SUFFIXES = (".jsonl", ".jsonl.gz")
PACKAGED = Path(__file__).parent / "corpus"
"""A selection of the recorded games that ships with the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One recorded game: its place (`file`, `line` from 1) and the parsed JSON object."""

    file: str
    line: int
    game: dict[str, Any]

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"

    @property
    def id(self) -> str:
        """Name of the file without its endings, and the line: `special_hex8_2p:3`."""
        return f"{Path(self.file).name.split('.')[0]}:{self.line}"

    def field(self, name: str, kind: type | tuple[type, ...]) -> Any:
        """Return a field (dots go into objects); raises `DataError` if missing or of another type."""
        value: Any = self.game
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                raise DataError(f"field {name} is missing", where=self.where)
            value = value[part]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise DataError(f"field {name} is {value!r:.60}", where=self.where)
        return value

    def on_standard_board(self) -> bool:
        """Tell false for contract vectors on shrunken hexagonal boards (rules.md B.5)."""
        source = self.game.get("source") or {}
        return not (
            source.get("kind") == "contract-vector" and self.game.get("board_type") == "hexagonal"
        )

    def spec(self) -> BoardSpec:
        """Return the board specification the game was recorded under."""
        variant = self.field("engine_variant", str)
        if variant not in ("stock", "hex8line3"):
            raise DataError(f"unknown engine_variant {variant!r}", where=self.where)
        board = self.field("board_type", str)
        options = self.field("options", dict)
        try:
            return BoardSpec.recorded(
                board,
                self.field("num_players", int),
                rings_per_player=self.field("options.ringsPerPlayer", int),
                lps_rounds=self.field("options.lpsRoundsRequired", int),
                swap_rule=self.field("options.swapRuleEnabled", bool),
                base_line_length=4 if board == "hex8" and variant == "stock" else None,
                ring_threshold=options.get("victoryThreshold"),
                territory_minimum=options.get("territoryVictoryMinimum"),
            )
        except InvalidOption as error:
            raise DataError(error.message, where=self.where) from None


def trace_files(paths: list[Path]) -> list[Path]:
    """List the trace files of files and folders; raises `DataError` for a path without any."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.name.endswith(SUFFIXES))
            if not inside:
                raise DataError("folder without recorded games", where=str(path), hint="*.jsonl.gz")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise DataError("no such file or folder", where=str(path))
    return found


def packaged_traces() -> list[Path]:
    """List the packaged trace files."""
    return trace_files([PACKAGED])


def read_traces(path: Path) -> Iterator[Trace]:
    """Read the games of one file; raises `DataError` naming file and line where it is damaged."""
    line = 0
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            for line, text in enumerate(stream, 1):
                game = json.loads(text)
                if not isinstance(game, dict) or game.get("format") != 1:
                    raise DataError("not a recorded game of format 1", where=f"{path}:{line}")
                yield Trace(file=str(path), line=line, game=game)
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"damaged file: {error}", where=f"{path}:{line + 1}") from None
    except json.JSONDecodeError as error:
        raise DataError(f"malformed JSON: {error.msg}", where=f"{path}:{line}") from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
