"""Read GameReplayDB files: the reference's games in SQLite, schema 1 to 18 (selfplay.md 9)."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ringrift.core.errors import BusyError, DataError, RefusedError
from ringrift.records.foreign import names
from ringrift.records.foreign.entries import PlyTable, first_options, leaves, read_moves
from ringrift.records.foreign.fields import (
    Object,
    read_object,
    text_of,
    unpacked,
    whole_of,
)
from ringrift.records.foreign.game import Claims, Entry, ForeignGame, Options, Score
from ringrift.records.foreign.states import ForeignState, read_state
from ringrift.records.foreign.times import seconds_of
from ringrift.records.record import VerificationError, refuse

NEWEST = 18
FORMAT = "gamereplaydb"
HEADER = b"SQLite format 3\0"
_PENDING_BYTE = 0x40000000  # where SQLite's locks are, of 512 bytes
_NEEDED = ("games", "game_moves")
"""Tables without which there is nothing to read; of the others each may be missing."""

KNOWN_COLUMNS = {
    "schema_metadata": "key value",
    "games": "game_id board_type num_players rng_seed created_at completed_at game_status winner"
    " termination_reason total_moves total_turns duration_ms source schema_version"
    " time_control_type initial_time_ms time_increment_ms metadata_json",
    "game_players": "game_id player_number player_type ai_type ai_difficulty ai_profile_id"
    " final_eliminated_rings final_territory_spaces final_rings_in_hand",
    "game_initial_state": "game_id initial_state_json compressed",
    "game_moves": "game_id move_number turn_number player phase move_type move_json timestamp"
    " think_time_ms time_remaining_ms engine_eval engine_eval_type engine_depth engine_nodes"
    " engine_pv engine_time_ms move_probs search_stats_json",
    "game_state_snapshots": "game_id move_number state_json compressed state_hash",
    "game_history_entries": "game_id move_number player phase_before phase_after status_before"
    " status_after progress_before_json progress_after_json state_hash_before state_hash_after",
}


class ReplayDb:
    """An open copy of a database. Make one with `open_replay_db`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self.columns = {
            table: [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")
        }
        missing = [table for table in _NEEDED if table not in self.columns]
        if missing:
            raise DataError(
                f"no GameReplayDB: table {missing[0]} is missing", where=str(path), hint="--from"
            )
        self.version = self._version()

    def _version(self) -> int:
        rows: list[tuple[Any, ...]] = []
        if "schema_metadata" in self.columns:
            sql = "SELECT value FROM schema_metadata WHERE key IN ('schema_version', 'version')"
            rows = self._connection.execute(sql).fetchall()
        text = str(rows[0][0]) if rows else "1"
        if not text.isdecimal() or not 1 <= int(text) <= NEWEST:
            raise RefusedError(
                f"GameReplayDB of schema {text!r:.20}; expected 1 to {NEWEST}",
                where=str(self.path),
            )
        return int(text)

    def unknown_columns(self) -> list[str]:
        """Return `table.column` of everything that is not read because nobody knows it."""
        return [
            f"{table}.{column}"
            for table, known in KNOWN_COLUMNS.items()
            for column in self.columns.get(table, [])
            if column not in known.split()
        ]

    def entries(self) -> Iterator[Entry]:
        """Yield the games by rowid, each read or with the reason why not."""
        for row in self._rows("games", "1 = 1", (), order="rowid"):
            number = int(row["rowid"])
            identity = row.get("game_id")
            known = None if identity is None else str(identity)
            data = partial(self._row_bytes, row)
            try:
                game = self._game(row, number)
            except VerificationError as error:
                yield Entry(file=str(self.path), row=number, id=known, data=data, error=error)
            else:
                yield Entry(file=str(self.path), row=number, id=known, data=data, game=game)

    def _row_bytes(self, row: Object) -> bytes:
        """Return the rows of a game and of its moves as JSON."""
        moves = self._of_game("game_moves", row.get("game_id"), "move_number")
        return json.dumps({"games": row, "game_moves": moves}, default=repr).encode()

    def _rows(
        self, table: str, where: str, values: tuple[Any, ...], *, order: str
    ) -> Iterator[dict[str, Any]]:
        if table not in self.columns:
            return
        sql = f'SELECT rowid AS rowid, * FROM "{table}" WHERE {where} ORDER BY {order}'  # noqa: S608
        found = self._connection.execute(sql, values)
        names_ = [column[0] for column in found.description]
        for row in found:
            yield dict(zip(names_, row, strict=True))

    def _of_game(self, table: str, identity: Any, order: str = "rowid") -> list[dict[str, Any]]:
        if order not in self.columns.get(table, [order]):
            order = "rowid"
        return list(self._rows(table, "game_id = ?", (identity,), order=order))

    def _game(self, row: Object, number: int) -> ForeignGame:
        identity = row.get("game_id")
        board = names.board_of(row.get("board_type"))
        players = names.players_of(row.get("num_players"))
        entries = self._of_game("game_moves", identity, "move_number")
        fields = [_move_fields(entry, i) for i, entry in enumerate(entries)]
        moves, left = read_moves(fields, board)
        start, options = self._start(identity, board, players, row)
        table = PlyTable([whole_of(entry, "move_number") for entry in entries[: len(moves)]])
        self._snapshots(table, identity, board, players)
        self._history(table, identity)
        seats = self._of_game("game_players", identity, "player_number")
        if len(seats) not in (0, players):
            raise refuse("game_players", f"{len(seats)} rows", f"{players}, one for each seat")
        return ForeignGame(
            format=FORMAT,
            file=str(self.path),
            row=number,
            id=None if identity is None else str(identity),
            board=board,
            players=players,
            options=options,
            start=start,
            moves=moves,
            claims=_claims(row, seats, players, leaves(left), len(entries) - len(moves)),
            plies=table.claims(),
            seats=seats,
            seed=whole_of(row, "rng_seed"),
            source=text_of(row, "source"),
            started=seconds_of(row.get("created_at")),
            ms=whole_of(row, "duration_ms"),
        )

    def _start(
        self, identity: Any, board: str, players: int, row: Object
    ) -> tuple[ForeignState | None, Options]:
        found = self._of_game("game_initial_state", identity)
        told = row.get("metadata_json")
        more = read_object(told, "metadata_json") if isinstance(told, str | bytes) and told else {}
        if not found:
            return None, first_options({}, None, more)
        text = unpacked(
            found[0].get("initial_state_json"),
            compressed=bool(found[0].get("compressed")),
            name="initial_state_json",
        )
        fields = read_object(text, "initial_state_json")
        state = read_state(fields, board, players)
        return state, first_options(fields, state, more)

    def _snapshots(self, table: PlyTable, identity: Any, board: str, players: int) -> None:
        for row in self._of_game("game_state_snapshots", identity, "move_number"):
            number = whole_of(row, "move_number")
            text = unpacked(
                row.get("state_json"), compressed=bool(row.get("compressed")), name="state_json"
            )
            try:
                state = read_state(read_object(text, "state_json"), board, players)
            except VerificationError as error:
                raise error.at(f"snapshot {number}") from None
            table.add_snapshot(number, state, text_of(row, "state_hash"))

    def _history(self, table: PlyTable, identity: Any) -> None:
        for row in self._of_game("game_history_entries", identity, "move_number"):
            table.add_history(
                whole_of(row, "move_number"),
                before=text_of(row, "state_hash_before"),
                after=text_of(row, "state_hash_after"),
                phase=text_of(row, "phase_before"),
            )


def _move_fields(entry: Object, place: int) -> dict[str, Any]:
    """Return a move's JSON with what its columns say beside it."""
    try:
        text = entry.get("move_json")
        fields = read_object(text, "move_json") if isinstance(text, str | bytes) else {}
        for name, column in (("type", "move_type"), ("player", "player")):
            said = entry.get(column)
            if name == "type" and said is not None:
                same = names.move_name(fields.setdefault(name, said)) == names.move_name(said)
            else:
                same = said is None or fields.setdefault(name, said) == said
            if not same:
                raise refuse(f"move_json.{name}", fields[name], f"{said!r}, as column {column}")
        probabilities = entry.get("move_probs")
        if isinstance(probabilities, str | bytes) and probabilities:
            fields.setdefault("moveProbs", read_object(probabilities, "move_probs"))
    except VerificationError as error:
        raise VerificationError(error.reason, error.detail, ply=place, where=error.where) from None
    return fields


def _claims(
    row: Object, seats: list[dict[str, Any]], players: int, resigned: int | None, left: int
) -> Claims:
    plies = whole_of(row, "total_moves")
    return Claims(
        status=text_of(row, "game_status"),
        winner=whole_of(row, "winner"),
        reason=text_of(row, "termination_reason"),
        resigned=resigned,
        plies=None if plies is None else plies - left,
        score=Score(
            elim=_seat_numbers(seats, players, "final_eliminated_rings"),
            terr=_seat_numbers(seats, players, "final_territory_spaces"),
            hand=_seat_numbers(seats, players, "final_rings_in_hand"),
        ),
    )


def _seat_numbers(seats: list[dict[str, Any]], players: int, column: str) -> tuple[int, ...] | None:
    """Return a column of the players, None unless each has it."""
    told = [count for seat in seats if (count := whole_of(seat, column)) is not None]
    return tuple(told) if len(told) == players else None


# --- opening


@contextmanager
def open_replay_db(path: Path) -> Iterator[ReplayDb]:
    """Open a copy of a database that nobody can change; the file itself is only read.

    Raises `BusyError` while another process has it open, `DataError` for a file that is none,
    `RefusedError` for an unknown schema.
    """
    path = Path(path)
    _refuse_open(path)
    before = path.stat()
    with tempfile.TemporaryDirectory(prefix="ringrift-import-") as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(path, copy)
        after = path.stat()
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise BusyError("the database was changed while it was copied", where=str(path))
        try:
            uri = f"file:{quote(str(copy))}?mode=ro&immutable=1"
            connection = sqlite3.connect(uri, uri=True)
            try:
                yield ReplayDb(path, connection)
            finally:
                connection.close()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise DataError(f"the database is damaged: {error}", where=str(path)) from error


def _refuse_open(path: Path) -> None:
    """Raise `BusyError` for a database whose last transactions are not in the file yet."""
    for suffix in ("-wal", "-journal"):
        log = path.with_name(path.name + suffix)
        if log.exists() and log.stat().st_size > 0:
            raise BusyError(
                f"the database is open, or was not closed: {log.name} is there",
                where=str(path),
                hint="sqlite3 FILE 'PRAGMA wal_checkpoint(TRUNCATE)', once nobody uses it",
            )
    with path.open("rb") as file:
        query = struct.pack("hhqqi", fcntl.F_WRLCK, 0, _PENDING_BYTE, 512, 0)
        answer = fcntl.fcntl(file.fileno(), fcntl.F_GETLK, query)
    kind, _, _, _, pid = struct.unpack("hhqqi", answer)
    if kind != fcntl.F_UNLCK:
        raise BusyError(f"the database is open in process {pid}", where=str(path))
