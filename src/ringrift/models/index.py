"""`models/registry.db`: an index over cards, decisions and evaluations (`models.md` 2).

It holds nothing that the files do not say. Opening it brings it in line with them: what is new is
read, what has gone is forgotten, what stands already is not opened again. There is one writer at a
time. A missing index is built anew from the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.core.files import lock, open_sqlite, transaction
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ringrift.models.decisions import Decision

log = get_logger(__name__)

NAME = "registry.db"
LOCK = ".registry.lock"
LOCK_WAIT_S = 60.0
VERSION = 1
FILE, CARD, FOLDER = 1, 2, 4
"""What stands under an id in `objects`: tensors, description, folder of evaluations."""

_ID = re.compile(r"[0-9a-f]{64}")
_ENDINGS = {"": FOLDER, "safetensors": FILE, "json": CARD}
_TABLES = """
CREATE TABLE models(
    id TEXT PRIMARY KEY, stands INT NOT NULL, problem TEXT, kind TEXT, config TEXT, board TEXT,
    players INT, label TEXT, created_at TEXT, host TEXT, parameters INT, random INT, parents TEXT
) STRICT;
CREATE TABLE chains(config TEXT PRIMARY KEY, files TEXT NOT NULL) STRICT;
CREATE TABLE decisions(
    config TEXT, place INT, kind TEXT, candidate TEXT, champion_before TEXT, champion TEXT, at TEXT,
    by TEXT, elo_diff REAL, elo_low REAL, elo_high REAL, games INT, PRIMARY KEY(config, place)
) STRICT;
CREATE TABLE folders(model TEXT PRIMARY KEY, changed_ns INT NOT NULL) STRICT;
CREATE TABLE evaluations(
    model TEXT, name TEXT, positions INT, value_error REAL, gap REAL, PRIMARY KEY(model, name)
) STRICT;
"""


@contextmanager
def open_index(models: Path) -> Iterator[sqlite3.Connection]:
    """Open the index of a models folder, in line with its files.

    Without the folder the index is empty and nothing is written. Raises `DataError` for a file that
    is no index, `BusyError` while another process writes for longer than a minute.
    """
    if not models.is_dir():
        connection = sqlite3.connect(":memory:")
        connection.executescript(_TABLES)
    else:
        connection = _opened(models)
    try:
        if models.is_dir() and _changes(connection, models):
            with lock(models / LOCK, timeout_s=LOCK_WAIT_S, what="the index of models"):
                _refresh(connection, models)
        yield connection
    finally:
        connection.close()


def rebuild(models: Path) -> int:
    """Make the index anew from cards, decisions and evaluations; return how many models it holds."""
    if models.is_dir():
        with lock(models / LOCK, timeout_s=LOCK_WAIT_S, what="the index of models"):
            for ending in ("", "-wal", "-shm"):
                (models / f"{NAME}{ending}").unlink(missing_ok=True)
    with open_index(models) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM models WHERE problem IS NULL"
        ).fetchone()
    return int(count)


def _opened(models: Path) -> sqlite3.Connection:
    path = models / NAME
    try:
        connection = open_sqlite(path)
    except DataError as error:
        raise DataError(error.message, where=error.where, hint="ringrift models rebuild") from None
    if _version(connection) == VERSION:
        return connection
    try:
        with lock(models / LOCK, timeout_s=LOCK_WAIT_S, what="the index of models"):
            _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, in place of those of another version."""
    with transaction(connection):
        if _version(connection) == VERSION:  # made by another process meanwhile
            return
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall():
            connection.execute(f'DROP TABLE "{name}"')
        for statement in _TABLES.split(";")[:-1]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")


# --- what the files say


def _standing(objects: Path) -> dict[str, int]:
    """Return what stands under each id: `FILE`, `CARD`, `FOLDER` added up; no file is opened."""
    found: dict[str, int] = {}
    for folder in _entries(objects):
        if len(folder.name) != 2:
            continue
        for entry in _entries(folder):
            stem, _, ending = entry.name.partition(".")
            if ending in _ENDINGS and _ID.fullmatch(stem):
                found[stem] = found.get(stem, 0) | _ENDINGS[ending]
    return {name: stands for name, stands in found.items() if stands & (FILE | CARD)}


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _chain_files(decisions: Path) -> dict[str, str]:
    """Return per configuration a digest over names, sizes and times of its decision files."""
    found: dict[str, str] = {}
    for folder in _entries(decisions):
        rows = []
        for entry in _entries(folder):
            if entry.name.endswith(".json"):
                facts = entry.stat()
                rows.append(f"{entry.name} {facts.st_size} {facts.st_mtime_ns}")
        if rows:
            found[folder.name] = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
    return found


def _evaluation_folders(objects: Path, standing: dict[str, int]) -> dict[str, int]:
    """Return when each model's folder of evaluations changed, in ns."""
    found: dict[str, int] = {}
    for model, stands in standing.items():
        if stands & FOLDER:
            with suppress(FileNotFoundError):
                found[model] = os.stat(_evaluations(objects, model)).st_mtime_ns  # noqa: PTH116
    return found


