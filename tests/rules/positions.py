"""Build positions from diagrams and dictionaries, and read what the tests compare.

A diagram shows rows y = 0, 1, 2... downward and columns x = 0, 1, 2..., as `rules.md` 21 does: `.` empty,
`a b c d` markers of player 1..4, `A B C D` cells collapsed to player 1..4, digits a stack bottom to top.
A row may begin with `y=3:` to say which it is; missing rows and columns are empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringrift.rules import Position

BOARDS = ("square8", "square19", "hex8", "hexagonal")
CONFIGURATIONS = [(board, players) for board in BOARDS for players in (2, 3, 4)]
RINGS = {"square8": 18, "square19": 72, "hex8": 18, "hexagonal": 96}
MOVER_HAS_ACTED = {"capture", "chain_capture", "line_processing", "territory_processing"}


def cells_of(board: str) -> list[str]:
    """List the keys of all cells in scan order (rules.md 1.4)."""
    if board.startswith("square"):
        size = int(board.removeprefix("square"))
        return [f"{x},{y}" for x in range(size) for y in range(size)]
    radius = {"hex8": 4, "hexagonal": 12}[board]
    span = range(-radius, radius + 1)
    return [f"{x},{y},{-x - y}" for x in span for y in span if abs(x + y) <= radius]


def key_order(key: str) -> tuple[int, ...]:
    return tuple(int(part) for part in key.split(","))


def joined(keys: str | list[str] | set[str]) -> str:
    """Write cells as a move does: key order, joined by `|`."""
    return "|".join(sorted(keys.split() if isinstance(keys, str) else keys, key=key_order))


def _read_diagram(
    diagram: str, stacks: dict[str, str], markers: dict[str, int], collapsed: dict[str, int]
) -> None:
    y = -1
    for line in filter(None, map(str.strip, diagram.splitlines())):
        y += 1
        number, _, row = line.removeprefix("y=").rpartition(":")
        y = int(number) if number else y
        for x, token in enumerate(row.split()):
            if token.isdigit():
                stacks[f"{x},{y}"] = token
            elif token in "abcd":
                markers[f"{x},{y}"] = "abcd".index(token) + 1
            elif token in "ABCD":
                collapsed[f"{x},{y}"] = "ABCD".index(token) + 1
            elif token != ".":
                raise ValueError(f"diagram token {token!r}")


def _listed(entries: Mapping[str, Any]) -> str:
    return " ".join(f"{key}:{entries[key]}" for key in sorted(entries, key=key_order))


def state_text(
    diagram: str = "",
    *,
    players: int = 2,
    stacks: Mapping[str, str] | None = None,
    markers: Mapping[int, str] | None = None,
    collapsed: Mapping[int, str] | None = None,
    phase: str = "ring_placement",
    cur: int = 1,
    only: str = "-",
    pend: str = "-",
    act: int | None = None,
    rec: int = 0,
    hand: tuple[int, ...] | None = None,
    elim: tuple[int, ...] | None = None,
    terr: tuple[int, ...] | None = None,
) -> str:
    """Write a canonical state (FORMAT.md 3).

    `stacks` maps cells to rings; `markers` and `collapsed` map owners to cells separated by blanks. Hands are empty
    unless stated, territory counters agree with the collapsed cells unless stated, and `act` is 1 in the phases that
    a player normally reaches by acting.
    """
    all_stacks = dict(stacks or {})
    all_markers = {key: owner for owner, keys in (markers or {}).items() for key in keys.split()}
    all_collapsed = {
        key: owner for owner, keys in (collapsed or {}).items() for key in keys.split()
    }
    _read_diagram(diagram, all_stacks, all_markers, all_collapsed)
    if act is None:
        act = int(phase in MOVER_HAS_ACTED or only != "-")
    seats = range(1, players + 1)
    counters = {
        "hand": hand or (0,) * players,
        "elim": elim or (0,) * players,
        "terr": terr or tuple(list(all_collapsed.values()).count(p) for p in seats),
    }
    fields = [
        f"ph={phase}",
        f"cur={cur}",
        f"only={only}",
        f"pend={pend}",
        f"act={act}",
        f"rec={rec}",
    ]
    fields += ["st=active", "win=0"]
    fields += [f"{name}={','.join(map(str, values))}" for name, values in counters.items()]
    fields += [
        f"S={_listed(all_stacks)}",
        f"M={_listed(all_markers)}",
        f"C={_listed(all_collapsed)}",
    ]
    return ";".join(fields)


def position(
    diagram: str = "",
    *,
    board: str = "square8",
    players: int = 2,
    options: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Position:
    """Make the position that `state_text` describes."""
    text = state_text(diagram, players=players, **fields)
    return Position.parse(text, board=board, players=players, **(options or {}))


def legal(pos: Position) -> set[str]:
    """The legal set as texts; a move listed twice is an error."""
    texts = [str(move) for move in pos.legal_moves()]
    assert len(texts) == len(set(texts)), (
        f"listed twice: {sorted(t for t in texts if texts.count(t) > 1)}"
    )
    return set(texts)


def legal_starting(pos: Position, *beginnings: str) -> set[str]:
    return {text for text in legal(pos) if text.startswith(beginnings)}


def play(pos: Position, moves: str) -> Position:
    """Play texts separated by `;` on a copy."""
    pos = pos.copy()
    for move in moves.split(";"):
        pos.play(move.strip())
    return pos


def field(pos: Position, name: str) -> str:
    """Read one field of the canonical state."""
    return dict(part.split("=", 1) for part in str(pos).split(";"))[name]


def moves_to(start: str, landings: str) -> set[str]:
    return {f"M {start} {landing}" for landing in landings.split()}


def segments(kind: str, start: str, target: str, landings: str) -> set[str]:
    return {f"{kind} {start} {target} {landing}" for landing in landings.split()}


def assert_board(
    pos: Position,
    *,
    stacks: Mapping[str, str] | None = None,
    markers: Mapping[int, str] | None = None,
    collapsed: Mapping[int, str] | None = None,
) -> None:
    """Compare the whole board with what is given (as in `state_text`)."""
    assert dict(pos.stacks) == dict(stacks or {})
    assert dict(pos.markers) == {k: p for p, keys in (markers or {}).items() for k in keys.split()}
    assert dict(pos.collapsed) == {
        k: p for p, keys in (collapsed or {}).items() for k in keys.split()
    }
