"""Gumbel MuZero search in plain Python, written from the paper and from mctx, with one tree.

Nothing is shared with `ringrift.agents.search` but the evaluator and the rules. Proven bounds are
worked out from the whole tree by their definition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ringrift.agents.listing import legal_lists
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables

from .table_trees import Group


@dataclass
class Node:
    place: Any
    seat: int  # from 0
    raw: list[float]
    moves: list[int] = field(default_factory=list)
    logits: list[float] = field(default_factory=list)
    children: dict[int, Node] = field(default_factory=dict)
    visits: int = 0
    total: list[float] = field(default_factory=list)
    known: list[tuple[float, float]] | None = None

    def counts(self) -> list[int]:
        return [
            self.children[a].visits if a in self.children else 0 for a in range(len(self.moves))
        ]

    def bounds(self) -> list[tuple[float, float]]:
        """What is proven of each seat's result."""
        if not self.moves:
            return [(v, v) for v in self.raw]
        if self.known is None:
            self.known = [self._bound(p) for p in range(len(self.raw))]
        return self.known

    def below(self, action: int, seat: int) -> tuple[float, float]:
        return self.children[action].bounds()[seat] if action in self.children else (-1.0, 1.0)

    def _bound(self, p: int) -> tuple[float, float]:
        every = range(len(self.moves))
        sure = max(self.below(a, self.seat)[0] for a in every)
        if p == self.seat:
            return sure, max(self.below(a, p)[1] for a in every)
        may = [
            self.below(a, p)
            for a in every
            if (
                self.below(a, self.seat)[0] == 1
                if sure == 1
                else self.below(a, self.seat)[1] >= sure
            )
        ]
        most = max(high for _, high in may)
        return min(low for low, _ in may), (
            min(most, 1 - 2 / (len(self.raw) - 1)) if sure == 1 else most
        )

    def left(self) -> list[int]:
        """Actions that no proof rules out."""
        every = range(len(self.moves))
        own = [self.below(a, self.seat) for a in every]
        sure, hope = max(low for low, _ in own), max(high for _, high in own)
        if sure == 1:
            return [a for a in every if own[a][0] == 1]
        return [a for a in every if own[a][1] >= sure and (own[a][1] > -1 or hope == -1)]

    @property
    def closed(self) -> bool:
        return all(low == high for low, high in self.bounds())

    def q(self, action: int) -> float:
        low, high = self.below(action, self.seat)
        if low == high:
            return (low + 1) / 2
        child = self.children[action]
        return (child.total[self.seat] / child.visits + 1) / 2

    def completed(self) -> list[float]:
        """Completed values by the mixed value (appendix D)."""
        counts = self.counts()
        prior = softmax(self.logits)
        seen = [a for a, n in enumerate(counts) if n]
        raw = (self.raw[self.seat] + 1) / 2
        mixed = raw
        if seen:
            mass = sum(prior[a] for a in seen)
            weighted = sum(prior[a] * self.q(a) for a in seen) / mass
            mixed = (raw + sum(counts) * weighted) / (1 + sum(counts))
        return [self.q(a) if n else mixed for a, n in enumerate(counts)]


def softmax(x: list[float]) -> list[float]:
    top = max(x)
    e = [math.exp(v - top) for v in x]
    return [v / sum(e) for v in e]


def argmax(x: list[float]) -> int:
    return max(range(len(x)), key=lambda i: (x[i], -i))


