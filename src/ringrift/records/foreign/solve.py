"""Find the one sequence of legal moves that a foreign record tells (selfplay.md 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ringrift.records.foreign.conflicts import Influence
from ringrift.records.foreign.moves import BOOKKEEPING, PartialMove
from ringrift.records.foreign.names import MOVE_NAMES
from ringrift.records.record import VerificationError
from ringrift.records.replayer import some_legal
from ringrift.rules import Position
from ringrift.rules import moves as mv
from ringrift.rules.geometry import geometry

MOST_NODES = 10_000
"""Choices tried at plies with several candidates before a game is given up as ambiguous."""

MOST_PLACED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """What is wrong with a position, and the cells whose stacks show it; none where others do."""

    error: VerificationError
    cells: tuple[int, ...] = ()


PlyCheck = Callable[[int, Position], Contradiction | None]
"""Says what contradicts the record in the position after so many recorded moves, None if nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the final score says: no credit may exceed it, and hands must come out at it.

    `hands` are known after so many recorded moves.
    """

    hands: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    elim: tuple[int, ...] | None = None
    terr: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The moves of a game, packed; the number of plies inserted, and of choices tried.

    `places[i]` is the ply at which recorded move i stands.
    """

    moves: tuple[int, ...]
    places: tuple[int, ...]
    inserted: int
    nodes: int


@dataclass(slots=True)
class _Line:
    """A line of play: the position after `at` recorded moves, and how it came about."""

    position: Position
    influence: Influence
    at: int
    played: list[int]
    places: list[int]

    def copy(self) -> _Line:
        return _Line(
            self.position.copy(),
            self.influence.copy(),
            self.at,
            self.played.copy(),
            self.places.copy(),
        )

    def play(self, packed: int, bit: int = 0) -> None:
        """Play a move that is legal; `bit` names the choice that it was."""
        self.influence.played(packed, self.position.current_player, bit)
        self.position.play(packed)
        self.played.append(packed)

    def take(self, packed: int, bit: int = 0) -> None:
        """Play the next recorded move."""
        self.places.append(len(self.played))
        self.play(packed, bit)
        self.at += 1


