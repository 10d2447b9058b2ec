"""Read positions that come from outside: canonical text, or JSON with a state or moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ringrift.core.errors import DataError
from ringrift.rules import BoardSpec, InvalidOption, Position, parse_config

OPTIONS = ("rings_per_player", "lps_rounds", "swap_rule", "base_line_length")
FIELDS = ("config", "options", "state", "moves")


def options_of(spec: BoardSpec) -> dict[str, Any]:
    """Return every rule option of a specification by name, as files and answers write them."""
    return {name: getattr(spec, name) for name in OPTIONS}


def read_spec(config: Any, options: Any, *, where: str) -> BoardSpec:
    """Make a specification of outside data; raises `DataError` naming `config` or `options`."""
    if not isinstance(config, str):
        raise DataError(
            f"found {config!r:.60}; expected a text", where=f"{where} config", hint="square8_2p"
        )
    if not isinstance(options, Mapping):
        raise DataError(f"found {options!r:.60}; expected an object", where=f"{where} options")
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise DataError(
            f"unknown rule option {unknown[0]!r}",
            where=f"{where} options",
            hint=", ".join(OPTIONS),
        )
    field = "config"
    try:
        board, players = parse_config(config)
        field = "options"
        return BoardSpec.create(board, players, **options)
    except InvalidOption as error:
        raise DataError(error.message, where=f"{where} {field}", hint=error.hint) from None


def read_position(text: str, spec: BoardSpec, *, where: str) -> Position:
    """Read a position: a canonical text of `spec`, or JSON `{config, options, state, moves}`.

    JSON names its own configuration; `moves` (a list, or texts joined by `;`) are played from the
    state, or from the start without one. Raises `DataError` naming the field.
    """
    text = text.strip()
    if not text.startswith("{"):
        return read_state(text, spec, where=where)
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=where) from None
    if unknown := sorted(set(tree) - set(FIELDS)):
        raise DataError(f"unknown field {unknown[0]!r}", where=where, hint=", ".join(FIELDS))
    spec = read_spec(tree.get("config"), tree.get("options") or {}, where=where)
    state = tree.get("state")
    if state is None:
        position = Position.of(spec)
    elif isinstance(state, str):
        position = read_state(state, spec, where=f"{where} state")
    else:
        raise DataError(f"found {state!r:.60}; expected a text", where=f"{where} state")
    play_texts(position, move_texts(tree.get("moves"), where=where), where=where)
    return position


def read_state(text: str, spec: BoardSpec, *, where: str) -> Position:
    """Parse a canonical text; raises `DataError` naming `where` and the field."""
    try:
        return Position.parse(text, spec=spec)
    except DataError as error:
        place = where if error.where is None else f"{where} {error.where}"
        raise DataError(error.message, where=place, hint=error.hint) from None


def move_texts(moves: Any, *, where: str) -> list[str]:
    """Return the texts of a `moves` field: a list, a text with `;` between moves, or nothing."""
    if moves is None:
        return []
    if isinstance(moves, str):
        return [text.strip() for text in moves.split(";") if text.strip()]
    if not isinstance(moves, list) or not all(isinstance(text, str) for text in moves):
        raise DataError(
            f"found {moves!r:.60}; expected a list of move texts", where=f"{where} moves"
        )
    return list(moves)


def play_texts(position: Position, texts: list[str], *, where: str) -> None:
    """Play moves in place; raises `DataError` naming the first that is malformed or illegal."""
    for number, text in enumerate(texts):
        try:
            position.play(text)
        except DataError as error:
            place = f"{where} moves[{number}]"
            raise DataError(error.message, where=place, hint=error.hint) from None
