"""How games enter the store: verified, or into quarantine with the reason (data.md 1, 2)."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field

from ringrift.core.ids import content_id
from ringrift.records.analysis_bytes import analysis_from_bytes, analysis_to_bytes, seal_pair
from ringrift.records.columns import derived, split_of
from ringrift.records.game_bytes import to_bytes
from ringrift.records.gate import GATE_VERSION, Checked, Gate, opened
from ringrift.records.record import Analysis, GameRecord, VerificationError
from ringrift.records.refused import Refused
from ringrift.records.verify import verify

Item = tuple[GameRecord | bytes, Analysis | bytes | None] | Refused


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """What became of the games handed to `ingest`.

    `skipped` were taken by an earlier ingest of the same input. `duplicate_play` counts the added
    whose play is there under another id; `splits` the added by side, `reasons` the quarantined.
    """

    added: int = 0
    duplicate: int = 0
    quarantined: int = 0
    analyses: int = 0
    skipped: int = 0
    duplicate_play: int = 0
    splits: Counter[str] = field(default_factory=Counter)
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
        if isinstance(item, Refused):
            self._refuse(item.error, item.data, None)
            return
        game, analysis = item
        if self._known(game, analysis):
            self._repeated(game)
            return
        data = game if isinstance(game, bytes) else to_bytes(game)
        found = analysis_to_bytes(analysis) if isinstance(analysis, Analysis) else analysis
        try:
            checked = opened(data, found)
            if self._known(checked.record, checked.analysis):
                self._repeated(checked.record)
                return
            play = self._gate.check(checked.record, checked.analysis)
        except VerificationError as error:
            self._refuse(error, data, found)
            return
        if self._has_game(checked.record.id):
            self._repeated(checked.record)
        else:
            self._add(checked, play)
        if checked.analysis is not None and not self._has_analysis(checked.analysis.id):
            self.report.analyses += 1
            self._insert_analysis(checked)

    def note_progress(self, key: str, *, items: int, done: bool) -> None:
        """Write how far an input has been taken; with the last item of a shard, the shard."""
        self._connection.execute(
            "INSERT INTO progress (input, source, items, done, at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (input) DO UPDATE SET"
            " source = excluded.source, items = excluded.items, done = excluded.done, at = excluded.at",
            (key, self._source, items, int(done), time.time()),
        )
        shard = self._shard
        if done and shard is not None:
            self._connection.execute(
                "INSERT OR IGNORE INTO shards (sha256, path, games, bytes, origin, ingested_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    shard.sha256,
                    shard.path,
                    shard.games,
                    shard.size_bytes,
                    shard.origin,
                    time.time(),
                ),
            )

    # --- what is here already

    def _known(self, game: GameRecord | bytes, analysis: Analysis | bytes | None) -> bool:
        """Tell whether a decoded game is here, with its analysis if it has one."""
        if isinstance(game, bytes) or isinstance(analysis, bytes):
            return False
        known = analysis is None or self._has_analysis(analysis.id)
        return known and self._has_game(game.id)

    def _has_game(self, identity: str) -> bool:
        sql = "SELECT 1 FROM games WHERE id = ? AND status = 'verified'"
        return self._connection.execute(sql, (identity,)).fetchone() is not None

    def _has_analysis(self, identity: str) -> bool:
        sql = "SELECT 1 FROM analyses WHERE id = ?"
        return self._connection.execute(sql, (identity,)).fetchone() is not None

    def _repeated(self, game: GameRecord | bytes) -> None:
        """Count a game that is here; an import that was not admitted before gets its split now."""
        self.report.duplicate += 1
        if not self._gate.admit_imports or isinstance(game, bytes):
            return
        sql = "SELECT play_hash FROM games WHERE id = ? AND purpose = 'import' AND split = 'never'"
        row = self._connection.execute(sql, (game.id,)).fetchone()
        if row is not None:
            split = self._split(row[0], "import")
            sql = "UPDATE games SET split = ? WHERE id = ?"
            self._connection.execute(sql, (split, game.id))

    # --- writing

    def _refuse(self, error: VerificationError, data: bytes, analysis: bytes | None) -> None:
        self.report.quarantined += 1
        self.report.reasons[error.reason] += 1
        quarantine(self._connection, error, seal_pair(data, analysis), self._source)

    def _split(self, play: str, purpose: str) -> str:
        holdout, val = self._percents
        return split_of(
            play,
            purpose,
            holdout_percent=holdout,
            val_percent=val,
            admit_imports=self._gate.admit_imports,
        )

    def _add(self, checked: Checked, play: str) -> None:
        record = checked.record
        split = self._split(play, record.meta.purpose)
        values = {
            **derived(record, play),
            "gate_version": GATE_VERSION,
            "ingested_at": time.time(),
            "status": "verified",
            "split": split,
            "shard": None if self._shard is None else self._shard.sha256,
            "record": checked.data,
        }
        self._make_room(record)
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        self._connection.execute(
            f"INSERT INTO games ({names}) VALUES ({marks})",  # noqa: S608 - names are ours
            tuple(values.values()),
        )
        self._connection.executemany(
            "INSERT INTO game_agents (game, seat, agent, model, spec) VALUES (?, ?, ?, ?, ?)",
            [
                (record.id, seat, agent.agent_hash, agent.model_id, agent.spec)
                for seat, agent in enumerate(record.agents, 1)
            ],
        )
        self.report.added += 1
        self.report.splits[split] += 1
        sql = "SELECT 1 FROM games WHERE play_hash = ? AND id != ? AND status = 'verified' LIMIT 1"
        if self._connection.execute(sql, (play, record.id)).fetchone() is not None:
            self.report.duplicate_play += 1

    def _make_room(self, record: GameRecord) -> None:
        """Take away the row of a game that failed a recheck: an intact copy comes in its place.

        Its bytes are in quarantine; so are those of its analyses that fit the game no more.
        """
        sql = "SELECT 1 FROM games WHERE id = ?"
        if self._connection.execute(sql, (record.id,)).fetchone() is None:
            return
        self._connection.execute("PRAGMA defer_foreign_keys = ON")  # until the transaction ends
        sql = "SELECT id, record FROM analyses WHERE game = ?"
        for identity, data in self._connection.execute(sql, (record.id,)).fetchall():
            try:
                verify(record, analysis_from_bytes(data))
            except VerificationError as error:
                pair = seal_pair(to_bytes(record), data)
                quarantine(self._connection, error, pair, "the store itself")
                self._connection.execute("DELETE FROM analyses WHERE id = ?", (identity,))
        self._connection.execute("DELETE FROM game_agents WHERE game = ?", (record.id,))
        self._connection.execute("DELETE FROM games WHERE id = ?", (record.id,))

    def _insert_analysis(self, checked: Checked) -> None:
        analysis = checked.analysis
        assert analysis is not None
        searched = len(analysis.plies)
        self._connection.execute(
            "INSERT INTO analyses (id, game, agent, sims, plies, coverage, made_at, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                analysis.id,
                analysis.game,
                analysis.agent,
                max((p.sims for p in analysis.plies), default=0),
                searched,
                searched / len(checked.record.moves),
                time.time(),
                checked.analysis_data,
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
