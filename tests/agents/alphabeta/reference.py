"""Minimax, paranoid, best-reply and max-n play in plain Python: no window, no table, no order.

Written from `agents.md` 5 over `Position`; only the evaluation of leaves is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor

import numpy as np

from ringrift.agents.alphabeta import ordering
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules import moves as mv
from ringrift.rules.geometry import board_tables, geometry

Vector = tuple[int, ...]
LeafValues = Callable[[Position], tuple[float, ...]]

MOST_CAPTURES = 8
WIN, PER_CHOICE, LARGEST_ESTIMATE = 100_000_000, 10_000, 98_719_999


def level(position: Position) -> tuple[float, ...]:
    """Call every position level."""
    return (0.0,) * position.spec.players


def estimated(value: float) -> int:
    return floor(value * LARGEST_ESTIMATE + 0.5)


def finished(position: Position, choices: int) -> Vector:
    result = position.result
    assert result is not None
    ranks = result.ranking
    values = [sum((r > own) - (r < own) for r in ranks) / (len(ranks) - 1) for own in ranks]
    won = WIN - PER_CHOICE * choices
    return tuple(won if v == 1 else -won if v == -1 else estimated(v) for v in values)


def cap(rings: str) -> int:
    return len(rings) - len(rings.rstrip(rings[-1]))


def won_by(position: Position, move: int) -> int:
    """What a capture takes from: the cap of another's stack, less a ring for a landing marker."""
    keys = geometry(position.spec.board).keys
    source, target, landing = (
        keys[move >> shift & mv.CELL_MASK] for shift in (mv.A_SHIFT, mv.B_SHIFT, mv.C_SHIFT)
    )
    stacks = position.stacks
    won = cap(stacks[target]) if stacks[target][-1] != stacks[source][-1] else 0
    return won - (landing in position.markers)


class Reference:
    """Search `spec` for one seat `ref`, as `mode` (paranoid, brs or maxn) has the others play."""

    def __init__(
        self,
        spec: BoardSpec,
        mode: str,
        ref: int,
        leaf: LeafValues = level,
        q: int = 8,
    ) -> None:
        self.spec = spec
        self.mode = mode
        self.ref = ref
        self.leaf = leaf
        self.q = q

    def better(self, mover: int, vector: Vector) -> tuple[int, ...]:
        """What the mover wants most of."""
        if self.mode != "maxn":
            own = vector[self.ref - 1]
            return (own if mover == self.ref else -own,)
        n = len(vector)
        others = [vector[(mover - 1 + i) % n] for i in range(1, n)]
        return (vector[mover - 1], -max(others), *(-v for v in others))

    def first_ordered(self, position: Position) -> int:
        """The move that the position alone puts first, where nothing orders quiet moves."""
        moves = position.legal_packed().copy()
        order = np.zeros(len(moves), np.int64)
        boards = board_tables(self.spec)
        ordering.place_urgently(position._states[0], boards[0], moves, order, len(moves))
        return int(moves[order.argmax()])

    def moves(self, position: Position, depth: int) -> dict[int, Vector]:
        """The scores of every move of the root."""
        found = {}
        for move in position.legal_packed().tolist():
            child = position.copy()
            child._play_legal(move)
            found[move] = self.search(child, 1, depth - 1, self.q, 0)
        return found

    def search(self, position: Position, choices: int, depth: int, q: int, free: int) -> Vector:
        forced = 0
        while True:
            if position.is_over:
                return finished(position, choices)
            quiet = position.phase in ("ring_placement", "movement")
            legal = position.legal_packed().tolist()
            mover = position.current_player
            if depth == 0 and quiet:
                break
            restricted = free and depth and mover not in (self.ref, free)
            if forced >= 32 or (len(legal) > 1 and not restricted):
                break
            position._play_legal(legal[0] if len(legal) == 1 else self.first_ordered(position))
            forced += 1
        if self.mode == "brs" and depth:
            if mover == self.ref:
                free = 0
            elif not free:
                found = [
                    self.search(position.copy(), choices, depth, q, o)
                    for o in range(1, self.spec.players + 1)
                    if o != self.ref and not self.is_out(position, o)
                ]
                return min(found, key=lambda v: v[self.ref - 1])
        options = []
        if depth == 0 and (quiet or q == 0):
            options.append(tuple(estimated(v) for v in self.leaf(position)))
            if q == 0 or position.phase == "ring_placement":
                return options[0]
            captures = [m for m in legal if m & mv.KIND_MASK == mv.CAPTURES]
            legal = [m for m in captures if won_by(position, m) > 0]
            if len(legal) > MOST_CAPTURES:
                raise TooLarge  # which of equals are kept is not the reference's business
        for move in legal:
            child = position.copy()
            child._play_legal(move)
            below = (depth - 1, q) if depth else (0, q - 1)
            options.append(self.search(child, choices + 1, *below, free))
        return max(options, key=lambda v: self.better(mover, v))

    def is_out(self, position: Position, seat: int) -> bool:
        state = position._states[0]
        return not state["hand"][seat] and not state["rings"][seat]


class TooLarge(Exception):
    """A tree that is not worth searching to its end."""


def height(position: Position, choices: int, budget: list[int]) -> int:
    """Return the most choices on any way to the end; `TooLarge` if over `choices` or `budget`."""
    budget[0] -= 1
    if budget[0] < 0:
        raise TooLarge
    if position.is_over:
        return 0
    legal = position.legal_packed().tolist()
    cost = int(len(legal) > 1)
    if cost > choices:
        raise TooLarge
    most = 0
    for move in legal:
        child = position.copy()
        child._play_legal(move)
        most = max(most, height(child, choices - cost, budget))
    return most + cost


def seat_to_move(position: Position) -> int:
    return int(position._states[0]["misc"][lay.CUR])