def considered_sequence(considered: int, sims: int) -> list[int]:
    """`get_sequence_of_considered_visits` of mctx."""
    if considered <= 1:
        return list(range(sims))
    log2max = math.ceil(math.log2(considered))
    sequence: list[int] = []
    visits = [0] * considered
    num = considered
    while len(sequence) < sims:
        for _ in range(max(1, int(sims / (log2max * num)))):
            sequence.extend(visits[:num])
            for i in range(num):
                visits[i] += 1
        num = max(2, num // 2)
    return sequence[:sims]


class Search:
    """The search; subclasses say what a position is."""

    def __init__(self, *, m: int, c_visit: float, c_scale: float) -> None:
        self.m, self.c_visit, self.c_scale = m, c_visit, c_scale

    def node(self, place: Any) -> Node:
        raise NotImplementedError

    def after(self, place: Any, move: int) -> Any:
        raise NotImplementedError

    def sigma(self, node: Node) -> list[float]:
        scale = (self.c_visit + max(node.counts())) * self.c_scale
        return [scale * q for q in node.completed()]

    def inside(self, node: Node) -> int:
        counts = node.counts()
        improved = softmax([a + b for a, b in zip(node.logits, self.sigma(node), strict=True)])
        left = node.left()
        return left[argmax([improved[a] - counts[a] / (1 + sum(counts)) for a in left])]

    def at_root(self, root: Node, noise: Sequence[float], wanted: int) -> int:
        sigma, counts, left = self.sigma(root), root.counts(), root.left()
        if all(counts[a] != wanted for a in left):
            fewer = [counts[a] for a in left if counts[a] < wanted]
            wanted = max(fewer) if fewer else min(counts[a] for a in left)
        fitting = [a for a in left if counts[a] == wanted]
        return fitting[argmax([noise[a] + root.logits[a] + sigma[a] for a in fitting])]

    def run(self, place: Any, sims: int, noise: Sequence[float]) -> dict[str, Any]:
        root = self.node(place)
        self.back_up([root], root.raw)
        sequence = []
        plan = considered_sequence(min(self.m, len(root.moves), sims), sims)
        for wanted in plan:
            low, high = root.bounds()[root.seat]
            if low == high:
                break
            action = self.at_root(root, noise, wanted)
            sequence.append(root.moves[action])
            path, node = [root], root
            while True:
                if action not in node.children:
                    node.children[action] = self.node(self.after(node.place, node.moves[action]))
                    leaf = node.children[action]
                    value = leaf.raw
                    break
                leaf = node.children[action]
                if leaf.closed:
                    value = [low for low, _ in leaf.bounds()]
                    break
                path.append(leaf)
                node = leaf
                action = self.inside(node)
            self.back_up([*path, leaf], value)
        counts = root.counts()
        policy = softmax([a + b for a, b in zip(root.logits, self.sigma(root), strict=True)])
        best = self.at_root(root, noise, max(counts[a] for a in root.left()))
        mean = [v / root.visits for v in root.total]
        return {
            "sequence": sequence,
            "visits": dict(zip(root.moves, counts, strict=True)),
            "move": root.moves[best],
            "policy": dict(zip(root.moves, policy, strict=True)),
            "value": [low for low, _ in root.bounds()] if root.closed else mean,
        }

    @staticmethod
    def back_up(path: list[Node], value: list[float]) -> None:
        for node in path:
            node.visits += 1
            node.known = None
            node.total = [
                a + b for a, b in zip(node.total or [0.0] * len(value), value, strict=True)
            ]


class GameSearch(Search):
    """Search positions of RingRift."""

    def __init__(self, evaluator: Any, **settings: float) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.evaluator = evaluator

    def node(self, place: Position) -> Node:
        while len(place.legal_packed()) == 1:
            place = place.after(int(place.legal_packed()[0]))
        if place.is_over:
            ranking = place.result.ranking
            n = len(ranking) - 1
            return Node(place, -1, [sum((o > r) - (o < r) for o in ranking) / n for r in ranking])
        moves, offsets = legal_lists(place.spec, place._states)
        logits, values = self.evaluator.evaluate(
            place._states, board_tables(place.spec), moves, offsets
        )
        return Node(
            place,
            place.current_player - 1,
            [float(v) for v in values[0]],
            moves.tolist(),
            [float(x) for x in logits],
        )

    def after(self, place: Position, move: int) -> Position:
        return place.after(move)


class TableSearch(Search):
    """Search the table games of three players; a place is a row."""

    def __init__(self, group: Group) -> None:
        super().__init__(m=group.m, c_visit=group.c_visit, c_scale=group.c_scale)
        self.logits, self.values = group.logits.tolist(), group.values.tolist()
        self.successors, self.seats = group.successors.tolist(), group.seats.tolist()

    def node(self, place: int) -> Node:
        logits = self.logits[place]
        return Node(
            place, self.seats[place] - 1, self.values[place], list(range(len(logits))), logits
        )

    def after(self, place: int, move: int) -> int:
        return self.successors[place][move]
