"""Random games for tests: reproducible choices, options that bring rare rules early, random positions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ringrift.rules import Position

from .positions import CONFIGURATIONS, RINGS, cells_of, state_text

KINDS = ("crowded", "lines", "pockets", "recovery", "walled", "bare", "mid-turn")


@dataclass(frozen=True, kw_only=True)
class Game:
    """Where a random game begins: a configuration, its options, and a position text or the start."""

    board: str
    players: int
    options: dict[str, Any]
    text: str | None = None

    def position(self) -> Position:
        if self.text is None:
            return Position.start(self.board, players=self.players, **self.options)
        return Position.parse(self.text, board=self.board, players=self.players, **self.options)

    def __str__(self) -> str:
        return f"{self.board} {self.players}p {self.options} {self.text or 'start'}"


def choose(texts: list[str], rng: random.Random) -> str:
    """Draw a kind of move first, then a move of that kind, so that rare kinds come up often."""
    if rng.random() < 0.5:
        kind = rng.choice(sorted({text.split()[0] for text in texts}))
        texts = [text for text in texts if text.split()[0] == kind]
    return rng.choice(sorted(texts))


def plies(game: Game, seed: int, limit: int) -> Iterator[tuple[Position, str]]:
    """Yield each position with the text of the move about to be played in it; the same for a seed."""
    rng = random.Random(seed)
    pos = game.position()
    for _ in range(limit):
        texts = [str(move) for move in pos.legal_moves()]
        if not texts:
            return
        text = choose(texts, rng)
        yield pos, text
        pos.play(text)


def random_options(board: str, players: int, rng: random.Random) -> dict[str, Any]:
    """Options within the allowed ranges, few rings more often than many."""
    options: dict[str, Any] = {"lps_rounds": rng.choice((1, 2, 3, 3))}
    if rng.random() < 0.7:
        options["rings_per_player"] = rng.choice((2, 3, 4, 6, 9))
    if board == "hex8":
        options["base_line_length"] = rng.choice((3, 4))
    if players == 2:
        options["swap_rule"] = rng.random() < 0.3
    return options


def random_game(board: str, players: int, rng: random.Random) -> Game:
    """Start from the beginning with few rings, or from a random position."""
    options = random_options(board, players, rng)
    if rng.random() < 0.4:
        return Game(board=board, players=players, options=options)
    options["rings_per_player"] = RINGS[board]
    kind = rng.choice(KINDS)
    return Game(
        board=board, players=players, options=options, text=random_text(board, players, kind, rng)
    )


def random_games(seed: int) -> Iterator[Game]:
    """Go round all twelve configurations for ever."""
    rng = random.Random(seed)
    while True:
        for board, players in CONFIGURATIONS:
            yield random_game(board, players, rng)


def random_text(board: str, players: int, kind: str, rng: random.Random) -> str:
    """Draw a position whose ring supply is consistent, at the start of a turn unless `mid-turn`."""
    seats = list(range(1, players + 1))
    cur = rng.choice(seats)
    density = {
        # probabilities of stack, marker, collapsed for a cell
        "crowded": (0.20, 0.25, 0.10),
        "lines": (0.06, 0.60, 0.04),
        "pockets": (0.08, 0.30, 0.20),
        "recovery": (0.08, 0.35, 0.10),
        "walled": (0.06, 0.05, 0.75),
        "bare": (0.01, 0.10, 0.70),
        "mid-turn": (0.12, 0.35, 0.15),
    }[kind]
    supply = dict.fromkeys(seats, rng.choice((3, 8, RINGS[board])))
    stacks: dict[str, str] = {}
    markers: dict[int, list[str]] = {seat: [] for seat in seats}
    collapsed: dict[int, list[str]] = {seat: [] for seat in seats}
    favourite = cur if kind in ("lines", "recovery") else rng.choice(seats)
    for cell in cells_of(board):
        draw = rng.random()
        owner = favourite if rng.random() < 0.5 else rng.choice(seats)
        if draw < density[0]:
            rings = [s for s in rng.choices(seats, k=rng.choice((1, 1, 2, 2, 3, 4))) if supply[s]]
            top = rng.choice([seat for seat in seats if seat != cur or kind != "recovery"])
            rings = [*rings, top] if supply[top] else []
            if rings and all(rings.count(s) <= supply[s] for s in rings):
                for ring in rings:
                    supply[ring] -= 1
                stacks[cell] = "".join(map(str, rings))
        elif draw < density[0] + density[1]:
            markers[owner].append(cell)
        elif draw < sum(density):
            collapsed[owner if rng.random() < 0.3 else rng.choice(seats)].append(cell)
    fields: dict[str, Any] = {"phase": "ring_placement"}
    if kind == "mid-turn":
        fields = mid_turn(cur, stacks, rng)
    return state_text(
        players=players,
        stacks=stacks,
        markers={seat: " ".join(cells) for seat, cells in markers.items()},
        collapsed={seat: " ".join(cells) for seat, cells in collapsed.items()},
        cur=cur,
        hand=tuple(min(supply[seat], rng.choice((0, 0, 0, 1, 3))) for seat in seats),
        elim=tuple(rng.choice((0, 0, 1, 5)) for _ in seats),
        **fields,
    )


def mid_turn(cur: int, stacks: dict[str, str], rng: random.Random) -> dict[str, Any]:
    """Draw a phase within a turn; what is owed there needs a stack of the mover."""
    own = [cell for cell, rings in stacks.items() if rings[-1] == str(cur)]
    buried = any(str(cur) in rings[:-1] for rings in stacks.values())
    phases = ["movement", "line_processing", "territory_processing"] + [
        "capture",
        "movement",
    ] * bool(own)
    fields: dict[str, Any] = {"phase": rng.choice(phases), "act": rng.choice((0, 1))}
    if fields["phase"] == "capture" or (
        fields["phase"] == "movement" and own and rng.random() < 0.5
    ):
        fields |= {"only": rng.choice(own), "act": 1}
    elif fields["phase"] == "line_processing":
        fields["pend"] = "line" if own and rng.random() < 0.3 else "-"
        fields["rec"] = int(rng.random() < 0.2)
    elif fields["phase"] == "territory_processing":
        fields["rec"] = int(rng.random() < 0.4)
        owed = buried if fields["rec"] else bool(own)
        if owed and rng.random() < 0.3:
            fields["pend"] = "recovery" if fields["rec"] else "territory"
    fields["act"] = 1 if fields.get("rec") or fields.get("pend", "-") != "-" else fields["act"]
    return fields
