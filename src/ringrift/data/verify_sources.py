"""Refuse stores that may not be learned from; every trainer and exporter asks first (data.md 12)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import DataError, RefusedError, RingriftError
from ringrift.data.reading import reading
from ringrift.data.registry import (
    Entry,
    entry_of,
    kind_of_store,
    oldest_gate,
    read_registry,
    registry_around,
)
from ringrift.records.gate import GATE_VERSION
from ringrift.records.schema import CANONICAL

CODES = (
    "missing",
    "schema",
    "not_canonical",
    "gate_outdated",
    "count_mismatch",
    "hash_mismatch",
)
"""What can be wrong with a store, in the order in which it is looked at."""

_REMEDIES = {
    "missing": "an existing file",
    "schema": "ringrift games verify",
    "not_canonical": "ringrift data pool --input-db FILE, which takes its games through the gate",
    "gate_outdated": "ringrift data pool --recheck-existing",
    "count_mismatch": "ringrift games verify, then ringrift data pool",
    "hash_mismatch": "ringrift games verify, then ringrift data pool",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a store is no source of training: one of `CODES`, with what was found."""

    db: str
    code: str
    detail: str

    @property
    def remedy(self) -> str:
        """What helps."""
        return _REMEDIES[self.code]


def check_sources(paths: Sequence[Path], registry: Path | None = None) -> list[Problem]:
    """Return what is wrong with each store; an empty list means that all may be learned from.

    Each is compared with its entry in `registry`, without one in the registry of the data root
    around it; games that came later are no fault. A store without an entry must hold by itself.
    Raises `DataError` for a damaged registry.
    """
    problems: list[Problem] = []
    for path in paths:
        file = registry if registry is not None else registry_around(path)
        known: Mapping[Path, Entry] = {} if file is None else read_registry(file)
        problems += [
            Problem(db=str(path), code=code, detail=detail)
            for code, detail in _faults(path, known.get(path.resolve()))
        ]
    return problems


def require_sources(paths: Sequence[Path], registry: Path | None = None) -> None:
    """Raise `RefusedError` (exit 4) with code and remedy for the first store that is no source."""
    for problem in check_sources(paths, registry):
        raise RefusedError(
            f"{problem.code}: {problem.detail}", where=problem.db, hint=problem.remedy
        )


def _faults(path: Path, entry: Entry | None) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        yield "missing", "no such file"
        return
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(reading(path))
        except (DataError, RefusedError) as error:
            yield "schema", _plain(error)
            return
        try:
            faults = list(_faults_inside(connection, entry))
        except sqlite3.DatabaseError as error:
            faults = [("schema", f"the game store is damaged: {error}")]
    yield from faults


def _faults_inside(
    connection: sqlite3.Connection, entry: Entry | None
) -> Iterator[tuple[str, str]]:
    kind = kind_of_store(connection)
    if kind != CANONICAL:
        yield "not_canonical", f"found a store of kind {kind!r}; expected {CANONICAL!r}"
    gate = oldest_gate(connection)
    if gate < GATE_VERSION:
        yield "gate_outdated", f"found games let in by gate {gate}; expected gate {GATE_VERSION}"
    if entry is None:
        return
    held = entry_of(connection, entry.games_upto)
    if held.games != entry.games:
        upto = f"verified games up to number {entry.games_upto}"
        yield "count_mismatch", f"found {held.games:,} {upto}; expected {entry.games:,}"
    elif held.ids_hash != entry.ids_hash:
        found, expected = held.ids_hash[:12], entry.ids_hash[:12]
        yield "hash_mismatch", f"found the id set {found}; expected the registered {expected}"


def _plain(error: RingriftError) -> str:
    return error.message
