"""Take over the match games and plans of another store, verified (`evaluation.md` 6)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import DataError, NotRunningError, RefusedError
from ringrift.core.files import open_sqlite
from ringrift.core.ids import content_id
from ringrift.evaluation.store_writer import writer_in_turn
from ringrift.records.game_bytes import from_bytes
from ringrift.records.recheck import Failure
from ringrift.records.record import VerificationError
from ringrift.records.schema import VERSION, readable, version_of
from ringrift.records.store import GameStore
from ringrift.records.stored_plans import KIND
from ringrift.records.verify import verify
from ringrift.rules.codec import layout_hash

Fingerprint = tuple[str, str, int]
"""Ranks, how it ended, winner: what two stores must say alike of one game."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedGame:
    """A game that does not follow from its moves: its id, what is wrong, whose copy it is."""

    id: str
    reason: str
    node: str


class MatchStore:
    """The match games and plans of a store, open for reading; a context manager's value."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def games(self, config: str) -> dict[str, Fingerprint]:
        """Return the match games of a configuration by id."""
        sql = (
            'SELECT id, ranks, "end", winner FROM games'
            " WHERE config = ? AND purpose = 'match' AND status = 'verified'"
        )
        with readable(self._path):
            rows = self._connection.execute(sql, (config,)).fetchall()
        return {identity: (ranks, end, int(winner)) for identity, ranks, end, winner in rows}

    def configs(self) -> set[str]:
        """Return the configurations that have match games."""
        sql = "SELECT config FROM game_counts WHERE purpose = 'match' AND status = 'verified' AND games"
        with readable(self._path):
            return {row[0] for row in self._connection.execute(sql)}

    def copy(self, identity: str) -> bytes:
        """Return the bytes of a game."""
        with readable(self._path):
            sql = "SELECT record FROM games WHERE id = ?"
            row = self._connection.execute(sql, (identity,)).fetchone()
        return bytes(row[0])

    def plans(self, config: str) -> dict[str, tuple[str, str]]:
        """Return (purpose, text) of the plans of a configuration by hash."""
        sql = "SELECT hash, purpose, plan FROM plans WHERE config = ?"
        with readable(self._path):
            rows = self._connection.execute(sql, (config,)).fetchall()
        return {identity: (purpose, text) for identity, purpose, text in rows}

    def fault(self, identity: str) -> str | None:
        """Replay a stored game; return what is wrong with it or its row, None if it holds."""
        try:
            record = from_bytes(self.copy(identity))
            verify(record)
        except VerificationError as error:
            return str(error)
        if record.id != identity:
            return f"its content is game {record.id[:12]}"
        result = record.result
        told = self.games(record.spec.config).get(identity)
        if told != (json.dumps(result.ranks), result.end, result.winner):
            return f"its row says {told}; its moves end with ranks {result.ranks}"
        return None


@contextmanager
def match_store(path: Path) -> Iterator[MatchStore]:
    """Open another node's store for reading.

    Raises `NotRunningError` where there is none, `RefusedError` for one of another version of the
    tables or the rules.
    """
    if not path.is_file():
        raise NotRunningError("no game store there", where=str(path))
    with readable(path), closing(open_sqlite(path, readonly=True)) as connection:
        version = version_of(connection)
        if version != VERSION:
            raise RefusedError(
                f"store of version {version}; this program has {VERSION}",
                where=str(path),
                hint="the same ringrift on both nodes",
            )
        sql = "SELECT rules_hash FROM games WHERE purpose = 'match' AND rules_hash != ? LIMIT 1"
        other = connection.execute(sql, (layout_hash,)).fetchone()
        if other is not None:
            raise RefusedError(
                f"match games of rules {other[0]}; this program has {layout_hash}",
                where=str(path),
                hint="the same ringrift on both nodes",
            )
        yield MatchStore(connection, path)


def take_games(
    store: Path, there: MatchStore, missing: Sequence[str], *, node: str
) -> tuple[int, list[RefusedGame]]:
    """Add games of another store that hold; return how many and those that do not."""
    if not missing:
        return 0, []
    with writer_in_turn(store) as here:
        report = here.ingest(
            ((there.copy(identity), None) for identity in missing), source=f"reconcile {node}"
        )
        left = [identity for identity in missing if not here.has(identity)]
    return report.added, [
        RefusedGame(id=identity, reason=there.fault(identity) or "refused", node=node)
        for identity in left
    ]


def settle(
    store: Path, there: MatchStore, disputed: Sequence[str], *, here_name: str, node: str
) -> list[RefusedGame]:
    """Recompute games of which two stores say different things; return the copies that are wrong.

    A wrong copy of ours goes to quarantine and the right one of theirs takes its place.
    """
    wrong = []
    for identity in disputed:
        fault = there.fault(identity)
        if fault is not None:
            wrong.append(RefusedGame(id=identity, reason=fault, node=node))
        with match_store(store) as here:
            ours = here.fault(identity)
        if ours is None:
            continue
        wrong.append(RefusedGame(id=identity, reason=ours, node=here_name))
        with writer_in_turn(store) as writer:
            writer.withdraw([Failure(id=identity, reason="conflict", detail=ours, ply=None)])
            if fault is None:
                writer.ingest([(there.copy(identity), None)], source=f"reconcile {node}")
    return wrong


def take_plans(store: Path, there: MatchStore, config: str) -> int:
    """Add the plans of another store that are what their hashes name; return how many.

    Raises `DataError` for one that is not.
    """
    found = there.plans(config)
    with GameStore.open(store) as opened:
        missing = {identity for identity in found if opened.plans.get(identity) is None}
    for identity in sorted(missing):
        if content_id(KIND, found[identity][1].encode()) != identity:
            raise DataError(f"plan {identity[:12]} is not what its hash names")
    if missing:
        with writer_in_turn(store) as writer:
            for identity in sorted(missing):
                purpose, text = found[identity]
                writer.plans.add(text.encode(), config=config, purpose=purpose)
    return len(missing)
