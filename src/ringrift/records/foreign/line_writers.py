"""Write games as self-play JSONL, GameRecord JSONL and traces (selfplay.md 9, FORMAT.md)."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from ringrift.core.errors import UsageError
from ringrift.core.files import write_atomic
from ringrift.records.analysis import Analysis
from ringrift.records.foreign.moves import move_json
from ringrift.records.foreign.searches import search_json
from ringrift.records.foreign.states import state_json
from ringrift.records.foreign.times import iso
from ringrift.records.record import GameRecord
from ringrift.rules import Position
from ringrift.rules import moves as mv

SOURCES = {
    "selfplay": "self_play",
    "match": "tournament",
    "soak": "soak_test",
    "human": "human_vs_ai",
    "import": "manual_import",
    "reference": "manual_import",
}
"""The reference's word for each purpose."""

OUTCOMES = {"lps_rounds": "last_player_standing"}
STATE_EVERY = 10
"""Plies between two full states, and two full legal sets, of a trace."""


def write_lines(path: Path, form: str, games: Iterable[tuple[GameRecord, Analysis | None]]) -> int:
    """Write games as `selfplay-jsonl`, `gamerecord-jsonl` or `trace`; returns their number.

    The file appears whole, gzip-compressed if its name ends in `.gz`.
    """
    count = 0

    def lines(file: IO[bytes]) -> None:
        nonlocal count
        for record, analysis in games:
            if form == "trace":
                line = trace_line(record)
            else:
                write = selfplay_line if form == "selfplay-jsonl" else gamerecord_line
                line = write(record, analysis)
            file.write(f"{line}\n".encode())
            count += 1

    def packed(file: IO[bytes]) -> None:
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as inner:
            lines(cast("IO[bytes]", inner))

    write_atomic(Path(path), packed if Path(path).suffix == ".gz" else lines)
    return count


def start_of(record: GameRecord) -> Position:
    """Return the position a record starts from."""
    if record.start is None:
        return Position.of(record.spec)
    return Position.parse(record.start, spec=record.spec)


def walk(record: GameRecord) -> Iterator[tuple[int, Position, int]]:
    """Yield (ply, position before it, packed move); the position goes on when the caller does."""
    position = start_of(record)
    for ply, packed in enumerate(record.moves):
        yield ply, position, packed
        position.play(packed)


def outcome(record: GameRecord) -> str:
    """Return the reference's word for how a game ended: `timeout` for ply limits."""
    return OUTCOMES.get(record.result.reason, record.result.reason)


def moves_json(record: GameRecord, analysis: Analysis | None) -> list[dict[str, Any]]:
    """Return all moves with the searches of an analysis beside them."""
    searched = {} if analysis is None else {ply.ply: ply for ply in analysis.plies}
    found = []
    for ply, position, packed in walk(record):
        fields = {"moveNumber": ply + 1, **move_json(position, packed)}
        if ply in searched:
            fields |= search_json(searched[ply], position)
        found.append(fields)
    return found


def seat_map(counts: tuple[int, ...]) -> dict[str, int]:
    """Return counts by seat as the reference keys them."""
    return {str(seat): count for seat, count in enumerate(counts, 1)}


def final_position(record: GameRecord) -> Position:
    """Return the position after the last move."""
    position = start_of(record)
    for packed in record.moves:
        position.play(packed)
    return position


def gamerecord_line(record: GameRecord, analysis: Analysis | None) -> str:
    """Return a game as one line of GameRecord JSONL (rules.md 20.1)."""
    result, meta = record.result, record.meta
    start = start_of(record)
    ended = None
    if meta.started is not None and meta.ms is not None:
        ended = meta.started + meta.ms / 1000
    fields = {
        "id": record.id,
        "boardType": record.spec.board,
        "numPlayers": record.spec.players,
        "rngSeed": record.seed,
        "isRated": False,
        "players": [
            {
                "playerNumber": seat,
                "username": agent.spec,
                "playerType": "human" if agent.kind == "human" else "ai",
                "aiType": agent.kind,
                "aiProfileId": agent.spec,
            }
            for seat, agent in enumerate(record.agents, 1)
        ],
        "winner": result.winner or None,
        "outcome": outcome(record),
        "finalScore": {
            "ringsEliminated": seat_map(result.elim),
            "territorySpaces": seat_map(result.terr),
            "ringsRemaining": seat_map(result.hand),
            "ringsInHand": seat_map(result.hand),
        },
        "startedAt": iso(meta.started),
        "endedAt": iso(ended),
        "totalMoves": result.plies,
        "totalDurationMs": meta.ms,
        "moves": moves_json(record, analysis),
        "metadata": {
            "recordVersion": "1.0",
            "createdAt": iso(meta.started),
            "source": SOURCES[meta.purpose],
            "sourceId": meta.run,
            "tags": list(meta.tags),
        },
        "initialState": state_json(start, game_id=record.id),
        "initialStateHash": start.fingerprint,
        "finalStateHash": result.final_hash,
    }
    return _line(fields)


