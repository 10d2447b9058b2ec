"""What a recorded game holds, ply by ply, read and checked in itself (traces FORMAT.md 1, 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ringrift.core.errors import DataError
from ringrift.records.traces import Trace
from ringrift.rules import BoardSpec, InvalidPosition, Position

BOOKKEEPING = frozenset({"NP", "SP", "SC", "NM", "SR", "NL", "ST", "NT"})
"""Moves that change nothing on the board (rules.md 2.4)."""

KIND_OF_TYPE = {
    "place_ring": "P",
    "skip_placement": "SP",
    "no_placement_action": "NP",
    "swap_sides": "SW",
    "move_stack": "M",
    "overtaking_capture": "C",
    "continue_capture_segment": "K",
    "skip_capture": "SC",
    "no_movement_action": "NM",
    "recovery_slide": "R",
    "skip_recovery": "SR",
    "process_line": "L",
    "choose_line_option": "O",
    "no_line_action": "NL",
    "choose_territory_option": "T",
    "skip_territory_processing": "ST",
    "no_territory_action": "NT",
    "eliminate_rings_from_stack": "E",
    "forced_elimination": "F",
}
"""First word of the compact text by the name of the move's type (FORMAT.md 4)."""

_TEXTS = {
    "ph": "phase",
    "L": "legal",
    "lh": "legal_hash",
    "h": "state_hash",
    "s": "state",
    "lps": "lps",
    "tb": "border",
    "v": "verdict",
}
_NUMBERS = {"c": "player", "n": "count"}
_ALWAYS = ("ph", "c", "n", "m", "h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ply:
    """What a record says of one ply; None where it says nothing. `move` is the compact text."""

    move: str
    phase: str | None = None
    player: int | None = None
    count: int | None = None
    legal: str | None = None
    legal_hash: str | None = None
    state: str | None = None
    state_hash: str | None = None
    lps: str | None = None
    border: str | None = None
    verdict: str | None = None

    @property
    def bookkeeping(self) -> bool:
        """Tell whether the move changes nothing on the board."""
        return self.move in BOOKKEEPING

    def as_json(self) -> dict[str, Any]:
        """Return the ply under the names of FORMAT.md 2."""
        names = {"m": "move", **_NUMBERS, **_TEXTS}
        found = {short: getattr(self, name) for short, name in names.items()}
        return {short: value for short, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a record says of the end; None where it says nothing. `winner` 0 is nobody."""

    end: str | None = None
    winner: int | None = None
    reason: str | None = None
    final: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedGame:
    """A game as its record tells it.

    `start` is a canonical text, None for the start position. In a `complete` record a counter,
    border or verdict that is absent says that there was none.
    """

    file: str
    id: str
    spec: BoardSpec
    start: str | None
    plies: tuple[Ply, ...]
    claim: Claim
    complete: bool

    def position(self) -> Position:
        """Return the position the game starts from."""
        if self.start is None:
            return Position.of(self.spec)
        return Position.parse(self.start, spec=self.spec)


def recorded(trace: Trace) -> RecordedGame:
    """Read one game of the reference; raises `DataError` where the record is damaged."""
    where = trace.where
    spec = trace.spec()
    start = trace.field("initial", str)
    try:
        fingerprint = Position.parse(start, spec=spec).fingerprint
    except InvalidPosition as error:
        raise DataError(f"initial: {error}", where=where) from None
    if fingerprint != trace.field("initial_hash", str):
        raise DataError("initial does not have the hash initial_hash", where=where)
    moves, plies = trace.field("moves", list), trace.field("positions", list)
    if len(plies) != len(moves):
        raise DataError(f"{len(moves)} moves but {len(plies)} positions", where=where)
    read = tuple(read_ply(ply, where=f"{where} ply {i}") for i, ply in enumerate(plies))
    for i, (move, ply) in enumerate(zip(moves, read, strict=True)):
        _check_move(move, ply, where=f"{where} ply {i}")
    return RecordedGame(
        file=trace.file,
        id=trace.id,
        spec=spec,
        start=start,
        plies=read,
        claim=Claim(
            end=trace.field("result.end", str),
            winner=trace.field("result.winner", (int, type(None))) or 0,
            reason=trace.field("result.reason", (str, type(None))),
            final=trace.field("result.final", str),
        ),
        complete=True,
    )


def read_ply(tree: Any, *, where: str, complete: bool = True) -> Ply:
    """Read the object of one ply; raises `DataError` naming the field."""
    if not isinstance(tree, Mapping):
        raise DataError(f"found {tree!r:.40}; expected an object", where=where)
    for name in _ALWAYS if complete else ("m",):
        if name not in tree:
            raise DataError(f"field {name} is missing", where=where)
    values: dict[str, Any] = {}
    for names, kind in ((_TEXTS, str), (_NUMBERS, int), ({"m": "move"}, str)):
        for short, name in names.items():
            value = tree.get(short)
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                raise DataError(f"field {short} is {value!r:.40}", where=where)
            values[name] = value
    return Ply(**values)


def _check_move(move: Any, ply: Ply, *, where: str) -> None:
    """Raise `DataError` unless the move object and the compact text name the same kind and seat."""
    if not isinstance(move, Mapping) or KIND_OF_TYPE.get(move.get("type", "")) is None:
        raise DataError(f"move is {move!r:.60}; expected an object with a known type", where=where)
    kind = ply.move.split(" ")[0]
    if KIND_OF_TYPE[move["type"]] != kind:
        raise DataError(f"type is {move['type']!r} but the text is {ply.move!r:.40}", where=where)
    if move.get("player") != ply.player:
        raise DataError(
            f"player is {move.get('player')!r} but the ply is {ply.player}'s", where=where
        )
