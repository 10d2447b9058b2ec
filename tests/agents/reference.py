"""Gumbel MuZero search in plain Python, written from the paper and from mctx, with one tree.

Nothing is shared with `ringrift.agents.tree` but the evaluator and the rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ringrift.agents.listing import legal_lists
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables


@dataclass
class Node:
    position: Position
    raw: list[float]
    moves: list[int] = field(default_factory=list)
    logits: list[float] = field(default_factory=list)
    children: dict[int, Node] = field(default_factory=dict)
    visits: int = 0
    total: list[float] = field(default_factory=list)

    @property
    def seat(self) -> int:
        return self.position.current_player - 1

    def counts(self) -> list[int]:
        return [
            self.children[a].visits if a in self.children else 0 for a in range(len(self.moves))
        ]

    def q(self, action: int) -> float:
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
    def __init__(self, evaluator: Any, *, m: int, c_visit: float, c_scale: float) -> None:
        self.evaluator = evaluator
        self.m, self.c_visit, self.c_scale = m, c_visit, c_scale

    def node(self, position: Position) -> Node:
        while len(position.legal_packed()) == 1:
            position = position.after(int(position.legal_packed()[0]))
        if position.is_over:
            ranking = position.result.ranking
            n = len(ranking) - 1
            return Node(position, [sum((o > r) - (o < r) for o in ranking) / n for r in ranking])
        moves, offsets = legal_lists(position.spec, position._states)
        logits, values = self.evaluator.evaluate(
            position._states, board_tables(position.spec), moves, offsets
        )
        return Node(
            position, [float(v) for v in values[0]], moves.tolist(), [float(x) for x in logits]
        )

    def sigma(self, node: Node) -> list[float]:
        scale = (self.c_visit + max(node.counts())) * self.c_scale
        return [scale * q for q in node.completed()]

    def inside(self, node: Node) -> int:
        counts = node.counts()
        improved = softmax([a + b for a, b in zip(node.logits, self.sigma(node), strict=True)])
        return argmax([p - n / (1 + sum(counts)) for p, n in zip(improved, counts, strict=True)])

    def at_root(self, root: Node, noise: list[float], wanted: int) -> int:
        sigma, counts = self.sigma(root), root.counts()
        scores = [
            g + x + s if n == wanted else -math.inf
            for g, x, s, n in zip(noise, root.logits, sigma, counts, strict=True)
        ]
        return argmax(scores)

    def run(self, position: Position, sims: int, noise: list[float]) -> dict[str, Any]:
        root = self.node(position)
        self.back_up([root], root.raw)
        sequence = []
        plan = considered_sequence(min(self.m, len(root.moves), sims), sims)
        for wanted in plan:
            action = self.at_root(root, noise, wanted)
            sequence.append(root.moves[action])
            path, node = [root], root
            while True:
                if action not in node.children:
                    node.children[action] = self.node(node.position.after(node.moves[action]))
                    leaf = node.children[action]
                    break
                leaf = node.children[action]
                if not leaf.moves:
                    break
                path.append(leaf)
                node = leaf
                action = self.inside(node)
            self.back_up([*path, leaf], leaf.raw)
        counts = root.counts()
        policy = softmax([a + b for a, b in zip(root.logits, self.sigma(root), strict=True)])
        return {
            "sequence": sequence,
            "visits": dict(zip(root.moves, counts, strict=True)),
            "move": root.moves[self.at_root(root, noise, max(counts))],
            "policy": dict(zip(root.moves, policy, strict=True)),
            "value": [v / root.visits for v in root.total],
        }

    @staticmethod
    def back_up(path: list[Node], value: list[float]) -> None:
        for node in path:
            node.visits += 1
            node.total = [
                a + b for a, b in zip(node.total or [0.0] * len(value), value, strict=True)
            ]