def _evaluations(objects: Path, model: str) -> str:
    return f"{objects}/{model[:2]}/{model}/evaluations"


# --- bringing it in line


def _known(connection: sqlite3.Connection, sql: str) -> dict[str, Any]:
    return dict(connection.execute(sql).fetchall())


def _changes(connection: sqlite3.Connection, models: Path) -> bool:
    objects = models / "objects"
    standing = _standing(objects)
    return (
        standing != _known(connection, "SELECT id, stands FROM models")
        or _chain_files(models / "decisions")
        != _known(connection, "SELECT config, files FROM chains")
        or _evaluation_folders(objects, standing)
        != _known(connection, "SELECT model, changed_ns FROM folders")
    )


def _refresh(connection: sqlite3.Connection, models: Path) -> None:
    objects = models / "objects"
    standing = _standing(objects)
    with transaction(connection):
        before = _known(connection, "SELECT id, stands FROM models")
        for model in before.keys() - standing.keys():
            connection.execute("DELETE FROM models WHERE id = ?", (model,))
        for model, stands in standing.items():
            if before.get(model) != stands:
                _put_model(connection, objects, model, stands)
        chains = _chain_files(models / "decisions")
        before = _known(connection, "SELECT config, files FROM chains")
        for config in before.keys() | chains.keys():
            if before.get(config) != chains.get(config):
                _put_chain(connection, models / "decisions", config, chains.get(config))
        folders = _evaluation_folders(objects, standing)
        before = _known(connection, "SELECT model, changed_ns FROM folders")
        for model in before.keys() | folders.keys():
            if before.get(model) != folders.get(model):
                _put_evaluations(connection, objects, model, folders.get(model))


def _put_model(connection: sqlite3.Connection, objects: Path, model: str, stands: int) -> None:
    row = _row(objects, model, stands)
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT OR REPLACE INTO models VALUES ({marks})", row)  # noqa: S608


def _row(objects: Path, model: str, stands: int) -> tuple[Any, ...]:
    from ringrift.models.cards import describe
    from ringrift.nets.container import ModelError

    try:
        known = describe(objects, model)
    except ModelError as error:
        log.warning("a model cannot be read", model=model[:12], code=error.code, why=error.detail)
        return (model, stands, error.code, *(None,) * 10)
    card = known.card
    shape = card.get("architecture")
    return (
        model,
        stands,
        None,
        _of(str, card.get("kind")),
        _of(str, card.get("config")),
        _of(str, card.get("board")),
        _of(int, card.get("players")),
        known.label,
        known.created_at,
        known.host,
        _of(int, shape.get("parameters")) if isinstance(shape, dict) else None,
        int(card.get("training") is None),
        json.dumps(known.parents),
    )


def _put_chain(
    connection: sqlite3.Connection, decisions: Path, config: str, files: str | None
) -> None:
    from ringrift.models.decisions import read_chain

    connection.execute("DELETE FROM decisions WHERE config = ?", (config,))
    connection.execute("DELETE FROM chains WHERE config = ?", (config,))
    if files is None:
        return
    connection.execute("INSERT INTO chains VALUES (?, ?)", (config, files))
    connection.executemany(
        "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_decided(decision) for decision in read_chain(decisions, config).decisions],
    )


def _decided(decision: Decision) -> tuple[Any, ...]:
    from ringrift.models.steps import elo_step

    step = elo_step(decision)
    return (
        decision.config,
        decision.sequence,
        decision.kind,
        decision.candidate,
        decision.champion_before,
        decision.champion,
        decision.at,
        decision.by,
        step.elo,
        step.low,
        step.high,
        step.games,
    )


def _put_evaluations(
    connection: sqlite3.Connection, objects: Path, model: str, changed_ns: int | None
) -> None:
    connection.execute("DELETE FROM evaluations WHERE model = ?", (model,))
    connection.execute("DELETE FROM folders WHERE model = ?", (model,))
    if changed_ns is None:
        return
    connection.execute("INSERT INTO folders VALUES (?, ?)", (model, changed_ns))
    for entry in sorted(os.listdir(_evaluations(objects, model))):  # noqa: PTH208
        if entry.startswith("holdout-") and entry.endswith(".json"):
            path = f"{_evaluations(objects, model)}/{entry}"
            connection.execute(
                "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?)", (model, entry, *_measured(path))
            )


def _measured(path: str) -> tuple[int | None, float | None, float | None]:
    """Return positions, value error and gap of a hold-out result, None where it does not say."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            found = json.load(file)
        held, gap = found["holdout"], found["gap"]
        return (
            _of(int, held.get("positions")),
            _of(float, held.get("value_error")),
            _of(float, gap.get("value")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("no result of an evaluation", file=path, why=repr(error))
        return None, None, None


def _of(kind: type, value: Any) -> Any:
    """Return a value of a kind, None for any other."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