@dataclass(slots=True)
class _Branch:
    """A choice: the line up to it, the moves not tried yet, what their failures are blamed on."""

    line: _Line
    key: tuple[int, int]
    left: list[int]
    blame: int
    solved: bool = False


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where a line of forced moves ended: at a choice, at a contradiction, or at its goal."""

    fitting: tuple[int, ...] = ()
    error: VerificationError | None = None
    blame: int = 0


def candidates(position: Position, move: PartialMove) -> list[int]:
    """Return the legal moves of a position that agree with all recorded fields of a move."""
    if move.player is not None and move.player != position.current_player:
        return []
    legal = position.legal_packed()
    kinds = legal & mv.KIND_MASK
    near = kinds == move.kind
    if move.kind == mv.OPTION:
        near |= kinds == mv.LINE
    if move.kind in (mv.PLACE, mv.PAY, mv.FORCE) and move.to is not None:
        near &= (legal >> mv.A_SHIFT & mv.CELL_MASK) == move.to
    if move.origin is not None:
        near &= (legal >> mv.A_SHIFT & mv.CELL_MASK) == move.origin
    return [m for m in legal[near].tolist() if move.fits(m, position)]


class Solver:
    """Searches depth first, and goes back to the last choice that can be to blame.

    One instance per game and start position. `legacy` inserts a bookkeeping ply where it is the
    only legal move and the record has another.
    """

    def __init__(
        self,
        start: Position,
        moves: Sequence[PartialMove],
        *,
        check: PlyCheck,
        bounds: Bounds,
        legacy: bool = False,
        finish: bool = False,
    ) -> None:
        self._start = start
        self._moves = moves
        self._check = check
        self._bounds = bounds
        self._legacy = legacy
        self._finish = finish and legacy
        self._least, self._most = _placements(moves, start.spec.players, bounds.hands)
        self._goals: list[tuple[int, ...] | None] = [bounds.hands.get(len(moves))]
        for at in range(len(moves) - 1, -1, -1):
            self._goals.append(bounds.hands.get(at, self._goals[-1]))
        self._goals.reverse()
        self._nodes = 0
        self._branches: list[_Branch] = []
        self._closed: dict[tuple[int, int], bool] = {}
        self._found: Solution | None = None
        self._deepest: tuple[int, VerificationError] | None = None

    def solve(self) -> Solution:
        """Return the one solution.

        Raises `VerificationError`: `ambiguous_move` where several fit to the end or too many
        choices were tried, otherwise what the deepest line of play ran into.
        """
        line: _Line | None = _Line(self._start.copy(), Influence(self._start.spec.cells), 0, [], [])
        while line is not None:
            stop = self._run(line)
            if stop.error is not None:
                self._note(line.at, stop.error)
                line = self._back(stop.blame)
            elif stop.fitting:
                line = self._choose(line, stop.fitting)
            else:
                self._keep(line)
                line = self._back(self._everything)
        if self._found is None:
            assert self._deepest is not None
            raise self._deepest[1]
        return self._found

    @property
    def _everything(self) -> int:
        return (1 << len(self._branches)) - 1

    def _run(self, line: _Line) -> _Stop:
        """Play what is the only choice."""
        while True:
            if line.at == len(self._moves):
                if self._finish:
                    _bridge(line, until=None)
                wrong = self._check(line.at, line.position)
                return _Stop() if wrong is None else self._contradicted(line, wrong)
            stop = self._arrive(line)
            if stop is None:
                stop = self._fitting(line)
            if len(stop.fitting) != 1:
                return stop
            if not self._moves[line.at].whole:
                mover = line.position.current_player
                line.influence.forced(stop.fitting[0], mover, self._everything)
            line.take(stop.fitting[0])

    def _arrive(self, line: _Line) -> _Stop | None:
        """Check the position before a move; in legacy mode plies may be missing before it."""
        beyond = self._beyond(line)
        if beyond is not None:
            return beyond
        wrong = self._check(line.at, line.position)
        if wrong is not None and self._legacy:
            at, ahead = line.at, line.copy()
            if _bridge(ahead, until=lambda position: self._check(at, position) is None):
                line.position, line.influence = ahead.position, ahead.influence
                line.played = ahead.played
                wrong = None
        return None if wrong is None else self._contradicted(line, wrong)

    def _contradicted(self, line: _Line, wrong: Contradiction) -> _Stop:
        """Blame what can be; of several stacks the one that leads back furthest."""
        blame = self._everything
        if wrong.cells:
            touched = (line.influence.cells[cell] for cell in wrong.cells)
            blame = min(touched, key=int.bit_length) | line.influence.always
        return _Stop(error=wrong.error, blame=blame)

    def _fitting(self, line: _Line) -> _Stop:
        """Return the moves that fit, after inserting what legacy mode allows."""
        move, position = self._moves[line.at], line.position
        while not position.is_over:
            fitting = candidates(position, move)
            if fitting:
                return _Stop(fitting=tuple(fitting))
            only = _only_bookkeeping(position)
            if only is None:
                break
            if not self._legacy:
                detail = (
                    f"the record has no {position.move_text(only)} here, the only legal move "
                    f"in {position.phase} for player {position.current_player}; mode legacy "
                    "inserts it"
                )
                return self._missing(line, "non_canonical", detail)
            line.play(only)
        if position.is_over:
            detail = f"{len(self._moves) - line.at} recorded moves follow the end of the game"
        else:
            detail = (
                f"no legal move fits {said(move, position)} in {position.phase} for player "
                f"{position.current_player}; expected {some_legal(position)}"
            )
        return self._missing(line, "illegal_move", detail)

    def _missing(self, line: _Line, reason: str, detail: str) -> _Stop:
        move = self._moves[line.at]
        blame = line.influence.of_missing(move, line.position, self._everything)
        return _Stop(error=VerificationError(reason, detail, ply=line.at), blame=blame)

    def _beyond(self, line: _Line) -> _Stop | None:
        """Tell whether the final score, or the hands known before, can no longer come out."""
        bounds, position, at = self._bounds, line.position, line.at
        for name, most, found in (
            ("eliminated rings", bounds.elim, position.eliminated),
            ("territory", bounds.terr, position.territory),
        ):
            if most is not None and any(map(int.__gt__, found, most)):
                detail = f"{name} {found} exceed the final {most}"
                error = VerificationError("result", detail, ply=max(at - 1, 0))
                return _Stop(error=error, blame=self._everything)
        goal = self._goals[at]
        for i, (now, last) in enumerate(zip(position.hands, goal or (), strict=False)):
            if not self._least[at, i] <= now - last <= self._most[at, i]:
                detail = f"player {i + 1} cannot come from {now} to {last} rings in hand"
                reason = "result" if goal == self._goals[-1] else "hash"
                error = VerificationError(reason, detail, ply=max(at - 1, 0))
                return _Stop(error=error, blame=line.influence.of_hand(i + 1))
        return None

    # --- choices

    def _choose(self, line: _Line, fitting: tuple[int, ...]) -> _Line | None:
        """Note a choice and take its first move; None where nothing is left to try."""
        key = (line.at, line.position.hash64)
        if key in self._closed:
            if self._closed[key]:
                raise self._ambiguous("several sequences lead to one position")
            return self._back(self._everything)
        whole = self._moves[line.at].kind == mv.PLACE and len(fitting) == MOST_PLACED
        blame = 0 if whole else self._everything  # counts that do not fit may be to blame too
        self._branches.append(_Branch(line, key, sorted(fitting), blame))
        return self._next()

    def _next(self) -> _Line:
        branch = self._branches[-1]
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise self._ambiguous(f"more than {MOST_NODES} choices tried")
        line = branch.line.copy()
        line.take(branch.left.pop(), 1 << len(self._branches) - 1)
        return line

    def _back(self, blame: int) -> _Line | None:
        """Return the next line to try, given the choices that the last one failed for."""
        while self._branches:
            branch = self._branches[-1]
            bit = 1 << len(self._branches) - 1
            if not blame & bit and not branch.solved:
                self._branches.pop()  # whatever it had chosen, the same would have happened
                continue
            branch.blame |= blame & ~bit
            if branch.left:
                return self._next()
            self._branches.pop()
            self._closed[branch.key] = branch.solved
            blame = self._everything if branch.solved else branch.blame
        return None

    def _keep(self, line: _Line) -> None:
        if self._found is not None:
            raise self._ambiguous("several sequences fit to the end")
        self._found = Solution(
            moves=tuple(line.played),
            places=tuple(line.places),
            inserted=len(line.played) - len(self._moves),
            nodes=self._nodes,
        )
        for branch in self._branches:
            branch.solved = True

    def _note(self, at: int, error: VerificationError) -> None:
        if self._deepest is None or at >= self._deepest[0]:
            self._deepest = (at, error)

    def _ambiguous(self, why: str) -> VerificationError:
        first = self._branches[0].line.at if self._branches else 0
        return VerificationError("ambiguous_move", why, ply=first)


def said(move: PartialMove, position: Position) -> str:
    """Return what is recorded of a move, for messages."""
    keys = geometry(position.spec.board).keys
    words = [MOVE_NAMES[move.kind]]
    if move.player is not None:
        words.append(f"of player {move.player}")
    for word, cell in (("from", move.origin), ("over", move.target), ("to", move.to)):
        if cell is not None:
            words.append(f"{word} {keys[cell]}")
    return " ".join(words)


def _placements(
    moves: Sequence[PartialMove], players: int, hands: Mapping[int, tuple[int, ...]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the least and most rings that each seat places from each move on, int64[n + 1, p].

    They count up to where the hands are known next.
    """
    least = np.zeros((len(moves) + 1, players), np.int64)
    most = np.zeros((len(moves) + 1, players), np.int64)
    for i in range(len(moves) - 1, -1, -1):
        if i in hands:
            continue
        least[i], most[i] = least[i + 1], most[i + 1]
        move = moves[i]
        if move.kind == mv.PLACE:
            seats = range(players) if move.player is None else [move.player - 1]
            for seat in seats:
                if 0 <= seat < players:
                    least[i, seat] += (move.count or 1) if move.player is not None else 0
                    most[i, seat] += move.count or 3
    return least, most


def _only_bookkeeping(position: Position) -> int | None:
    """Return the one legal move if it changes nothing on the board."""
    if position.is_over:
        return None
    legal = position.legal_packed()
    if len(legal) == 1 and int(legal[0]) & mv.KIND_MASK in BOOKKEEPING:
        return int(legal[0])
    return None


def _bridge(line: _Line, *, until: Callable[[Position], bool] | None) -> bool:
    """Play lone bookkeeping moves; tell whether `until`, or the end of them, was reached."""
    while (only := _only_bookkeeping(line.position)) is not None:
        line.play(only)
        if until is not None and until(line.position):
            return True
    return until is None
