"""The 27 features of the heuristic counted again, from keys and coordinates alone.

Written from the definitions (`agents.md` 4, `rules.md`), in plain Python over `Position`'s public
face; nothing is shared with the compiled evaluator but the board's coordinates and thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby

from ringrift.rules import Position
from ringrift.rules.geometry import geometry

Cell = tuple[int, ...]

KING = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if (x, y) != (0, 0))
ROOK = ((1, 0), (-1, 0), (0, 1), (0, -1))
CUBE = ((1, 0, -1), (0, 1, -1), (-1, 1, 0), (-1, 0, 1), (0, -1, 1), (1, -1, 0))


def plus(c: Cell, d: Cell, steps: int = 1) -> Cell:
    return tuple(a + steps * b for a, b in zip(c, d, strict=True))


def minus(d: Cell) -> Cell:
    return tuple(-a for a in d)


def distance(a: Cell, b: Cell) -> int:
    gaps = [abs(p - q) for p, q in zip(a, b, strict=True)]
    return sum(gaps) // 2 if len(gaps) == 3 else max(gaps)


def at_most_five(x: int) -> float:
    return min(x, 5) + 0.1 * max(x - 5, 0)


@cache
def center_of(board: str) -> frozenset[Cell]:
    cells = geometry(board).coordinates
    if board == "square8":
        return frozenset((x, y) for x in (3, 4) for y in (3, 4))
    middle = (9, 9) if board == "square19" else (0, 0, 0)
    return frozenset(c for c in cells if distance(c, middle) <= 1 + (board == "hexagonal"))


@dataclass
class Table:
    """A position as dictionaries by coordinates; stacks are ring lists, the top ring first."""

    cells: frozenset[Cell]
    steps: tuple[Cell, ...]
    stacks: dict[Cell, str]
    markers: dict[Cell, int]
    collapsed: dict[Cell, int]
    position: Position

    @classmethod
    def of(cls, position: Position) -> Table:
        g = geometry(position.spec.board)
        place = dict(zip(g.keys, g.coordinates, strict=True))
        return cls(
            cells=frozenset(g.coordinates),
            steps=CUBE if g.hex else KING,
            stacks={place[k]: rings[::-1] for k, rings in position.stacks.items()},
            markers={place[k]: p for k, p in position.markers.items()},
            collapsed={place[k]: p for k, p in position.collapsed.items()},
            position=position,
        )

    @property
    def axes(self) -> list[Cell]:
        return [d for d in self.steps if d > minus(d)]

    def owner(self, c: Cell) -> int:
        return int(self.stacks[c][0])

    def cap(self, c: Cell) -> int:
        return len(next(list(same) for _, same in groupby(self.stacks[c])))

    def open(self, c: Cell) -> bool:
        return c in self.cells and c not in self.collapsed

    def attacks(self, a: Cell, d: Cell) -> Cell | None:
        """The stack that the one on `a` could capture along `d` (rules.md 8.1)."""
        steps, target = 1, None
        while self.open(c := plus(a, d, steps)):
            if c in self.stacks:
                if target is not None or self.cap(c) > self.cap(a):
                    return None
                target = c
            elif target is not None and steps >= len(self.stacks[a]):
                return target
            steps += 1
        return None

    def components(self, walls: set[Cell]) -> list[frozenset[Cell]]:
        """Components of the cells that are not walls, by territory adjacency."""
        near = CUBE if len(self.steps) == 6 else ROOK
        left, found = set(self.cells) - walls, []
        while left:
            fresh = [left.pop()]
            whole = set(fresh)
            while fresh:
                c = fresh.pop()
                for d in near:
                    if (t := plus(c, d)) in left:
                        left.remove(t)
                        whole.add(t)
                        fresh.append(t)
            found.append(frozenset(whole))
        return found

    def regions(self, p: int) -> set[frozenset[Cell]]:
        """Processable regions of `p` (rules.md 10.1, 10.2)."""
        active = {ring for rings in self.stacks.values() for ring in rings}
        if not active:
            return set()
        found = set()
        for colour in (0, *set(self.markers.values())):
            walls = set(self.collapsed) | {c for c, m in self.markers.items() if m == colour}
            for inside in self.components(walls):
                seen = {rings[0] for c, rings in self.stacks.items() if c in inside}
                if len(seen) < len(active) and (colour > 0 or len(seen) == 1):
                    found.add(inside)
        recovered = ";rec=1" in str(self.position) and p == self.position.current_player
        return {
            inside
            for inside in found
            if any(
                str(p) in rings[1:] if recovered else rings[0] == str(p)
                for c, rings in self.stacks.items()
                if c not in inside
            )
        }

    def border(self, inside: frozenset[Cell]) -> set[Cell]:
        """Border markers of a region (rules.md 10.4)."""
        hexes = len(self.steps) == 6
        near = CUBE if hexes else ROOK
        outside = set(self.markers) - inside
        found = {c for c in outside if any(plus(c, d) in inside for d in near)}
        if self.position.spec.board == "hexagonal":
            return found
        wide = (*CUBE, (1, 1, -2), (-1, -1, 2)) if hexes else KING
        fresh = list(found)
        while fresh:
            c = fresh.pop()
            for d in wide:
                t = plus(c, d)
                if t in outside and t not in found:
                    found.add(t)
                    fresh.append(t)
        return found

    def runs(self, p: int) -> list[int]:
        """Lengths of the maximal runs of markers of `p`, every axis (rules.md 9.1)."""
        mine = {c for c, m in self.markers.items() if m == p}
        lengths = []
        for c in mine:
            for d in self.axes:
                if plus(c, minus(d)) not in mine:
                    k = 1
                    while plus(c, d, k) in mine:
                        k += 1
                    lengths.append(k)
        return lengths

    def windows(self, p: int, own: int) -> int:
        """Windows of the needed length with exactly `own` markers of `p`."""
        need, count = self.position.spec.line_length, 0
        for c in self.cells:
            for d in self.axes:
                window = [plus(c, d, k) for k in range(need)]
                if all(map(self.open, window)):
                    held = [self.markers[t] for t in window if t in self.markers]
                    count += len(held) == own and set(held) <= {p}
        return count


def light(table: Table, p: int) -> dict[str, float]:
    position, spec = table.position, table.position.spec
    own = [c for c in table.stacks if table.owner(c) == p]
    ways = dict.fromkeys(own, 0)
    adjacent = 0.0
    for c in own:
        for d in table.steps:
            if not table.open(t := plus(c, d)):
                continue
            if t not in table.stacks or table.cap(t) <= table.cap(c):
                ways[c] += 1
            if t in table.stacks and table.owner(t) != p:
                adjacent += max(-2.5, min(2.5, (table.cap(c) - table.cap(t)) / 2))
    rings = "".join(table.stacks.values())
    markers = [c for c, m in table.markers.items() if m == p]
    elim, terr = position.eliminated[p - 1], position.territory[p - 1]
    others = sum(position.territory) - terr
    streak, holder = position.lps.split("/")[3:5]
    mobility = sum(ways.values())
    return {
        "stacks": len(own),
        "height": sum(at_most_five(len(table.stacks[c])) for c in own),
        "cap": sum(at_most_five(table.cap(c)) for c in own),
        "hand": position.hands[p - 1],
        "elim": elim,
        "territory": terr,
        "ring_goal": 1 / max(1, spec.ring_threshold - elim),
        "territory_goal": 1 / max(1, spec.territory_minimum - terr, 1 + others - terr),
        "markers": len(markers),
        "center": len(center_of(spec.board).intersection(own)),
        "mobility": mobility,
        "blocked": -sum(n == 0 for n in ways.values()),
        "no_stack": -(len(own) == 0),
        "one_stack": -(len(own) == 1),
        "fe_risk": -max(0, 2 - mobility / len(own)) if own else 0,
        "adjacent": adjacent,
        "buried": rings.count(str(p)) - len(own),
        "recovery": not own and bool(markers) and str(p) in rings,
        "lps": (int(streak) / spec.lps_rounds) ** 2 if holder == str(p) else 0,
    }


def full(table: Table, p: int) -> dict[str, float]:
    spec = table.position.spec
    own = [c for c in table.stacks if table.owner(c) == p]
    markers = [c for c, m in table.markers.items() if m == p]
    pairs = [(a, t) for a in table.stacks for d in table.steps if (t := table.attacks(a, d))]
    pairs = [(a, t) for a, t in pairs if table.owner(a) != table.owner(t)]
    need = spec.line_length

    def held(c: Cell) -> int:
        around = [plus(c, d) for d in table.steps]
        return sum(not table.open(t) or table.markers.get(t) == p for t in around)

    bare = not table.markers and not table.collapsed
    gains = [0] if bare else [table_gain(table, inside) for inside in table.regions(p)]
    return {
        "attacks": sum(table.owner(a) == p for a, _ in pairs),
        "exposed": -sum(table.cap(c) for c in {t for _, t in pairs} if c in own),
        "line_half": table.windows(p, need - 2),
        "line_near": table.windows(p, need - 1),
        "line_full": sum(k >= max(need, spec.base_line_length) for k in table.runs(p)),
        "fence": sum(held(c) >= 2 for c in markers),
        "intruders": -sum(
            any(distance(c, m) <= 2 for m in markers) for c in table.stacks if table.owner(c) != p
        ),
        "region": max(gains, default=0),
    }


def table_gain(table: Table, inside: frozenset[Cell]) -> int:
    rings = sum(len(table.stacks[c]) for c in inside if c in table.stacks)
    return len(inside) + len(table.border(inside)) + rings


def recount(position: Position) -> list[dict[str, float]]:
    """Return the features of every seat by name."""
    table = Table.of(position)
    return [
        {name: float(x) for name, x in {**light(table, p), **full(table, p)}.items()}
        for p in range(1, position.spec.players + 1)
    ]
