"""How games enter the store: verified, or into quarantine with the reason (data.md 1, 2)."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field

from ringrift.core.ids import content_id
from ringrift.records.analysis_bytes import analysis_from_bytes, seal_pair
from ringrift.records.columns import split_of
from ringrift.records.game_bytes import from_bytes
from ringrift.records.gate import Gate
from ringrift.records.preparing import (
    Item,
    Outcome,
    Prepared,
    PreparedAnalysis,
    Repeated,
    prepare,
)
from ringrift.records.quarantine import WITHDRAWN
from ringrift.records.record import VerificationError
from ringrift.records.refused import Refused
from ringrift.records.verify import verify

__all__ = ["Ingest", "IngestReport", "Item", "ShardRow", "quarantine"]


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """What became of the games handed to `ingest`.

    `skipped` were taken by an earlier ingest of the same input. `duplicate_play` counts the added
    whose play is there under another id; `splits` and `purposes` the added, `reasons` the quarantined.
    """

    added: int = 0
    duplicate: int = 0
    quarantined: int = 0
    analyses: int = 0
    skipped: int = 0
    duplicate_play: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    purposes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def considered(self) -> int:
        """The games that were looked at."""
        return self.added + self.duplicate + self.quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRow:
    """A shard whose games were ingested; `origin` is the host it came from."""

    sha256: str
    path: str
    games: int
    size_bytes: int
    origin: str | None = None


class Ingest:
    """Takes games one by one within the caller's transactions."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        percents: tuple[int, int],
        gate: Gate,
        source: str,
        shard: ShardRow | None,
    ) -> None:
        self.report = IngestReport()
        self._connection = connection
        self._percents = percents
        self._gate = gate
        self._source = source
        self._shard = shard

    def take(self, item: Item) -> None:
        """Add a game and its analysis, unless they are here or do not verify."""
        self.put(prepare(item, self._gate, self.known))

    def put(self, outcome: Outcome) -> None:
        """Add what was prepared, count what is here, keep what was refused."""
        if isinstance(outcome, Refused):
            self._refuse(outcome)
        elif isinstance(outcome, Repeated) or self._has_game(outcome.id):
            if not outcome.further:
                self._repeated(outcome.id, outcome.purpose)
        else:
            self._add(outcome)
        if isinstance(outcome, Prepared) and outcome.analysis is not None:
            self._add_analysis(outcome.id, outcome.analysis)

    def note_progress(self, key: str, *, items: int, done: bool) -> None:
        """Write how far an input has been taken; with the last item of a shard, the shard."""
        self._connection.execute(
            "INSERT INTO progress (input, source, items, done, at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (input) DO UPDATE SET"
            " source = excluded.source, items = excluded.items, done = excluded.done, at = excluded.at",
            (key, self._source, items, int(done), time.time()),
        )
        if done:
            self.note_shard()

    def note_shard(self) -> None:
        """Write that all games of the shard were taken, if they are of one."""
        shard = self._shard
        if shard is None:
            return
        self._connection.execute(
            "INSERT OR IGNORE INTO shards (sha256, path, games, bytes, origin, ingested_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (shard.sha256, shard.path, shard.games, shard.size_bytes, shard.origin, time.time()),
        )

    # --- what is here already

    def known(self, game: str, analysis: str | None) -> bool:
        """Tell whether a game is here, with its analysis if it has one."""
        return self._has_game(game) and (analysis is None or self._has_analysis(analysis))

    def _has_game(self, identity: str) -> bool:
        sql = "SELECT 1 FROM games WHERE id = ? AND status = 'verified'"
        return self._connection.execute(sql, (identity,)).fetchone() is not None

    def _has_analysis(self, identity: str) -> bool:
        sql = "SELECT 1 FROM analyses WHERE id = ?"
        return self._connection.execute(sql, (identity,)).fetchone() is not None

    def _repeated(self, identity: str, purpose: str) -> None:
        """Count a game that is here; an import that was not admitted before gets its split now."""
        self.report.duplicate += 1
        if not self._gate.admit_imports or purpose != "import":
            return
        sql = "SELECT play_hash FROM games WHERE id = ? AND purpose = 'import' AND split = 'never'"
        row = self._connection.execute(sql, (identity,)).fetchone()
        if row is not None:
            split = self._split(row[0], purpose)
            sql = "UPDATE games SET split = ? WHERE id = ?"
            self._connection.execute(sql, (split, identity))

    # --- writing

    def _refuse(self, refused: Refused) -> None:
        self.report.quarantined += 1
        self.report.reasons[refused.error.reason] += 1
        pair = seal_pair(refused.data, refused.analysis)
        quarantine(self._connection, refused.error, pair, self._source)

    def _split(self, play: str, purpose: str) -> str:
        holdout, val = self._percents
        return split_of(
            play,
            purpose,
            holdout_percent=holdout,
            val_percent=val,
            admit_imports=self._gate.admit_imports,
        )

    def _add(self, game: Prepared) -> None:
        split = self._split(game.play, game.purpose)
        values = {
            **game.columns,
            "ingested_at": time.time(),
            "status": "verified",
            "split": split,
            "shard": None if self._shard is None else self._shard.sha256,
            "record": game.data,
        }
        self._make_room(game)
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        self._connection.execute(
            f"INSERT INTO games ({names}) VALUES ({marks})",  # noqa: S608 - names are ours
            tuple(values.values()),
        )
        self._connection.executemany(
            "INSERT INTO game_agents (game, seat, agent, model, spec) VALUES (?, ?, ?, ?, ?)",
            game.seats,
        )
        self.report.added += 1
        self.report.splits[split] += 1
        self.report.purposes[game.purpose] += 1
        sql = "SELECT 1 FROM games WHERE play_hash = ? AND id != ? AND status = 'verified' LIMIT 1"
        if self._connection.execute(sql, (game.play, game.id)).fetchone() is not None:
            self.report.duplicate_play += 1

    def _make_room(self, game: Prepared) -> None:
        """Take away the row of a game that failed a recheck: an intact copy comes in its place.

        Its bytes are in quarantine; so are those of its analyses that fit the game no more.
        """
        sql = "SELECT 1 FROM games WHERE id = ?"
        if self._connection.execute(sql, (game.id,)).fetchone() is None:
            return
        record = from_bytes(game.data)
        self._connection.execute("PRAGMA defer_foreign_keys = ON")  # until the transaction ends
        sql = "SELECT id, record FROM analyses WHERE game = ?"
        for identity, data in self._connection.execute(sql, (record.id,)).fetchall():
            try:
                verify(record, analysis_from_bytes(data))
            except VerificationError as error:
                pair = seal_pair(game.data, data)
                quarantine(self._connection, error, pair, WITHDRAWN)
                self._connection.execute("DELETE FROM analyses WHERE id = ?", (identity,))
        self._connection.execute("DELETE FROM game_agents WHERE game = ?", (record.id,))
        self._connection.execute("DELETE FROM games WHERE id = ?", (record.id,))

    def _add_analysis(self, game: str, analysis: PreparedAnalysis) -> None:
        if self._has_analysis(analysis.id):
            return
        self.report.analyses += 1
        self._connection.execute(
            "INSERT INTO analyses (id, game, agent, sims, plies, coverage, made_at, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                analysis.id,
                game,
                analysis.agent,
                analysis.sims,
                analysis.plies,
                analysis.coverage,
                time.time(),
                analysis.data,
            ),
        )


def quarantine(
    connection: sqlite3.Connection, error: VerificationError, pair: bytes, source: str
) -> None:
    """Keep the bytes of a game that was refused, with what is wrong with them."""
    detail = error.detail if error.where is None else f"{error.detail} ({error.where})"
    connection.execute(
        "INSERT OR IGNORE INTO quarantine (id, reason, ply, detail, source, at, record)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            content_id("quarantine", pair),
            error.reason,
            error.ply,
            detail,
            source,
            time.time(),
            pair,
        ),
    )