def selfplay_line(record: GameRecord, analysis: Analysis | None) -> str:
    """Return a game as one line of self-play JSONL."""
    result, meta = record.result, record.meta
    start = start_of(record)
    fields = {
        "game_id": record.id,
        "board_type": record.spec.board,
        "num_players": record.spec.players,
        "winner": result.winner or None,
        "move_count": result.plies,
        "status": "completed",
        "victory_type": outcome(record),
        "termination_reason": f"status:completed:{outcome(record)}",
        "engine_mode": record.agents[0].kind,
        "player_types": [agent.kind for agent in record.agents],
        "seed": record.seed,
        "moves": moves_json(record, analysis),
        "initial_state": state_json(start, game_id=record.id),
        "final_score": {
            "rings_eliminated": seat_map(result.elim),
            "territory_spaces": seat_map(result.terr),
            "rings_in_hand": seat_map(result.hand),
        },
        "initial_state_hash": start.fingerprint,
        "final_state_hash": result.final_hash,
        "timestamp": iso(meta.started),
        "source": SOURCES[meta.purpose],
    }
    return _line(fields)


def trace_line(record: GameRecord) -> str:
    """Return a game as one line of the recorded-game format (FORMAT.md 1).

    The verdicts `v` of hosts that test victory after every move are left out. Raises `UsageError`
    for a game that was resigned, which the format cannot say.
    """
    result, spec = record.result, record.spec
    if result.end not in ("game_over", "max_plies"):
        raise UsageError(f"a trace cannot hold a game that ended with {result.end!r}")
    start = start_of(record)
    moves, rows = [], []
    row: dict[str, Any] = {}
    position = start
    for ply, position, packed in walk(record):
        if ply:
            _after(row, position, full=ply % STATE_EVERY == 0)
        legal = ";".join(sorted(move.text for move in position.legal_moves()))
        row = {"i": ply, "ph": position.phase, "c": position.current_player}
        row["n"] = len(position.legal_packed())
        row |= {"L": legal} if ply % STATE_EVERY == 0 else {"lh": _short_hash(legal)}
        row["m"] = position.move_text(packed)
        if packed & mv.KIND_MASK == mv.REGION:
            after = position.after(packed)
            row["tb"] = after.last_border or ""
        rows.append(row)
        moves.append(_trace_move(position, packed))
    final = final_position(record)
    _after(row, final, full=True)
    over = result.end == "game_over"
    fields = {
        "format": 1,
        "board_type": spec.board,
        "num_players": spec.players,
        "seed": record.seed,
        "policy": record.agents[0].spec,
        "engine_variant": _variant(record),
        "options": {
            "swapRuleEnabled": spec.swap_rule,
            "ringsPerPlayer": spec.rings_per_player,
            "lpsRoundsRequired": spec.lps_rounds,
            "victoryThreshold": spec.ring_threshold,
            "territoryVictoryMinimum": spec.territory_minimum,
            "victory_check": "turn_end",
            "stateEvery": STATE_EVERY,
            "fullLegalEvery": STATE_EVERY,
        },
        "initial": str(start),
        "initial_hash": start.fingerprint,
        "result": {
            "end": result.end,
            "winner": result.winner or None,
            "reason": result.reason if over else None,
            "plies": result.plies,
            "final": str(final),
        },
        "moves": moves,
        "positions": rows,
    }
    return _line(fields)


def _after(row: dict[str, Any], position: Position, *, full: bool) -> None:
    """Add what a trace says of the position after a ply."""
    row["h"] = position.fingerprint
    if full:
        row["s"] = str(position)
    if position.lps_updated:
        row["lps"] = position.lps


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _variant(record: GameRecord) -> str:
    line3 = record.spec.board == "hex8" and record.spec.base_line_length == 3
    return "hex8line3" if line3 else "stock"


def _trace_move(position: Position, packed: int) -> dict[str, Any]:
    """Return a move with the field names of traces (FORMAT.md 4)."""
    fields = move_json(position, packed)
    lines = fields.pop("formedLines", None)
    if lines is not None:
        fields["line"] = lines[0]["positions"]
    regions = fields.pop("disconnectedRegions", None)
    if regions is not None:
        fields["region"] = regions[0]["spaces"]
    return fields


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
