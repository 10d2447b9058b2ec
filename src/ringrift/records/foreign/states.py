"""The reference's serialized states: read, compared with positions, written (rules.md 20.1, 20.2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ringrift.core.errors import DataError
from ringrift.records.foreign import names
from ringrift.records.foreign.fields import (
    Object,
    cell_of,
    flag_of,
    list_of,
    object_of,
    position_json,
    text_of,
    whole_of,
)
from ringrift.records.record import VerificationError, refuse
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import geometry

_NOOPS = frozenset(
    {
        "no_placement_action",
        "no_movement_action",
        "no_line_action",
        "no_territory_action",
        "skip_placement",
        "skip_capture",
        "skip_recovery",
        "skip_territory_processing",
    }
)
_HASH = re.compile(r"[0-9a-f]{16}([0-9a-f]{48})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignState:
    """What a serialized state says: rings by cell from bottom to top, owners by cell, lists by seat.

    `winner` and `line_debt` are None where it says nothing; `only` is the cell that must act.
    `canonical` is the full text that our own exports put beside.
    """

    phase: str
    player: int
    over: bool
    winner: int | None
    line_debt: bool | None
    only: int | None
    acted: bool
    recovered: bool
    territory_debt: bool
    hand: tuple[int, ...]
    elim: tuple[int, ...]
    terr: tuple[int, ...]
    stacks: Mapping[int, str]
    markers: Mapping[int, int]
    collapsed: Mapping[int, int]
    canonical: str | None


def read_state(fields: Object, board: str, players: int) -> ForeignState:
    """Read a state of a game; raises `VerificationError` naming the field."""
    area = object_of(fields, "board")
    if area is None:
        raise refuse("board", None, "an object")
    _check_board(area, board)
    status = text_of(fields, "gameStatus") or "active"
    over = names.status_of(status) == "completed"
    hand, elim, terr = _seats(fields, players)
    history = _history(fields)
    mover = whole_of(fields, "currentPlayer") or 0
    tail = []
    for player, name in reversed(history):
        if player != mover:
            break
        tail.append(name)
    phase = text_of(fields, "currentPhase") or ""
    canonical = text_of(fields, "canonicalState")
    return ForeignState(
        phase=phase,
        player=mover,
        over=over or phase == "game_over",
        winner=whole_of(fields, "winner"),
        line_debt=flag_of(fields, "pendingLineRewardElimination"),
        only=_only(fields, board, phase),
        acted=any(name not in _NOOPS for name in tail),
        recovered="recovery_slide" in tail,
        territory_debt=tail[:1] == ["choose_territory_option"],
        hand=hand,
        elim=elim,
        terr=terr,
        stacks=_stacks(object_of(area, "stacks") or {}, board, players, canonical),
        markers=_owners(object_of(area, "markers") or {}, board, players, "board.markers"),
        collapsed=_owners(
            object_of(area, "collapsedSpaces") or {}, board, players, "board.collapsedSpaces"
        ),
        canonical=canonical,
    )


def _check_board(area: Object, board: str) -> None:
    named = pick_board(area)
    if named is not None and named != board:
        raise refuse("board.type", named, f"{board}, the game's")
    size = whole_of(area, "size")
    if size is not None and size not in names.BOARD_SIZES[board]:
        g = geometry(board)
        what = f"radius {g.radius}, size {g.size}" if g.hex else f"size {g.size}"
        raise refuse("board.size", size, f"{board} of {what}", reason="spec")


def pick_board(area: Object) -> str | None:
    """Return our name of the board that a state is of, None where it does not say."""
    name = text_of(area, "type")
    return None if name is None else names.board_of(name)


def _seats(fields: Object, players: int) -> tuple[tuple[int, ...], ...]:
    rows = list_of(fields, "players") or []
    by_seat = {whole_of(row, "playerNumber"): row for row in rows if isinstance(row, dict)}
    if sorted(str(seat) for seat in by_seat) != [str(seat) for seat in range(1, players + 1)]:
        raise refuse("players", f"{len(rows)} entries", f"playerNumber 1 to {players}, each once")
    found = []
    for name in ("ringsInHand", "eliminatedRings", "territorySpaces"):
        counts = []
        for seat in range(1, players + 1):
            count = whole_of(by_seat[seat], name)
            if count is None:
                raise refuse(f"players[{seat}].{name}", None, "a whole number")
            counts.append(count)
        found.append(tuple(counts))
    return tuple(found)


def _history(fields: Object) -> list[tuple[int, str]]:
    entries = []
    for i, move in enumerate(list_of(fields, "moveHistory") or []):
        if not isinstance(move, dict):
            raise refuse(f"moveHistory[{i}]", move, "an object")
        entries.append((whole_of(move, "player") or 0, names.move_name(move.get("type"))))
    return entries


def _only(fields: Object, board: str, phase: str) -> int | None:
    if phase == "movement":
        key = fields.get("mustMoveFromStackKey")
        return None if key is None else cell_of(board, key, "mustMoveFromStackKey")
    if phase == "chain_capture":
        where = fields.get("chainCapturePosition")
        return None if where is None else cell_of(board, where, "chainCapturePosition")
    if phase == "capture":
        history = fields.get("moveHistory") or [{}]
        where = history[-1].get("to")
        return None if where is None else cell_of(board, where, "moveHistory[-1].to")
    return None


def _owners(entries: Object, board: str, players: int, name: str) -> dict[int, int]:
    owners = {}
    for key, value in entries.items():
        owner = value.get("player") if isinstance(value, dict) else value
        if not isinstance(owner, int) or not 1 <= owner <= players:
            raise refuse(f"{name}.{key}", value, f"an owner from 1 to {players}")
        owners[cell_of(board, key, name)] = owner
    return owners


def _stacks(entries: Object, board: str, players: int, canonical: str | None) -> dict[int, str]:
    """Read the stacks; which end of the ring lists is the top must follow from their caps.

    A canonical text beside tells it too.
    """
    lists: dict[int, str] = {}
    top_first = bottom_first = True
    uneven = False
    seats = range(1, players + 1)
    for key, value in entries.items():
        name = f"board.stacks.{key}"
        cell = cell_of(board, key, name)
        rings = value.get("rings") if isinstance(value, dict) else None
        if not isinstance(rings, list) or not rings or not all(map(seats.__contains__, rings)):
            raise refuse(f"{name}.rings", rings, f"owners from 1 to {players}")
        text = "".join(map(str, rings))
        first, last = _fits(value, text), _fits(value, text[::-1])
        if not first and not last:
            said = {k: value.get(k) for k in ("rings", "controllingPlayer", "capHeight")}
            raise refuse(name, said, "a controllingPlayer and capHeight that fit the rings")
        top_first, bottom_first = top_first and first, bottom_first and last
        uneven = uneven or text != text[::-1]
        lists[cell] = text
    if not top_first and not bottom_first:
        raise refuse("board.stacks", "ring lists of both orders", "top first, or bottom first")
    if top_first and bottom_first and uneven and canonical is not None:
        keys = geometry(board).keys
        text = " ".join(f"{keys[cell]}:{lists[cell][::-1]}" for cell in sorted(lists))
        top_first = f";S={text};" in canonical
    elif top_first and bottom_first and uneven:
        found = "ring lists that may be top first or bottom first"
        raise refuse("board.stacks", found, "controllingPlayer and capHeight that tell")
    return {cell: text[::-1] if top_first else text for cell, text in lists.items()}


def _fits(value: Object, text: str) -> bool:
    """Tell whether rings listed from the top agree with the stack's other fields."""
    cap = len(text) - len(text.lstrip(text[0]))
    said = {"controllingPlayer": int(text[0]), "capHeight": cap, "stackHeight": len(text)}
    return all(value.get(name) in (None, number) for name, number in said.items())


