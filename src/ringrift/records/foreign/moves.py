"""Moves of foreign records, with as much of them as is recorded, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ringrift.records.foreign import names
from ringrift.records.foreign.fields import (
    Object,
    cell_of,
    cells_of,
    list_of,
    object_of,
    pick,
    position_json,
    text_of,
    whole_of,
)
from ringrift.records.foreign.searches import ForeignSearch, read_search
from ringrift.records.record import refuse
from ringrift.rules import Position
from ringrift.rules import moves as mv
from ringrift.rules.geometry import geometry

BOOKKEEPING = frozenset(
    {
        mv.SKIP_PLACE,
        mv.NO_PLACE,
        mv.SKIP_CAPTURE,
        mv.NO_MOVE,
        mv.SKIP_RECOVER,
        mv.NO_LINE,
        mv.SKIP_REGION,
        mv.NO_REGION,
    }
)
"""Moves that change nothing on the board (rules.md 0.3)."""

_FROM = frozenset({mv.MOVE, mv.CAPTURES, mv.CONTINUE, mv.RECOVER})
_TO = _FROM | {mv.PLACE, mv.PAY, mv.FORCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialMove:
    """One recorded move; fields that the record leaves out are None. Cells are cell numbers.

    `kind` is that of `rules.moves`.
    """

    kind: int
    player: int | None = None
    to: int | None = None
    origin: int | None = None
    target: int | None = None
    count: int | None = None
    line: frozenset[int] | None = None
    collapsed: frozenset[int] | None = None
    region: frozenset[int] | None = None
    context: int | None = None
    mode: int | None = None
    option: int | None = None
    extraction: int | None = None
    removed: int | None = None
    height: int | None = None
    search: ForeignSearch | None = None

    def fits(self, packed: int, position: Position) -> bool:
        """Tell whether a legal move of a position agrees with all that is recorded."""
        kind = packed & mv.KIND_MASK
        if kind not in (self.kind, self._other_kind):
            return False
        a = packed >> mv.A_SHIFT & mv.CELL_MASK
        b = packed >> mv.B_SHIFT & mv.CELL_MASK
        c = packed >> mv.C_SHIFT & mv.CELL_MASK
        x = packed >> mv.X_SHIFT & mv.X_MASK
        if kind == mv.PLACE:
            return _agree((self.to, a), (self.count, x))
        if kind == mv.MOVE:
            return _agree((self.origin, a), (self.to, b))
        if kind in (mv.CAPTURES, mv.CONTINUE):
            return _agree((self.origin, a), (self.target, b), (self.to, c))
        if kind in (mv.PAY, mv.FORCE):
            context = x if kind == mv.PAY else None
            if not _agree((self.to, a), (self.context, context)):
                return False
            if self.removed is None and self.height is None:
                return True
            removed, height = _eliminates(position, packed)
            return _agree((self.removed, removed), (self.height, height))
        if kind == mv.RECOVER:
            return self._fits_recovery(packed, position, a, b, c, x)
        if kind == mv.REGION:
            return self.region is None or self.region == frozenset(position.region_of(packed))
        if kind in (mv.LINE, mv.OPTION):
            return self._fits_line(packed, position)
        return True

    @property
    def whole(self) -> bool:
        """Tell whether the fields recorded leave one move at most, in whatever position."""
        needed: dict[int, tuple[object, ...]] = {
            mv.PLACE: (self.to, self.count),
            mv.MOVE: (self.origin, self.to),
            mv.CAPTURES: (self.origin, self.target, self.to),
            mv.CONTINUE: (self.origin, self.target, self.to),
            mv.RECOVER: (self.origin, self.to, self.mode, self.option, self.extraction),
            mv.LINE: (self.line,),
            mv.OPTION: (self.line, self.collapsed),
            mv.REGION: (self.region,),
            mv.PAY: (self.to,),
            mv.FORCE: (self.to,),
        }
        return None not in needed.get(self.kind, ())

    @property
    def _other_kind(self) -> int | None:
        """A line of exact length has one move, whichever of two names it is recorded under."""
        return mv.LINE if self.kind == mv.OPTION else None

    def _fits_recovery(
        self, packed: int, position: Position, a: int, b: int, c: int, x: int
    ) -> bool:
        mode, option = x & 3, x >> 2 & 3
        if not _agree((self.origin, a), (self.to, b), (self.mode, mode)):
            return False
        if mode == mv.BY_LINE and self.option is not None and self.option != option:
            return False
        if option == 2:
            return self.collapsed is None or self.collapsed == _cells(packed, position, 5)
        return _agree((self.extraction, c))

    def _fits_line(self, packed: int, position: Position) -> bool:
        line = _cells(packed, position, 1)
        if self.line is not None and self.line != line:
            return False
        if self.to is not None and self.to not in line:
            return False
        if self.kind == mv.LINE or self.collapsed is None:
            return True
        chosen = line
        if packed & mv.KIND_MASK == mv.OPTION:
            chosen = _cells(packed, position, 2) or line
        return self.collapsed == chosen


def _agree(*pairs: tuple[int | None, int | None]) -> bool:
    return all(said is None or said == found for said, found in pairs)


def _eliminates(position: Position, packed: int) -> tuple[int, int]:
    """Return the rings that a payment or forced elimination takes, and the height of its stack."""
    key = geometry(position.spec.board).keys[packed >> mv.A_SHIFT & mv.CELL_MASK]
    rings = position.stacks[key]
    context = packed >> mv.X_SHIFT & mv.X_MASK
    if packed & mv.KIND_MASK == mv.PAY and context != mv.FOR_TERRITORY:
        return 1, len(rings)
    return _cap(position, key), len(rings)


def _cap(position: Position, key: str) -> int:
    rings = position.stacks[key]
    return len(rings) - len(rings.rstrip(rings[-1]))


def _cells(packed: int, position: Position, word: int) -> frozenset[int]:
    """Return the cells that a word of a move's text lists; none for `*`."""
    index = geometry(position.spec.board).index
    text = position.move_text(packed).split(" ")[word]
    return frozenset() if text == "*" else frozenset(index[key] for key in text.split("|"))


