"""The registry of stores: what each held when the pool was last built (data.md 12)."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.files import lock, write_atomic
from ringrift.core.paths import MARKER
from ringrift.data.reading import reading
from ringrift.records.gate import GATE_VERSION
from ringrift.records.schema import CANONICAL

REGISTRY_FORMAT = "ringrift.registry/1"
REGISTRY_NAME = "registry.json"
_LOCK_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a store held: its verified games up to the sequence number `games_upto`.

    `ids_hash` is the SHA-256 over their ids, sorted, each followed by a newline. `gate_version` is
    the oldest among them, this program's for none.
    """

    kind: str
    gate_version: int
    games: int
    quarantined: int
    games_upto: int
    ids_hash: str


def register(root: Path, store_path: Path) -> Entry:
    """Write what a store holds now into the registry of a data root; return it.

    Raises `DataError` for a damaged registry or store, `BusyError` where others hold the registry.
    """
    with reading(store_path) as connection:
        entry = entry_of(connection)
    path = registry_path(root)
    with lock(path.with_name(f".{path.name}.lock"), timeout_s=_LOCK_TIMEOUT_S, what="registry"):
        stores = dict(read_registry(path)) if path.exists() else {}
        stores[store_path.resolve()] = entry
        tree = {
            "format": REGISTRY_FORMAT,
            "stores": {
                _shown(store, root): asdict(stores[store])
                for store in sorted(stores, key=lambda store: _shown(store, root))
            },
        }
        write_atomic(path, (json.dumps(tree, indent=1) + "\n").encode())
    return entry


def registry_path(root: Path) -> Path:
    """Return where a data root keeps its registry."""
    return root / "data" / REGISTRY_NAME


def registry_around(store_path: Path) -> Path | None:
    """Return the registry of the data root that holds a store, None where there is none."""
    for folder in store_path.resolve().parents:
        if (folder / MARKER).is_file():
            path = registry_path(folder)
            return path if path.is_file() else None
    return None


def read_registry(path: Path) -> Mapping[Path, Entry]:
    """Return the registered stores; raises `DataError` naming file and field.

    Names of stores are relative to the data root, two folders above the file.
    """
    try:
        tree = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "$", str(error)) from None
    if not isinstance(tree, dict) or tree.get("format") != REGISTRY_FORMAT:
        found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise _damaged(path, "format", f"found {found!r}; expected {REGISTRY_FORMAT}")
    stores = tree.get("stores")
    if not isinstance(stores, dict):
        raise _damaged(path, "stores", f"found {stores!r:.80}; expected an object")
    root = path.resolve().parent.parent
    return {(root / name).resolve(): _entry(path, name, value) for name, value in stores.items()}


def entry_of(connection: sqlite3.Connection, upto: int | None = None) -> Entry:
    """Say what a store holds, of games up to the sequence number `upto` only, if one is given."""
    newest = int(connection.execute("SELECT coalesce(max(seq), 0) FROM games").fetchone()[0])
    upto = newest if upto is None else upto
    left_out = {
        row[0] for row in connection.execute("SELECT seq FROM games WHERE status != 'verified'")
    }
    digest, games = hashlib.sha256(), 0
    for seq, identity in connection.execute("SELECT seq, id FROM games ORDER BY id"):
        if seq <= upto and seq not in left_out:
            digest.update(f"{identity}\n".encode())
            games += 1
    (quarantined,) = connection.execute("SELECT count(*) FROM quarantine").fetchone()
    return Entry(
        kind=kind_of_store(connection),
        gate_version=oldest_gate(connection),
        games=games,
        quarantined=int(quarantined),
        games_upto=upto,
        ids_hash=digest.hexdigest(),
    )


def kind_of_store(connection: sqlite3.Connection) -> str:
    """Return what a store says that it is: `canonical` or `selfplay`."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'kind'").fetchone()
    return CANONICAL if row is None else str(row[0])


def oldest_gate(connection: sqlite3.Connection) -> int:
    """Return the oldest version of the gate that let a verified game in."""
    sql = "SELECT min(gate_version) FROM games WHERE status = 'verified'"
    (oldest,) = connection.execute(sql).fetchone()
    return GATE_VERSION if oldest is None else int(oldest)


def _entry(path: Path, name: str, value: Any) -> Entry:
    where = f"stores.{name}"
    if not isinstance(value, dict):
        raise _damaged(path, where, f"found {value!r:.80}; expected an object")
    made: dict[str, Any] = {}
    for field in fields(Entry):
        found = value.get(field.name)
        wanted = str if field.type == "str" else int
        if type(found) is not wanted:
            expected = "a text" if wanted is str else "a whole number"
            raise _damaged(
                path, f"{where}.{field.name}", f"found {found!r:.80}; expected {expected}"
            )
        made[field.name] = found
    return Entry(**made)


def _damaged(path: Path, where: str, what: str) -> DataError:
    hint = "ringrift data pool, which writes it anew once the file is away"
    return DataError(f"damaged registry: {what}", where=f"{path} field {where}", hint=hint)


def _shown(store: Path, root: Path) -> str:
    """Name a store below the root relative to it, so that the root may be moved."""
    base = root.resolve()
    return str(store.relative_to(base)) if store.is_relative_to(base) else str(store)