# --- positions


def start_text(state: ForeignState, board: str) -> str:
    """Return the canonical text of a state that a game starts from.

    Raises `VerificationError` for a finished state, or one whose own canonical text disagrees.
    """
    if state.over:
        raise refuse("initial state", "a finished game", "a position with a player to move")
    if state.canonical is not None:
        return state.canonical
    keys = geometry(board).keys
    debt = "-"
    if state.phase == "line_processing" and state.line_debt:
        debt = "line"
    elif state.phase == "territory_processing" and state.territory_debt:
        debt = "recovery" if state.recovered else "territory"
    lists = {"hand": state.hand, "elim": state.elim, "terr": state.terr}
    cells = {"S": state.stacks, "M": state.markers, "C": state.collapsed}
    parts = [
        f"ph={state.phase}",
        f"cur={state.player}",
        f"only={'-' if state.only is None else keys[state.only]}",
        f"pend={debt}",
        f"act={int(state.acted)}",
        f"rec={int(state.recovered)}",
        "st=active",
        "win=0",
        *(f"{name}={','.join(map(str, values))}" for name, values in lists.items()),
        *(
            f"{name}={' '.join(f'{keys[cell]}:{found[cell]}' for cell in sorted(found))}"
            for name, found in cells.items()
        ),
    ]
    return ";".join(parts)


