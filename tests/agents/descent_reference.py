"""Unbounded best-first search in plain Python, written from the papers, with one tree.

Cohen-Solal 2020 (arXiv:2008.01188) and 2021 on completion; value vectors in place of signs. Nothing
is shared with `ringrift.agents.descent_tree` but the evaluator and the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ringrift.agents.listing import legal_lists
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables


def settled(position: Position) -> Position:
    """Play on while there is one legal move."""
    while len(position.legal_packed()) == 1:
        position = position.after(int(position.legal_packed()[0]))
    return position


def result(position: Position) -> list[float]:
    ranking = position.result.ranking
    others = len(ranking) - 1
    return [sum((o > r) - (o < r) for o in ranking) / others for r in ranking]


@dataclass
class Node:
    position: Position
    depth: int
    value: list[float]
    proven: bool = False
    dead: bool = False  # nothing below can be expanded, nothing is proven
    cut: bool = False
    length: int = 0
    selected: int = 0
    moves: list[int] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    @property
    def seat(self) -> int:
        return self.position.current_player - 1

    @property
    def open(self) -> bool:
        return not (self.proven or self.dead)

    def merit(self, seat: int) -> tuple[int, float, int]:
        """What a node is worth to a seat: wins by quickness, estimates, last places by slowness."""
        v = self.value[seat]
        if self.proven and abs(v) == 1:
            return (int(v), 0.0, -self.length if v > 0 else self.length)
        return (0, v, 0)


class Search:
    def __init__(self, evaluator: Any, *, width: int = 0, max_depth: int = 500) -> None:
        self.evaluator, self.width, self.max_depth = evaluator, width, max_depth

    def child(self, position: Position, depth: int) -> Node:
        position = settled(position)
        if position.is_over:
            return Node(position, depth, result(position), proven=True)
        none = np.zeros(0, np.int64), np.zeros(2, np.int32)
        _, values = self.evaluator.evaluate(position._states, board_tables(position.spec), *none)
        return Node(position, depth, [float(v) for v in values[0]], dead=depth >= self.max_depth)

    def kept(self, node: Node) -> list[int]:
        legal, offsets = legal_lists(node.position.spec, node.position._states)
        moves = [int(m) for m in legal]
        if not 0 < self.width < len(moves) or node.depth == 0:
            return moves
        logits, _ = self.evaluator.evaluate(
            node.position._states, board_tables(node.position.spec), legal, offsets
        )
        best = sorted(range(len(moves)), key=lambda i: (-float(logits[i]), i))[: self.width]
        node.cut = True
        return [moves[i] for i in sorted(best)]

    def expand(self, node: Node) -> None:
        node.moves = self.kept(node)
        node.children = [self.child(node.position.after(m), node.depth + 1) for m in node.moves]

    @staticmethod
    def update(node: Node) -> None:
        best = node.children[0]
        for child in node.children[1:]:
            if child.merit(node.seat) > best.merit(node.seat):
                best = child
        node.value = best.value
        won = best.proven and best.value[node.seat] == 1
        node.proven = won or (not node.cut and all(c.proven for c in node.children))
        node.dead = not node.proven and not any(c.open for c in node.children)
        node.length = best.length + 1 if node.proven else 0

    def run(self, position: Position, sims: int) -> Node:
        root = Node(position, 0, [])
        for _ in range(sims):
            if not root.open:
                break
            path = [root]
            while path[-1].children:
                node = path[-1]
                among = [c for c in node.children if c.open]
                best = max(among, key=lambda c: (c.value[node.seat], -c.selected))
                best.selected += 1
                path.append(best)
            self.expand(path[-1])
            for node in reversed(path):
                self.update(node)
        return root


def answers(root: Node) -> set[int]:
    """Return the moves that the safe decision may choose."""
    seat = root.seat
    pairs = list(zip(root.moves, root.children, strict=True))
    best = max(c.merit(seat) for c in root.children)
    unproven = [c for c in root.children if not c.proven]
    if best[0] == 1 or not unproven:
        return {m for m, c in pairs if c.proven and c.merit(seat) == best}
    most = max((c.selected, c.value[seat]) for c in unproven)
    between = [c.value[seat] for c in root.children if c.proven and abs(c.value[seat]) < 1]
    if between and max(between) >= most[1]:
        return {m for m, c in pairs if c.proven and c.value[seat] == max(between)}
    return {m for m, c in pairs if not c.proven and (c.selected, c.value[seat]) == most}


def forced_win(position: Position, seat: int, choices: int) -> bool:
    """Tell whether `seat` wins within so many choices whatever the others do."""
    position = settled(position)
    if position.is_over:
        return position.winner == seat
    if choices == 0:
        return False
    after = (position.after(int(m)) for m in position.legal_packed())
    wins = (forced_win(p, seat, choices - 1) for p in after)
    return any(wins) if position.current_player == seat else all(wins)