# --- reading


def read_move(fields: Object, board: str) -> PartialMove:
    """Read one entry of a move list; raises `VerificationError` naming the field.

    Moves that leave the game (`resign`, `timeout`) are for `leaving`.
    """
    kind = names.MOVE_KINDS[names.move_name(fields.get("type"))]
    region, collapsed = (
        _region(fields, board),
        pick(fields, "collapsedMarkers", "collapsed_markers"),
    )
    if kind == mv.RECOVER:
        collapsed = pick(fields, "collapsePositions", "collapse_positions")
    return PartialMove(
        kind=kind,
        player=whole_of(fields, "player"),
        to=_cell(fields, board, "to") if kind in _TO or kind in (mv.LINE, mv.OPTION) else None,
        origin=_cell(fields, board, "from", "from_pos") if kind in _FROM else None,
        target=_cell(fields, board, "captureTarget", "capture_target"),
        count=_count(fields) if kind == mv.PLACE else None,
        line=_line(fields, board),
        collapsed=None if collapsed is None else cells_of(board, collapsed, "collapsedMarkers"),
        region=region,
        context=_word(fields, names.CONTEXTS, "eliminationContext", "elimination_context"),
        mode=_word(fields, names.RECOVERY_MODES, "recoveryMode", "recovery_mode"),
        option=_option(fields),
        extraction=_extraction(fields, board),
        removed=_eliminated(fields) if kind in (mv.PAY, mv.FORCE) else None,
        height=whole_of(
            object_of(fields, "eliminationFromStack", "elimination_from_stack") or {},
            "totalHeight",
            "total_height",
        ),
        search=read_search(fields),
    )


def leaving(fields: Object) -> str | None:
    """Return `resign` or `timeout` for an entry that ends the game, else None."""
    name = names.move_name(fields.get("type"))
    return name if name in names.LEAVING_NAMES else None


def _cell(fields: Object, board: str, *spellings: str) -> int | None:
    value = pick(fields, *spellings)
    return None if value is None else cell_of(board, value, spellings[0])


def _count(fields: Object) -> int | None:
    count = whole_of(fields, "placementCount", "placement_count")
    if count is not None and not 1 <= count <= 3:
        raise refuse("placementCount", count, "1, 2 or 3")
    return count


def _line(fields: Object, board: str) -> frozenset[int] | None:
    formed = list_of(fields, "formedLines", "formed_lines")
    if formed:
        if not isinstance(formed[0], dict):
            raise refuse("formedLines[0]", formed[0], "an object")
        return cells_of(board, formed[0].get("positions"), "formedLines[0].positions")
    line = list_of(fields, "line")
    return None if line is None else cells_of(board, line, "line")