def start_position(state: ForeignState, spec: BoardSpec) -> Position:
    """Return the position of a state; raises `VerificationError` for one of no game."""
    text = start_text(state, spec.board)
    try:
        position = Position.parse(text, spec=spec)
    except DataError as error:
        raise VerificationError("malformed", str(error), where="initial state") from None
    other = difference(state, position)
    if other is not None:
        raise VerificationError("malformed", other, where="field canonicalState")
    return position


def difference(state: ForeignState, position: Position) -> str | None:
    """Say where a state differs from a position; None where all that it holds agrees."""
    over = position.is_over
    index = geometry(position.spec.board).index
    pairs: list[tuple[str, Any, Any]] = [
        ("finished", state.over, over),
        ("rings in hand", state.hand, position.hands),
        ("eliminated rings", state.elim, position.eliminated),
        ("territory", state.terr, position.territory),
        ("stacks", state.stacks, {index[k]: rings for k, rings in position.stacks.items()}),
        ("markers", state.markers, {index[k]: seat for k, seat in position.markers.items()}),
        ("collapsed", state.collapsed, {index[k]: seat for k, seat in position.collapsed.items()}),
    ]
    if over:
        pairs.append(("winner", state.winner or position.winner, position.winner))
    else:
        pairs.append(("phase", state.phase, position.phase))
        pairs.append(("player", state.player, position.current_player))
    for what, found, computed in pairs:
        if found != computed:
            return _named(what, found, computed, position.spec)
    return None


def differing_stacks(state: ForeignState, position: Position) -> tuple[int, ...]:
    """Return the cells whose stack is not that of a position."""
    index = geometry(position.spec.board).index
    stacks = {index[key]: rings for key, rings in position.stacks.items()}
    return tuple(
        cell for cell in {*state.stacks, *stacks} if state.stacks.get(cell) != stacks.get(cell)
    )


def _named(what: str, found: Any, computed: Any, spec: BoardSpec) -> str:
    """Write a difference; of maps by cell, at the first cell that differs."""
    if not isinstance(found, Mapping):
        return f"{what}: found {found!r}; replayed {computed!r}"
    cell = min(c for c in {*found, *computed} if found.get(c) != computed.get(c))
    key = geometry(spec.board).keys[cell]
    return f"{what} at {key}: found {found.get(cell)!r}; replayed {computed.get(cell)!r}"


