"""A leaderboard for foreign readers: CSV, JSON or SQLite (`evaluation.md` 5).

All of it is derived: nothing here is ever read back.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ringrift.core.errors import UsageError
from ringrift.core.files import write_atomic
from ringrift.evaluation.ratings.games import RatedGames
from ringrift.evaluation.ratings.history import Moment
from ringrift.evaluation.ratings.table import utc
from ringrift.rules.spec import parse_config

FORMATS = (".csv", ".json", ".db")
CSV_COLUMNS = (
    "config", "rank", "name", "agent_hash", "spec", "model_id", "kind", "elo", "ci_low", "ci_high",
    "se", "se_method", "provisional", "games", "wins", "losses", "capped", "last_game",
)  # fmt: skip

_TABLES = """
CREATE TABLE derived (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE participants (
    participant_id TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, model_id TEXT,
    ai_type TEXT NOT NULL
);
CREATE TABLE elo_ratings (
    participant_id TEXT NOT NULL, board_type TEXT NOT NULL, num_players INT NOT NULL, rating REAL,
    rating_deviation REAL, games_played INT NOT NULL, wins INT NOT NULL, losses INT NOT NULL,
    draws INT NOT NULL, last_update TEXT,
    PRIMARY KEY (participant_id, board_type, num_players)
);
CREATE TABLE match_history (
    game_id TEXT NOT NULL, board_type TEXT NOT NULL, num_players INT NOT NULL,
    participant_ids TEXT NOT NULL, ranks TEXT NOT NULL, winner_id TEXT, tournament_id TEXT,
    timestamp REAL, PRIMARY KEY (game_id)
);
CREATE TABLE rating_history (
    participant_id TEXT NOT NULL, board_type TEXT NOT NULL, num_players INT NOT NULL,
    rating REAL NOT NULL, rating_deviation REAL NOT NULL, timestamp REAL NOT NULL,
    tournament_id TEXT NOT NULL
);
"""


def check_export(path: Path) -> None:
    """Raise `UsageError` for a name of no known format."""
    if path.suffix not in FORMATS:
        raise UsageError(
            f"found {path.name!r}; expected a name ending in {', '.join(FORMATS)}", where="--export"
        )


def write_csv(path: Path, boards: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
    """Write the rows of leaderboards, (configuration, rows) each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for config, rows in boards:
        for row in rows:
            ends = row["elo_ci95"] or (None, None)
            values = {**row, "config": config, "ci_low": ends[0], "ci_high": ends[1]}
            writer.writerow(["" if values[name] is None else values[name] for name in CSV_COLUMNS])
    _write(path, text.getvalue().encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write what `--json` prints of the leaderboards."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    _write(path, text.encode() + b"\n")


def write_database(
    path: Path,
    boards: Sequence[tuple[RatedGames, Sequence[Mapping[str, Any]], Sequence[Moment]]],
) -> None:
    """Write a SQLite file of (games, rows, history) for each configuration; it replaces the old one."""
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(partial)) as connection:
            connection.executescript(_TABLES)
            connection.executemany(
                "INSERT INTO derived VALUES (?, ?)",
                [
                    ("derived", "true"),
                    ("from", "the match games of a ringrift store; never read back"),
                    ("made_at", utc(time.time())),
                ],
            )
            for games, rows, moments in boards:
                _fill(connection, games, rows, moments)
            connection.commit()
        write_atomic(path, partial.read_bytes())
    finally:
        partial.unlink(missing_ok=True)


def _fill(
    connection: sqlite3.Connection,
    games: RatedGames,
    rows: Sequence[Mapping[str, Any]],
    moments: Sequence[Moment],
) -> None:
    board, players = parse_config(games.config)
    connection.executemany(
        "INSERT OR IGNORE INTO participants VALUES (?, ?, ?, ?, ?)",
        [
            (row["agent_hash"], row["name"], row["spec"], row["model_id"], row["kind"] or "model")
            for row in rows
        ],
    )
    connection.executemany(
        "INSERT INTO elo_ratings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row["agent_hash"],
                board,
                players,
                row["elo"],
                row["se"],
                row["games"],
                row["wins"],
                row["losses"],
                row["capped"],
                row["last_game"],
            )
            for row in rows
        ],
    )
    hashes = [who.agent_hash for who in games.participants]
    matches = []
    for number in np.flatnonzero(games.finished | games.capped):
        seats = [hashes[agent] for agent in games.seats[number]]
        ranks = [int(rank) for rank in games.ranks[number] if rank > 0]
        run, at = int(games.runs[number]), float(games.started[number])
        matches.append(
            (
                games.ids[number],
                board,
                players,
                json.dumps(seats),
                json.dumps(ranks),
                seats[ranks.index(1)] if ranks else None,
                games.run_names[run] if run >= 0 else None,
                at if np.isfinite(at) else None,
            )
        )
    connection.executemany("INSERT INTO match_history VALUES (?, ?, ?, ?, ?, ?, ?, ?)", matches)
    points = [
        (hashes[agent], board, players, round(elo, 1), round(se, 1), moment.at, moment.run)
        for moment in moments
        for agent in range(len(hashes))
        if (elo := moment.fit.elo(agent)) is not None and (se := moment.fit.se(agent)) is not None
    ]
    connection.executemany("INSERT INTO rating_history VALUES (?, ?, ?, ?, ?, ?, ?)", points)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
