"""Which earlier choices can be to blame where a line of play contradicts its record.

Choices are bits. `cells[c]` are those that may have changed what stands on cell c: a placement's
count travels with its rings. Markers and collapsed cells follow from the recorded moves alone.
"""

from __future__ import annotations

from ringrift.records.foreign.moves import PartialMove
from ringrift.rules import Position
from ringrift.rules import moves as mv
from ringrift.rules.geometry import Geometry, geometry

_STEPS = (mv.MOVE, mv.CAPTURES, mv.CONTINUE)
_PHASES = {
    mv.MOVE: ("movement",),
    mv.CAPTURES: ("movement", "capture"),
    mv.CONTINUE: ("chain_capture",),
    mv.FORCE: ("forced_elimination",),
}
_AFTER_STEP = ("capture", "chain_capture", "line_processing")


class Influence:
    """What each choice has touched along one line of play; `always` are to blame for anything."""

    def __init__(self, cells: int) -> None:
        self.cells = [0] * cells
        self.always = 0
        self.hands: dict[int, int] = {}
        self.landed: int | None = None

    def copy(self) -> Influence:
        """Return an independent copy."""
        other = Influence(0)
        other.cells = self.cells.copy()
        other.always = self.always
        other.hands = self.hands.copy()
        other.landed = self.landed
        return other

    def played(self, packed: int, player: int, bit: int) -> None:
        """Follow a move, which was the choice `bit`, or 0 where nothing else fitted."""
        kind = packed & mv.KIND_MASK
        a = packed >> mv.A_SHIFT & mv.CELL_MASK
        b = packed >> mv.B_SHIFT & mv.CELL_MASK
        c = packed >> mv.C_SHIFT & mv.CELL_MASK
        self.landed = None
        if kind == mv.PLACE:
            self.cells[a] |= bit
            self.hands[player] = self.hands.get(player, 0) | bit
            return
        self.always |= bit
        if kind == mv.MOVE:
            self.cells[b] |= self.cells[a]
            self.cells[a] = 0
            self.landed = b
        elif kind in (mv.CAPTURES, mv.CONTINUE):
            self.cells[c] |= self.cells[a] | self.cells[b]
            self.cells[a] = 0
            self.landed = c

    def forced(self, packed: int, player: int, everything: int) -> None:
        """Blame all choices for a move that was not fully recorded and yet the only one to fit."""
        if packed & mv.KIND_MASK != mv.PLACE:
            self.always |= everything
            return
        self.cells[packed >> mv.A_SHIFT & mv.CELL_MASK] |= everything
        self.hands[player] = self.hands.get(player, 0) | everything

    def of_hand(self, seat: int) -> int:
        """Return what decides how many rings a seat has in hand."""
        return self.always | self.hands.get(seat, 0)

    def of_missing(self, move: PartialMove, position: Position, everything: int) -> int:
        """Return what may be to blame that a recorded move is not legal."""
        g = geometry(position.spec.board)
        if move.player not in (None, position.current_player):
            return everything
        if position.phase in _PHASES.get(move.kind, ()):
            named = [move.origin, move.target, move.to]
            if move.kind in _STEPS and None not in (move.origin, move.to):
                named += _between(g, move.origin or 0, move.to or 0)
            elif move.kind != mv.FORCE or move.to is None:
                return everything
            return self._of(named)
        if move.kind == mv.PAY and move.to is not None:
            kinds = position.legal_packed() & mv.KIND_MASK
            if bool((kinds == mv.PAY).any()):
                return self._of([move.to])
        if self.landed is not None and position.phase in _AFTER_STEP:
            return self._of([self.landed, *_rays(g, self.landed)])
        return everything

    def _of(self, cells: list[int | None]) -> int:
        mask = self.always
        for cell in cells:
            if cell is not None:
                mask |= self.cells[cell]
        return mask


def _between(g: Geometry, first: int, last: int) -> list[int | None]:
    """Return the cells strictly between two on one ray; none if there is no such ray."""
    (x, y), (u, v) = g.coordinates[first][:2], g.coordinates[last][:2]
    steps = max(abs(u - x), abs(v - y), abs(u + v - x - y) if g.hex else 0)
    if steps == 0 or (u - x) % steps or (v - y) % steps:
        return []
    dx, dy = (u - x) // steps, (v - y) // steps
    return [_at(g, x + dx * i, y + dy * i) for i in range(1, steps)]


def _rays(g: Geometry, cell: int) -> list[int | None]:
    """Return the cells that can be reached from a cell in a straight line."""
    x, y = g.coordinates[cell][:2]
    return [_at(g, x + dx * i, y + dy * i) for dx, dy in g.directions for i in range(1, g.size + 1)]


def _at(g: Geometry, x: int, y: int) -> int | None:
    key = f"{x},{y},{-x - y}" if g.hex else f"{x},{y}"
    return g.index.get(key)