def reference_fingerprint(position: Position) -> str:
    """Return the reference's own fingerprint text of a position (rules.md 20.2)."""
    if position.is_over:
        turn = "0:game_over:completed:0"
    else:
        debt = int("pend=line;" in str(position))
        turn = f"{position.current_player}:{position.phase}:active:{debt}"
    counts = zip(position.hands, position.eliminated, position.territory, strict=True)
    seats = sorted(":".join(map(str, (seat, *row))) for seat, row in enumerate(counts, 1))
    stacks = sorted(
        f"{key}:{rings[-1]}:{len(rings)}:{_cap(rings)}" for key, rings in position.stacks.items()
    )
    markers = sorted(f"{key}:{seat}" for key, seat in position.markers.items())
    collapsed = sorted(f"{key}:{seat}" for key, seat in position.collapsed.items())
    return "#".join([turn, *("|".join(part) for part in (seats, stacks, markers, collapsed))])


def hash_agrees(claimed: str, position: Position) -> bool | None:
    """Tell whether a hash is that of a position; None for a kind of hash that nobody knows.

    Known are our fingerprint, the reference's fingerprint text, and SHA-256 of either text, whole
    or its first 16 digits.
    """
    text = claimed.strip()
    if "#" in text:
        return text == reference_fingerprint(position)
    if not _HASH.fullmatch(text.lower()):
        return None
    return any(
        hashlib.sha256(form(position).encode()).hexdigest().startswith(text.lower())
        for form in (str, reference_fingerprint)
    )


def _cap(rings: str) -> int:
    return len(list(next(iter(groupby(reversed(rings))))[1]))


def state_json(position: Position, *, game_id: str) -> Object:
    """Return a position as the reference serializes states, rings listed from the top.

    `canonicalState` is ours: the text that also holds what the reference keeps elsewhere.
    """
    spec = position.spec
    g = geometry(spec.board)
    over = position.is_over
    text = str(position)
    only = text.partition(";only=")[2].partition(";")[0]
    seats = zip(position.hands, position.eliminated, position.territory, strict=True)
    state: dict[str, Any] = {
        "gameId": game_id,
        "board": {
            "type": spec.board,
            "size": g.size,
            "stacks": {
                key: {
                    "position": position_json(spec.board, g.index[key]),
                    "rings": [int(ring) for ring in reversed(rings)],
                    "stackHeight": len(rings),
                    "capHeight": _cap(rings),
                    "controllingPlayer": int(rings[-1]),
                }
                for key, rings in position.stacks.items()
            },
            "markers": {
                key: {
                    "position": position_json(spec.board, g.index[key]),
                    "player": seat,
                    "type": "regular",
                }
                for key, seat in position.markers.items()
            },
            "collapsedSpaces": position.collapsed,
            "eliminatedRings": {
                str(seat): count for seat, count in enumerate(position.eliminated, 1)
            },
        },
        "players": [
            {
                "playerNumber": seat,
                "ringsInHand": hand,
                "eliminatedRings": elim,
                "territorySpaces": terr,
            }
            for seat, (hand, elim, terr) in enumerate(seats, 1)
        ],
        "currentPlayer": position.winner if over else position.current_player,
        "currentPhase": position.phase,
        "gameStatus": "completed" if over else "active",
        "moveHistory": [],
        "victoryThreshold": spec.ring_threshold,
        "territoryVictoryMinimum": spec.territory_minimum,
        "territoryVictoryThreshold": spec.cells // 2 + 1,
        "totalRingsEliminated": sum(position.eliminated),
        "rulesOptions": {
            "ringsPerPlayer": spec.rings_per_player,
            "lpsRoundsRequired": spec.lps_rounds,
            "swapRuleEnabled": spec.swap_rule,
            "baseLineLength": spec.base_line_length,
        },
        "canonicalState": text,
    }
    if over:
        state["winner"] = position.winner
    elif position.phase == "chain_capture":
        state["chainCapturePosition"] = position_json(spec.board, g.index[only])
    elif position.phase == "movement" and only != "-":
        state["mustMoveFromStackKey"] = only
    if not over and ";pend=line;" in text:
        state["pendingLineRewardElimination"] = True
    return state
