"""Write games as a GameReplayDB of schema 7 (selfplay.md 9)."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ringrift.core.errors import UsageError
from ringrift.core.files import PARTIAL_SUFFIX, sync_folder
from ringrift.records.analysis import Analysis
from ringrift.records.foreign.fields import compressed
from ringrift.records.foreign.line_writers import SOURCES, moves_json, outcome, start_of
from ringrift.records.foreign.states import state_json
from ringrift.records.foreign.times import iso
from ringrift.records.record import GameRecord
from ringrift.rules import Position

SCHEMA_VERSION = 7
SNAPSHOTS_EVERY = 20

_TABLES = """
CREATE TABLE schema_metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE games (
    game_id TEXT PRIMARY KEY, board_type TEXT NOT NULL, num_players INTEGER NOT NULL,
    rng_seed INTEGER, created_at TEXT, completed_at TEXT, game_status TEXT NOT NULL,
    winner INTEGER, termination_reason TEXT, total_moves INTEGER NOT NULL, total_turns INTEGER,
    duration_ms INTEGER, source TEXT, schema_version INTEGER NOT NULL, time_control_type TEXT,
    initial_time_ms INTEGER, time_increment_ms INTEGER, metadata_json TEXT
);
CREATE TABLE game_players (
    game_id TEXT NOT NULL, player_number INTEGER NOT NULL, player_type TEXT NOT NULL, ai_type TEXT,
    ai_difficulty INTEGER, ai_profile_id TEXT, final_eliminated_rings INTEGER,
    final_territory_spaces INTEGER, final_rings_in_hand INTEGER,
    PRIMARY KEY (game_id, player_number)
);
CREATE TABLE game_initial_state (
    game_id TEXT PRIMARY KEY, initial_state_json BLOB NOT NULL, compressed INTEGER NOT NULL
);
CREATE TABLE game_moves (
    game_id TEXT NOT NULL, move_number INTEGER NOT NULL, turn_number INTEGER NOT NULL,
    player INTEGER NOT NULL, phase TEXT NOT NULL, move_type TEXT NOT NULL, move_json TEXT NOT NULL,
    timestamp TEXT, think_time_ms INTEGER, time_remaining_ms INTEGER, engine_eval REAL,
    engine_eval_type TEXT, engine_depth INTEGER, engine_nodes INTEGER, engine_pv TEXT,
    engine_time_ms INTEGER,
    PRIMARY KEY (game_id, move_number)
);
CREATE TABLE game_state_snapshots (
    game_id TEXT NOT NULL, move_number INTEGER NOT NULL, state_json BLOB NOT NULL,
    compressed INTEGER NOT NULL, state_hash TEXT NOT NULL,
    PRIMARY KEY (game_id, move_number)
);
CREATE TABLE game_choices (
    game_id TEXT NOT NULL, move_number INTEGER NOT NULL, choice_type TEXT, player INTEGER,
    options_json TEXT, selected_option_json TEXT
);
"""


def write_replay_db(
    path: Path,
    games: Iterable[tuple[GameRecord, Analysis | None]],
    *,
    snapshots: int = SNAPSHOTS_EVERY,
) -> int:
    """Write games; the file appears whole. Returns their number.

    Moves are numbered from 1; with `snapshots` n > 0 the state after every n-th move and the last
    is stored under the number of that move.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    count = 0
    try:
        connection = sqlite3.connect(partial, isolation_level=None)
        try:
            connection.executescript(_TABLES)
            connection.execute("BEGIN")
            _insert(connection, "schema_metadata", [("schema_version", str(SCHEMA_VERSION))])
            for record, analysis in games:
                _write_game(connection, record, analysis, snapshots)
                count += 1
            connection.execute("COMMIT")
        finally:
            connection.close()
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return count


def _insert(connection: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608


def _write_game(
    connection: sqlite3.Connection, record: GameRecord, analysis: Analysis | None, snapshots: int
) -> None:
    spec, result, meta = record.spec, record.result, record.meta
    if result.end == "aborted":
        raise UsageError(f"game {record.id[:12]} was not played out")
    moves, states, turns = _moves(record, analysis, snapshots)
    ended = None
    if meta.started is not None and meta.ms is not None:
        ended = meta.started + meta.ms / 1000
    told = {"run": meta.run, "tags": list(meta.tags), "seed": str(record.seed)}
    _insert(
        connection,
        "games",
        [
            (
                record.id,
                spec.board,
                spec.players,
                record.seed - (1 << 64) if record.seed >> 63 else record.seed,
                iso(meta.started),
                iso(ended),
                "completed",
                result.winner or None,
                outcome(record),
                result.plies,
                turns,
                meta.ms,
                SOURCES[meta.purpose],
                SCHEMA_VERSION,
                None,
                None,
                None,
                json.dumps(told),
            )
        ],
    )
    scores = zip(record.agents, result.elim, result.terr, result.hand, strict=True)
    _insert(
        connection,
        "game_players",
        [
            (
                record.id,
                seat,
                "human" if agent.kind == "human" else "ai",
                agent.kind,
                None,
                agent.spec,
                elim,
                terr,
                hand,
            )
            for seat, (agent, elim, terr, hand) in enumerate(scores, 1)
        ],
    )
    state = state_json(start_of(record), game_id=record.id)
    _insert(connection, "game_initial_state", [(record.id, compressed(json.dumps(state)), 1)])
    _insert(connection, "game_moves", moves)
    _insert(connection, "game_state_snapshots", states)


def _moves(
    record: GameRecord, analysis: Analysis | None, snapshots: int
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], int]:
    """Return the rows of moves and of snapshots, and the number of turns."""
    rows, states = [], []
    position, turn, before = start_of(record), 0, None
    for number, (packed, fields) in enumerate(
        zip(record.moves, moves_json(record, analysis), strict=True), 1
    ):
        player, phase = position.current_player, position.phase
        if player != before or (phase == "ring_placement" and not rows):
            turn, before = turn + 1, player
        rows.append(
            (
                record.id,
                number,
                turn,
                player,
                phase,
                fields["type"],
                json.dumps(fields, separators=(",", ":")),
                *[None] * 9,
            )
        )
        position.play(packed)
        if snapshots and (number % snapshots == 0 or number == len(record.moves)):
            states.append(_snapshot(record.id, number, position))
    return rows, states, turn


def _snapshot(identity: str, number: int, position: Position) -> tuple[Any, ...]:
    text = json.dumps(state_json(position, game_id=identity))
    return (identity, number, compressed(text), 1, position.fingerprint)
