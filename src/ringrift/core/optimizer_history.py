"""Keep what the optimizer saw and decided for 14 days (`core.md` 8).

Tables `utilization_metrics` and `optimization_history` in `data/coordination/optimizer.db`; several
processes may read while one writes.
"""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Self

from ringrift.core.files import open_sqlite, transaction
from ringrift.core.optimizer import Decision, Reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

FILE_NAME = "optimizer.db"
KEEP_S = 14 * 86_400.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS utilization_metrics (
    id INTEGER PRIMARY KEY,
    at_s REAL NOT NULL,
    cpu REAL, cpu_others REAL,
    gpu REAL, gpu_others REAL,
    memory REAL, memory_others REAL,
    workers INTEGER NOT NULL,
    games_per_hour REAL,
    demand_games_per_hour REAL
) STRICT;
CREATE INDEX IF NOT EXISTS utilization_by_time ON utilization_metrics (at_s);
CREATE TABLE IF NOT EXISTS optimization_history (
    id INTEGER PRIMARY KEY REFERENCES utilization_metrics (id) ON DELETE CASCADE,
    resource TEXT,
    input REAL, target REAL, error REAL,
    proportional REAL, integral REAL, derivative REAL, level REAL,
    workers_before INTEGER NOT NULL,
    workers INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    games_per_hour REAL NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
"""
_METRICS = (
    "cpu", "cpu_others", "gpu", "gpu_others", "memory", "memory_others",
    "workers", "games_per_hour", "demand_games_per_hour",
)  # fmt: skip
_DECISION = tuple(each.name for each in fields(Decision))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Hold one update: when it was (seconds since the epoch), percents it saw, what it decided."""

    at_s: float
    cpu: float | None
    gpu: float | None
    memory: float | None
    demand_games_per_hour: float | None
    decision: Decision


class History:
    """Write and read updates; a context manager that closes the database.

    Raises `DataError` for a file that is missing (`readonly`) or no database.
    """

    def __init__(
        self,
        path: Path,
        *,
        readonly: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        if not readonly:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._database = open_sqlite(path, readonly=readonly)
        if not readonly:
            self._database.executescript(_SCHEMA)

    def record(self, reading: Reading, decision: Decision) -> None:
        """Write one update and forget those older than 14 days; all or nothing."""
        now_s = self._clock()
        seen = [
            value
            for load in (reading.cpu, reading.gpu, reading.memory)
            for value in ((None, None) if load is None else (load.used, load.others))
        ]
        row = [now_s, *seen, reading.workers, reading.games_per_hour, reading.demand_games_per_hour]
        with transaction(self._database) as database:
            added = database.execute(_insert("utilization_metrics", ("at_s", *_METRICS)), row)
            database.execute(
                _insert("optimization_history", ("id", *_DECISION)),
                (added.lastrowid, *astuple(decision)),
            )
            database.execute("DELETE FROM utilization_metrics WHERE at_s < ?", (now_s - KEEP_S,))

    def last(self, count: int | None = None) -> list[Entry]:
        """Return the newest updates, or all of the 14 days, oldest first."""
        columns = ", ".join(f"decided.{name}" for name in _DECISION)
        rows = self._database.execute(
            "SELECT seen.at_s, seen.cpu, seen.gpu, seen.memory, seen.demand_games_per_hour, "  # noqa: S608 - our own column names
            f"{columns} FROM utilization_metrics AS seen "
            "JOIN optimization_history AS decided ON decided.id = seen.id "
            "ORDER BY seen.id DESC LIMIT ?",
            (-1 if count is None else count,),
        ).fetchall()
        return [
            Entry(
                at_s=row[0],
                cpu=row[1],
                gpu=row[2],
                memory=row[3],
                demand_games_per_hour=row[4],
                decision=Decision(**dict(zip(_DECISION, row[5:], strict=True))),
            )
            for row in reversed(rows)
        ]

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _insert(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names
