"""`Position` and `Move`: the public face of the rules."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ringrift.rules import engine, packing, trace
from ringrift.rules import layout as lay
from ringrift.rules import moves as mv
from ringrift.rules.canonical import canonical_text, lps_text, read_position, rings_of
from ringrift.rules.codec import codec
from ringrift.rules.draw import Drawing, svg, text
from ringrift.rules.errors import IllegalMove, InvalidPosition
from ringrift.rules.geometry import board_tables, geometry
from ringrift.rules.ranking import ranks
from ringrift.rules.spec import BoardSpec

StateArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Move:
    """A move of one position: `packed` (see `moves`) and its compact `text` (rules.md 3)."""

    packed: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a game ended: winner seat, reason (rules.md 15, 16), rank of each seat (rules.md 17)."""

    winner: int
    reason: str
    ranking: tuple[int, ...]


class Workspace(threading.local):
    """Scratch space and move buffer of one thread."""

    def __init__(self) -> None:
        self.scratch = lay.view(lay.zeros(1, lay.SCRATCH))
        self._buffer = np.zeros(0, np.int64)

    def buffer(self, size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return an int64 buffer of at least `size` entries, reused between calls."""
        if len(self._buffer) < size:
            self._buffer = np.zeros(size, np.int64)
        return self._buffer


WORKSPACE = Workspace()


@lru_cache(maxsize=64)
def board_view(spec: BoardSpec) -> Any:
    """Return the board tables in the form rules take."""
    return lay.view(board_tables(spec))


class Position:
    """A position of the game, changed in place by `play`.

    Make one with `start` or `parse`. Equal positions compare equal by `fingerprint`, not by `==`.
    """

    __slots__ = ("_last", "_legal", "_states", "_view", "last_border", "spec")

    def __init__(self, spec: BoardSpec, states: StateArray) -> None:
        self.spec = spec
        self._states = states
        self._view = lay.view(states)
        self._legal: np.ndarray[Any, np.dtype[np.int64]] | None = None
        self._last: tuple[str, ...] = ()
        self.last_border: str | None = None

    @classmethod
    def start(cls, board: str, players: int = 2, **options: Any) -> Position:
        """Return the start position; options as in `BoardSpec.create`."""
        return cls.of(BoardSpec.create(board, players, **options))

    @classmethod
    def of(cls, spec: BoardSpec) -> Position:
        """Return the start position of a specification."""
        states = lay.zeros(1, lay.STATE)
        position = cls(spec, states)
        engine.start(position._view, 0, board_view(spec))
        return position

    @classmethod
    def parse(
        cls,
        text: str,
        board: str | None = None,
        players: int = 2,
        *,
        spec: BoardSpec | None = None,
        **options: Any,
    ) -> Position:
        """Read a canonical text (FORMAT.md 3); last-player-standing counters start empty.

        Raises `InvalidPosition` naming the field, `InvalidOption` for a bad specification.
        """
        if spec is None:
            spec = BoardSpec.create(board or "square8", players, **options)
        return cls(spec, read_position(text, spec))

    @classmethod
    def unpack(cls, spec: BoardSpec, data: bytes) -> Position:
        """Read what `packed` returned; raises `InvalidPosition` for any other bytes."""
        boards = board_view(spec)
        size = int(packing.size_of(boards))
        if len(data) != size:
            raise InvalidPosition(f"packed position of {len(data)} bytes; expected {size}")
        states = lay.zeros(1, lay.STATE)
        row = np.frombuffer(data, np.uint8)
        fault = int(packing.unpack_one(row, lay.view(states), 0, boards))
        if fault != packing.FINE:
            raise InvalidPosition(
                f"packed position of {spec.config} with impossible content",
                where=f"field {packing.FAULTS[fault]}",
            )
        return cls(spec, states)

    def packed(self) -> bytes:
        """Return the whole position as bytes, as many for each one of a specification (`packing`).

        Raises `InvalidPosition` for more rings than the specification hands out.
        """
        boards = board_view(self.spec)
        row = np.zeros(int(packing.size_of(boards)), np.uint8)
        if not packing.pack_one(self._view, 0, boards, row):
            raise InvalidPosition(
                f"more rings than the {self.spec.rings_per_player} of each player", where="field S"
            )
        return row.tobytes()

    def record(self) -> Any:
        """Return a copy of the compiled record, one element of `layout.STATE`."""
        return self._states[0].copy()

    def copy(self) -> Position:
        """Return an independent copy."""
        other = Position(self.spec, self._states.copy())
        other._last = self._last
        other.last_border = self.last_border
        return other

    # --- moves

    def region_of(self, move: int) -> list[int]:
        """List the cells that a packed `T` move collapses without its border; else none."""
        cells = np.zeros(self.spec.cells, np.int16)
        n = engine.region_cells(
            self._view, 0, board_view(self.spec), WORKSPACE.scratch, move, cells
        )
        return [int(c) for c in cells[:n]]

    def border_of(self, move: int) -> list[int]:
        """List the border markers of a packed `T` move (rules.md 10.4); else none."""
        cells = np.zeros(self.spec.cells, np.int16)
        n = engine.border_cells(
            self._view, 0, board_view(self.spec), WORKSPACE.scratch, move, cells
        )
        return [int(c) for c in cells[:n]]

    def legal_packed(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the complete legal set as packed moves, `int64[n]`, in generation order."""
        if self._legal is None:
            out = WORKSPACE.buffer(self.spec.max_moves)
            n = engine.legal_moves(self._view, 0, board_view(self.spec), WORKSPACE.scratch, out)
            self._legal = out[:n].copy()
            self._legal.flags.writeable = False
        return self._legal

    def move_text(self, packed: int) -> str:
        """Return the compact text of a packed move of this position."""
        return codec(self.spec).text(packed, self.region_of)

    def legal_moves(self) -> list[Move]:
        """Return the complete legal set (rules.md 5)."""
        text = codec(self.spec).text
        return [Move(m, text(m, self.region_of)) for m in self.legal_packed().tolist()]

    def pack(self, text: str) -> int:
        """Return the packed form of a move text; raises `InvalidMove` if it is malformed."""
        regions = ()
        if text.startswith("T "):
            regions = tuple(
                m for m in self.legal_packed().tolist() if m & mv.KIND_MASK == mv.REGION
            )
        return codec(self.spec).pack(text, regions, self.region_of)

    def play(self, move: Move | str | int) -> None:
        """Play a move, given as `Move`, text or packed integer; raises `IllegalMove`."""
        if isinstance(move, str):
            packed = self.pack(move)
        else:
            packed = move.packed if isinstance(move, Move) else int(move)
        if packed not in self.legal_packed():
            raise self._illegal(str(move))
        self._play_legal(packed)

    def _illegal(self, move: str) -> IllegalMove:
        legal = [m.text for m in self.legal_moves()]
        shown = "; ".join(legal[:8]) + (f" ... {len(legal)} in all" if len(legal) > 8 else "")
        return IllegalMove(
            f"{move!r:.80} is not legal in {self.phase} for player {self.current_player}",
            hint=shown or "nothing: the position has no legal move",
        )

    def _play_legal(self, packed: int) -> None:
        boards = board_view(self.spec)
        before = self.copy() if trace.ENABLED else None
        self.last_border = None
        self._last = self._touched(packed)
        if packed & mv.KIND_MASK == mv.REGION:
            keys, codes = geometry(self.spec.board).keys, self._states[0]["cell"]
            self.last_border = " ".join(f"{keys[c]}:{codes[c]}" for c in self.border_of(packed))
        engine.play(self._view, 0, boards, WORKSPACE.scratch, packed)
        self._legal = None
        if before is not None:
            trace.applied(before, packed, self)

    def _touched(self, packed: int) -> tuple[str, ...]:
        keys = geometry(self.spec.board).keys
        kind = packed & mv.KIND_MASK
        a, b = packed >> mv.A_SHIFT & mv.CELL_MASK, packed >> mv.B_SHIFT & mv.CELL_MASK
        if kind in (mv.PLACE, mv.PAY, mv.FORCE):
            return (keys[a],)
        if kind in (mv.MOVE, mv.RECOVER, mv.LINE, mv.OPTION):
            return (keys[a], keys[b])
        if kind in (mv.CAPTURES, mv.CONTINUE):
            return (keys[a], keys[b], keys[packed >> mv.C_SHIFT & mv.CELL_MASK])
        return self._last

    def after(self, move: Move | str | int) -> Position:
        """Return a copy with the move played; raises `IllegalMove`."""
        other = self.copy()
        other.play(move)
        return other

    # --- what the position says

    @property
    def _misc(self) -> Any:
        return self._states[0]["misc"]

    @property
    def phase(self) -> str:
        """Name of the phase (rules.md 2.3)."""
        return lay.PHASE_NAMES[self._misc[lay.PHASE]]

    @property
    def current_player(self) -> int:
        """Seat to move, 0 in a finished game."""
        return 0 if self.is_over else int(self._misc[lay.CUR])

    @property
    def is_over(self) -> bool:
        """True once the game has ended."""
        return bool(self._misc[lay.PHASE] == lay.OVER)

    @property
    def winner(self) -> int:
        """Winning seat, 0 while there is none."""
        return int(self._misc[lay.WINNER])

    @property
    def ply(self) -> int:
        """Number of moves played since the start or the parsed position."""
        return int(self._misc[lay.PLY])

    @property
    def result(self) -> Result | None:
        """Winner, reason and ranking of a finished game, else None."""
        if not self.is_over:
            return None
        return Result(
            winner=self.winner,
            reason=lay.REASON_NAMES[self._misc[lay.REASON]],
            ranking=ranks(self._states[0], self.spec),
        )

    @property
    def lps(self) -> str:
        """Last-player-standing counters (FORMAT.md 5)."""
        return lps_text(self._states[0], self.spec)

    @property
    def lps_updated(self) -> bool:
        """True if the last move started a turn and so ran the counters' update."""
        return bool(self._misc[lay.LPS_UPDATED])

    def _seats(self, field: str) -> tuple[int, ...]:
        return tuple(self._states[0][field][1 : self.spec.players + 1].tolist())

    @property
    def hands(self) -> tuple[int, ...]:
        """Rings in hand per seat."""
        return self._seats("hand")

    @property
    def eliminated(self) -> tuple[int, ...]:
        """Credited rings per seat."""
        return self._seats("elim")

    @property
    def territory(self) -> tuple[int, ...]:
        """Credited collapsed cells per seat."""
        return self._seats("terr")

    def _cells(self, low: int, high: int, base: int) -> dict[str, int]:
        keys = geometry(self.spec.board).keys
        codes = self._states[0]["cell"][: len(keys)].tolist()
        return {k: c - base for k, c in zip(keys, codes, strict=True) if low <= c < high}

    @property
    def stacks(self) -> dict[str, str]:
        """Ring digits from bottom to top, by cell key."""
        s, index = self._states[0], geometry(self.spec.board).index
        return {k: rings_of(s, index[k]) for k in self._cells(lay.STACK1, lay.COLLAPSED1, 0)}

    @property
    def markers(self) -> dict[str, int]:
        """Owner of each marker, by cell key."""
        return self._cells(1, lay.STACK1, lay.MARKER)

    @property
    def collapsed(self) -> dict[str, int]:
        """Owner of each collapsed cell, by cell key."""
        return self._cells(lay.COLLAPSED1, lay.WALL, lay.COLLAPSED)

    # --- identity

    def __str__(self) -> str:
        return canonical_text(self._states[0], self.spec)

    def __repr__(self) -> str:
        return f"<Position {self.spec.config} ply {self.ply} {self.phase}>"

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical text."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:16]

    @property
    def hash64(self) -> int:
        """The engine's own hash, unsigned; equal hashes have equal legal sets."""
        return int(engine.hash64(self._view, 0, board_view(self.spec))) & 0xFFFFFFFFFFFFFFFF

    # --- drawings

    def _drawing(self, targets: bool) -> Drawing:
        over = self.is_over
        return Drawing(
            board=self.spec.board,
            stacks=self.stacks,
            markers=self.markers,
            collapsed=self.collapsed,
            last_move=self._last,
            targets=self._targets() if targets and not over else (),
            title=self.spec.config,
            hands=self.hands,
            eliminated=self.eliminated,
            territory=self.territory,
            phase=self.phase,
            current_player=self.current_player,
            winner=self.winner if over else None,
        )

    def _targets(self) -> tuple[str, ...]:
        """Keys of the cells where a legal move ends: landings, placements, payments."""
        keys = geometry(self.spec.board).keys
        found = set()
        for m in self.legal_packed().tolist():
            kind = m & mv.KIND_MASK
            if kind in (mv.PLACE, mv.PAY, mv.FORCE, mv.REGION):
                found.add(m >> mv.A_SHIFT & mv.CELL_MASK)
            elif kind in (mv.MOVE, mv.RECOVER):
                found.add(m >> mv.B_SHIFT & mv.CELL_MASK)
            elif kind in (mv.CAPTURES, mv.CONTINUE):
                found.add(m >> mv.C_SHIFT & mv.CELL_MASK)
        return tuple(keys[c] for c in sorted(found))

    def svg(self, *, targets: bool = True) -> str:
        """Draw the position as SVG: stacks, markers, territory, last move, legal targets."""
        return svg(self._drawing(targets))

    def text(self, *, color: bool = False) -> str:
        """Draw the position for a terminal."""
        return text(self._drawing(False), color=color)
