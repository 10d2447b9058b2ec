"""Move text <-> packed integer (FORMAT: rules.md 3, compact texts; packed: `moves`).

Both name the same move one to one. Only a region's text needs the position, whose cells it lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from ringrift.rules import moves as mv
from ringrift.rules.errors import InvalidMove
from ringrift.rules.geometry import (
    HEX_AXES,
    SQUARE_AXES,
    SQUARE_RECOVERY_AXES,
    geometry,
)
from ringrift.rules.spec import BOARDS, BoardSpec

BARE = {
    mv.SKIP_PLACE: "SP",
    mv.NO_PLACE: "NP",
    mv.SWAP: "SW",
    mv.SKIP_CAPTURE: "SC",
    mv.NO_MOVE: "NM",
    mv.SKIP_RECOVER: "SR",
    mv.NO_LINE: "NL",
    mv.SKIP_REGION: "ST",
    mv.NO_REGION: "NT",
}
BARE_KINDS = {text: kind for kind, text in BARE.items()}
CONTEXTS = ("line", "territory", "recovery")
MODES = "LFS"

RegionCells = Callable[[int], Sequence[int]]
"""Lists the cells of a packed `T` move in its position, in scan order."""


class MoveCodec:
    """Texts of packed moves and back, for one specification."""

    def __init__(self, spec: BoardSpec) -> None:
        g = geometry(spec.board)
        self._keys = g.keys
        self._index = g.index
        self._line_length = spec.line_length
        self._coordinates = [c[:2] for c in g.coordinates]
        self._place = {c: i for i, c in enumerate(self._coordinates)}
        self._axes = HEX_AXES if g.hex else SQUARE_AXES
        self._recovery_axes = HEX_AXES if g.hex else SQUARE_RECOVERY_AXES

    def text(self, move: int, region: RegionCells) -> str:
        """Return the compact text of a packed move; `region` is asked for the cells of a `T`."""
        kind = move & mv.KIND_MASK
        bare = BARE.get(kind)
        if bare is not None:
            return bare
        keys = self._keys
        a = (move >> mv.A_SHIFT) & mv.CELL_MASK
        b = (move >> mv.B_SHIFT) & mv.CELL_MASK
        c = (move >> mv.C_SHIFT) & mv.CELL_MASK
        x = move >> mv.X_SHIFT
        if kind == mv.PLACE:
            return f"P {keys[a]} {x}"
        if kind == mv.MOVE:
            return f"M {keys[a]} {keys[b]}"
        if kind == mv.CAPTURES:
            return f"C {keys[a]} {keys[b]} {keys[c]}"
        if kind == mv.CONTINUE:
            return f"K {keys[a]} {keys[b]} {keys[c]}"
        if kind == mv.PAY:
            return f"E {CONTEXTS[x]} {keys[a]}"
        if kind == mv.FORCE:
            return f"F {keys[a]}"
        if kind == mv.REGION:
            return "T " + self._join(region(move))
        if kind == mv.RECOVER:
            return self._recovery_text(a, b, c, x)
        line = self._run(a, b, self._axes[x])
        if kind == mv.LINE:
            return "L " + self._join(line)
        if c == mv.NONE:
            return f"O {self._join(line)} *"
        window = self._window(c, self._axes[x])
        return f"O {self._join(line)} {self._join(window)}"

    def _recovery_text(self, a: int, b: int, c: int, x: int) -> str:
        mode, option = x & 3, (x >> 2) & 3
        head = f"R {MODES[mode]} {self._keys[a]} {self._keys[b]} {option}"
        if option == 2:
            return f"{head} {self._join(self._window(c, self._recovery_axes[x >> 4]))} -"
        return f"{head} * {self._keys[c]}"

    def _join(self, cells: Iterable[int]) -> str:
        return "|".join(self._keys[c] for c in sorted(cells))

    def _step(self, cell: int, axis: tuple[int, int], steps: int = 1) -> int | None:
        x, y = self._coordinates[cell]
        return self._place.get((x + axis[0] * steps, y + axis[1] * steps))

    def _run(self, first: int, last: int, axis: tuple[int, int]) -> list[int]:
        cells = [first]
        while cells[-1] != last:
            after = self._step(cells[-1], axis)
            if after is None:
                raise InvalidMove(f"packed line runs off the board from {self._keys[first]}")
            cells.append(after)
        return cells

    def _window(self, first: int, axis: tuple[int, int]) -> list[int]:
        cells = [self._step(first, axis, i) for i in range(self._line_length)]
        if None in cells:
            raise InvalidMove(f"packed window runs off the board from {self._keys[first]}")
        return [c for c in cells if c is not None]

    def pack(self, text: str, regions: Iterable[int], region: RegionCells) -> int:
        """Return the packed form of a compact text.

        `regions` are the packed `T` moves of the position, among which a `T` text is looked up.
        Raises `InvalidMove` for a text that names no move of this board.
        """
        words = text.split(" ")
        kind = BARE_KINDS.get(words[0])
        if kind is not None and len(words) == 1:
            return kind
        try:
            return self._pack_words(words, regions, region)
        except (KeyError, ValueError, IndexError):
            raise InvalidMove(
                f"malformed move {text!r:.80}", hint="a compact text such as 'M 0,5 0,1' or 'NL'"
            ) from None

    def _pack_words(self, words: list[str], regions: Iterable[int], region: RegionCells) -> int:
        index = self._index
        match words:
            case ["P", to, ("1" | "2" | "3") as count]:
                return mv.pack(mv.PLACE, index[to], 0, 0, int(count))
            case ["M", a, to]:
                return mv.pack(mv.MOVE, index[a], index[to], 0, 0)
            case ["C", a, target, to]:
                return mv.pack(mv.CAPTURES, index[a], index[target], index[to], 0)
            case ["K", a, target, to]:
                return mv.pack(mv.CONTINUE, index[a], index[target], index[to], 0)
            case ["E", context, a]:
                return mv.pack(mv.PAY, index[a], 0, 0, CONTEXTS.index(context))
            case ["F", a]:
                return mv.pack(mv.FORCE, index[a], 0, 0, 0)
            case ["R", mode, a, to, option, cells, extraction]:
                return self._pack_recovery(mode, index[a], index[to], option, cells, extraction)
            case ["L", cells]:
                first, last, axis = self._ends(cells, self._axes)
                return mv.pack(mv.LINE, first, last, 0, axis)
            case ["O", cells, chosen]:
                first, last, axis = self._ends(cells, self._axes)
                window = mv.NONE
                if chosen != "*":
                    window, _, window_axis = self._ends(chosen, self._axes)
                    if window_axis != axis or chosen.count("|") + 1 != self._line_length:
                        raise ValueError
                return mv.pack(mv.OPTION, first, last, window, axis)
            case ["T", cells]:
                wanted = self._cells(cells)
                for packed in regions:
                    if list(region(packed)) == wanted:
                        return packed
                raise InvalidMove(f"no region of the position has the cells {cells:.80}")
        raise ValueError

    def _pack_recovery(
        self, mode: str, a: int, to: int, option: str, cells: str, extraction: str
    ) -> int:
        if (mode, option) == ("L", "2") and extraction == "-":
            first, _, axis = self._ends(cells, self._recovery_axes)
            if cells.count("|") + 1 != self._line_length:
                raise ValueError
            return mv.pack(mv.RECOVER, a, to, first, mv.recovery_x(mv.BY_LINE, 2, axis))
        if f"{mode}{option}{cells}" not in ("L1*", "F0*", "S0*") or len(mode) != 1:
            raise ValueError
        x = mv.recovery_x(MODES.index(mode), int(option), 0)
        return mv.pack(mv.RECOVER, a, to, self._index[extraction], x)

    def _cells(self, text: str) -> list[int]:
        """Read a list of cells in key order, each named once."""
        cells = [self._index[key] for key in text.split("|")]
        if sorted(set(cells)) != cells:
            raise ValueError
        return cells

    def _ends(self, text: str, axes: Sequence[tuple[int, int]]) -> tuple[int, int, int]:
        """Return first cell, last cell and axis index of a run of two cells or more."""
        cells = self._cells(text)
        members = set(cells)
        for i, axis in enumerate(axes):
            back = (-axis[0], -axis[1])
            firsts = [c for c in cells if self._step(c, back) not in members]
            if len(firsts) != 1 or len(cells) < 2:
                continue
            run = [firsts[0]]
            while len(run) < len(cells):
                after = self._step(run[-1], axis)
                if after is None or after not in members:
                    break
                run.append(after)
            if len(run) == len(cells):
                return run[0], run[-1], i
        raise ValueError


@lru_cache(maxsize=64)
def codec(spec: BoardSpec) -> MoveCodec:
    """Return the codec of a specification."""
    return MoveCodec(spec)


def _layout_hash() -> str:
    """Hash what packed moves mean: field shifts, kinds and their texts, cell numbering, axes."""
    table = {
        "shifts": [mv.A_SHIFT, mv.B_SHIFT, mv.C_SHIFT, mv.X_SHIFT, mv.NONE],
        "kinds": {
            name: value
            for name, value in vars(mv).items()
            if name.isupper() and isinstance(value, int)
        },
        "bare": {str(k): v for k, v in BARE.items()},
        "contexts": CONTEXTS,
        "modes": MODES,
        "axes": [SQUARE_AXES, SQUARE_RECOVERY_AXES, HEX_AXES],
        "cells": {board: geometry(board).keys for board in BOARDS},
    }
    text = json.dumps(table, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


layout_hash: str = _layout_hash()
"""64 hex digits that name the meaning of packed moves; records, datasets and models carry it."""