def _region(fields: Object, board: str) -> frozenset[int] | None:
    regions = list_of(fields, "disconnectedRegions", "disconnected_regions")
    if regions:
        if not isinstance(regions[0], dict):
            raise refuse("disconnectedRegions[0]", regions[0], "an object")
        return cells_of(board, regions[0].get("spaces"), "disconnectedRegions[0].spaces")
    region = list_of(fields, "region")
    return None if region is None else cells_of(board, region, "region")


def _word(fields: Object, table: dict[str, int], *spellings: str) -> int | None:
    word = text_of(fields, *spellings)
    if word is not None and word not in table:
        raise refuse(spellings[0], word, ", ".join(table))
    return None if word is None else table[word]


def _option(fields: Object) -> int | None:
    option = whole_of(fields, "option", "recoveryOption", "recovery_option")
    if option is not None and option not in (1, 2):
        raise refuse("option", option, "1 or 2")
    return option


def _extraction(fields: Object, board: str) -> int | None:
    stacks = list_of(fields, "extractionStacks", "extraction_stacks")
    if not stacks:
        return None
    if len(stacks) > 1:
        raise refuse("extractionStacks", stacks, "one stack")
    return cell_of(board, stacks[0], "extractionStacks[0]")


def _eliminated(fields: Object) -> int | None:
    """Return the number of rings that a move is said to eliminate, of all colours."""
    entries = list_of(fields, "eliminatedRings", "eliminated_rings")
    if not entries:
        return None
    counts = [whole_of(e, "count") if isinstance(e, dict) else None for e in entries]
    if None in counts:
        raise refuse("eliminatedRings", entries, "objects with player and count")
    return sum(count for count in counts if count is not None)


# --- writing


def move_json(position: Position, packed: int) -> dict[str, Any]:
    """Return a legal move of a position with all fields that the rules read (rules.md 3)."""
    board, player = position.spec.board, position.current_player
    g = geometry(board)
    kind = packed & mv.KIND_MASK
    fields: dict[str, Any] = {"type": names.MOVE_NAMES[kind], "player": player}
    words = position.move_text(packed).split(" ")

    def at(key: str) -> dict[str, int]:
        return position_json(board, g.index[key])

    def listed(keys: str) -> list[dict[str, int]]:
        return [at(key) for key in keys.split("|")]

    match words:
        case ["P", to, count]:
            fields |= {"to": at(to), "placementCount": int(count)}
        case ["M", origin, to]:
            fields |= {"from": at(origin), "to": at(to)}
        case ["C" | "K", origin, target, to]:
            fields |= {"from": at(origin), "captureTarget": at(target), "to": at(to)}
        case ["E" | "F", *_, to]:
            removed, height = _eliminates(position, packed)
            rings = {"player": player, "count": removed}
            stack = {"position": at(to), "capHeight": _cap(position, to), "totalHeight": height}
            fields |= {"to": at(to), "eliminatedRings": [rings], "eliminationFromStack": stack}
            if kind == mv.PAY:
                fields["eliminationContext"] = words[1]
        case ["T", cells]:
            spaces = listed(cells)
            fields |= {"to": spaces[0], "disconnectedRegions": [{"spaces": spaces}]}
        case ["L" | "O", cells, *chosen]:
            fields |= _line_json(position, packed, listed(cells))
            if chosen:
                fields["collapsedMarkers"] = listed(cells if chosen == ["*"] else chosen[0])
        case ["R", *_]:
            fields |= _recovery_json(position, words)
    return fields


def _recovery_json(position: Position, words: list[str]) -> dict[str, Any]:
    board = position.spec.board
    index = geometry(board).index
    _, mode, origin, to, option, cells, extraction = words
    names_by_letter = dict(zip("LFS", names.RECOVERY_MODES, strict=True))
    fields: dict[str, Any] = {
        "from": position_json(board, index[origin]),
        "to": position_json(board, index[to]),
        "recoveryMode": names_by_letter[mode],
        "extractionStacks": [] if extraction == "-" else [extraction],
    }
    if option != "0":
        fields["option"] = int(option)
    if cells != "*":
        fields["collapsePositions"] = [position_json(board, index[k]) for k in cells.split("|")]
    return fields


def _line_json(position: Position, packed: int, cells: list[dict[str, int]]) -> dict[str, Any]:
    """Order a line from the backward to the forward end of its axis (rules.md 9.2)."""
    first = position_json(position.spec.board, packed >> mv.A_SHIFT & mv.CELL_MASK)
    positions = cells if cells[0] == first else cells[::-1]
    player = position.current_player
    return {
        "to": first,
        "formedLines": [{"positions": positions, "player": player, "length": len(positions)}],
    }
