"""Games in single JSON files: a scenario, a fixture of an earlier run, a recorded game."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.records.parity.games import Claim, RecordedGame, read_ply, recorded
from ringrift.records.traces import Trace
from ringrift.rules import BoardSpec, InvalidOption, Position, parse_config

FORMAT = "ringrift.scenario/1"
FIELDS = (
    "format",
    "config",
    "options",
    "spec",
    "start",
    "state",
    "plies",
    "moves",
    "result",
    "seed",
    "anomaly",
    "found",
    "ply",
    "detail",
    "game",
    "run",
    "index",
    "agents",
)
OPTIONS = ("rings_per_player", "lps_rounds", "swap_rule", "base_line_length")
THRESHOLDS = ("ring_threshold", "territory_minimum")
MOST_BYTES = 16 * 1024 * 1024


def read_scenario(path: Path) -> RecordedGame:
    """Read `{config, options, start, plies | moves, result}`, or one recorded game of the reference.

    `state` is another name of `start`, and `spec` may stand for config and options, as in position
    files and the reproducers of anomalies, whose other fields are not used. `moves` are
    texts (a list, or joined by `;`); `plies` are objects of FORMAT.md 2 of which only `m` is
    needed; `result` may name end, winner, reason, final. Raises `DataError` naming the field.
    """
    where = str(path)
    tree = _tree(path)
    if tree.get("format") == 1:
        return recorded(Trace(file=where, line=1, game=tree))
    for name in tree:
        if name not in FIELDS:
            raise DataError(f"unknown field {name!r:.40}", where=where, hint=", ".join(FIELDS))
    if tree.get("format", FORMAT) != FORMAT:
        raise DataError(f"format is {tree['format']!r:.40}; expected {FORMAT!r}", where=where)
    spec = spec_of(tree, where=where)
    start = tree.get("start", tree.get("state"))
    if start is not None:
        start = _start(start, spec, where=where)
    result = tree.get("result") or {}
    if not isinstance(result, Mapping):
        raise DataError(f"result is {result!r:.40}; expected an object", where=where)
    return RecordedGame(
        file=where,
        id=path.name.split(".")[0],
        spec=spec,
        start=start,
        plies=tuple(
            read_ply(ply, where=f"{where} ply {i}", complete=False)
            for i, ply in enumerate(_plies(tree, where=where))
        ),
        claim=_claim(result, where=where),
        complete=False,
    )


def scenario_tree(game: RecordedGame, plies: int | None = None) -> dict[str, Any]:
    """Return a game, or its first `plies` plies, as `read_scenario` reads it."""
    whole = plies is None or plies >= len(game.plies)
    claim = {k: v for k, v in asdict(game.claim).items() if v is not None} if whole else {}
    return {
        "format": FORMAT,
        "config": game.spec.config,
        "options": {name: getattr(game.spec, name) for name in (*OPTIONS, *THRESHOLDS)},
        "start": game.start,
        "plies": [ply.as_json() for ply in game.plies[:plies]],
        "result": claim,
    }


def spec_of(tree: Mapping[str, Any], *, where: str) -> BoardSpec:
    """Make the specification of `config` and `options`, or of a `spec` object with both in one.

    Thresholds other than the board's are allowed, as the reference records them.
    """
    given = tree.get("spec")
    if isinstance(given, Mapping):
        config = f"{given.get('board')}_{given.get('players')}p"
        options: Any = {k: v for k, v in given.items() if k in (*OPTIONS, *THRESHOLDS)}
    else:
        config, options = tree.get("config", given), tree.get("options") or {}
    if not isinstance(config, str):
        raise DataError(f"config is {config!r:.40}", where=where, hint="square8_2p")
    if not isinstance(options, Mapping):
        raise DataError(f"options is {options!r:.40}; expected an object", where=where)
    if unknown := sorted(set(options) - {*OPTIONS, *THRESHOLDS}):
        raise DataError(
            f"unknown rule option {unknown[0]!r:.40}", where=where, hint=", ".join(OPTIONS)
        )
    try:
        board, players = parse_config(config)
        plain = {name: options[name] for name in OPTIONS if name in options}
        spec = BoardSpec.create(board, players, **plain)
        if not set(options) & set(THRESHOLDS):
            return spec
        return BoardSpec.recorded(
            spec.board,
            players,
            rings_per_player=spec.rings_per_player,
            lps_rounds=spec.lps_rounds,
            swap_rule=spec.swap_rule,
            base_line_length=spec.base_line_length,
            ring_threshold=options.get("ring_threshold"),
            territory_minimum=options.get("territory_minimum"),
        )
    except InvalidOption as error:
        raise DataError(error.message, where=where, hint=error.hint) from None


def _tree(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise DataError(f"more than {MOST_BYTES} bytes", where=str(path))
        tree = json.loads(data.decode())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error!s:.80}", where=str(path)) from None
    if not isinstance(tree, dict):
        raise DataError(f"found {tree!r:.40}; expected a JSON object", where=str(path))
    return tree


def _start(text: Any, spec: BoardSpec, *, where: str) -> str:
    if not isinstance(text, str):
        raise DataError(f"start is {text!r:.40}; expected a canonical text", where=where)
    try:
        return str(Position.parse(text, spec=spec))
    except DataError as error:
        raise DataError(error.message, where=f"{where} start {error.where}") from None


def _plies(tree: Mapping[str, Any], *, where: str) -> list[Any]:
    if "plies" in tree and "moves" in tree:
        raise DataError("both plies and moves are given", where=where, hint="one of them")
    moves = tree.get("moves")
    if isinstance(moves, str):
        return [{"m": text.strip()} for text in moves.split(";") if text.strip()]
    plies = tree.get("plies", moves if moves is not None else [])
    if not isinstance(plies, list):
        raise DataError(f"plies or moves is {plies!r:.40}; expected a list", where=where)
    return [{"m": ply} if isinstance(ply, str) else ply for ply in plies]


def _claim(result: Mapping[str, Any], *, where: str) -> Claim:
    known = {"end": str, "winner": int, "reason": str, "final": str}
    for name, value in result.items():
        if name not in known:
            raise DataError(f"unknown field result.{name!s:.40}", where=where)
        if value is not None and not isinstance(value, known[name]):
            raise DataError(f"result.{name} is {value!r:.40}", where=where)
    return Claim(**result)
