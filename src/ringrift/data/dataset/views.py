"""Read-only access to the views of a store, the only source of samples (data.md 1).

No statement here names the table of games: a game that is not verified, of another purpose, or a
further copy of a play cannot be reached.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import open_sqlite
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import stored_analysis
from ringrift.records.game_bytes import from_bytes
from ringrift.records.record import GameRecord
from ringrift.records.schema import VIEWS, prepare, readable

_PAGE = 5_000
_BYTES_PAGE = 200
_VARIABLES = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a view says of a game. `analyses`: (id, simulations), newest first."""

    seq: int
    id: str
    play: str
    split: str
    spec_hash: str
    plies: int
    end: str
    reason: str
    agents: tuple[str, ...]
    played_at: float
    analyses: tuple[tuple[str, int], ...]


class Views:
    """The views of one store; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._closing = ExitStack()
        with readable(self.path), ExitStack() as stack:
            self._connection = open_sqlite(self.path, readonly=True)
            stack.callback(self._connection.close)
            prepare(self._connection, self.path, writer=False)
            self._closing = stack.pop_all()

    def __enter__(self) -> Views:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    @property
    def holdout_percent(self) -> int:
        """Share of the play that the store keeps out of training."""
        rows = self._all("SELECT value FROM meta WHERE key = 'holdout_percent'")
        try:
            return int(rows[0][0])
        except (IndexError, ValueError):
            raise DataError("no share of the hold-out", where=str(self.path)) from None

    def configurations(self, splits: Sequence[str]) -> set[str]:
        """Return the configurations that have games on these sides."""
        found: set[str] = set()
        for split in splits:
            found.update(row[0] for row in self._all(f"SELECT DISTINCT config FROM {_view(split)}"))  # noqa: S608
        return found

    def newest(self, config: str, splits: Sequence[str]) -> int:
        """Return the highest sequence number of a configuration's games, 0 for none."""
        queries = (f"SELECT max(seq) FROM {_view(s)} WHERE config = ?" for s in splits)  # noqa: S608
        return max(int(self._all(sql, config)[0][0] or 0) for sql in queries)

    def oldest(self, ids: Sequence[str], split: str) -> int | None:
        """Return the lowest sequence number of some games, None where none of them is on this side."""
        found: list[int] = []
        for first in range(0, len(ids), _VARIABLES):
            page = ids[first : first + _VARIABLES]
            sql = f"SELECT min(seq) FROM {_view(split)} WHERE id IN ({_marks(page)})"  # noqa: S608
            found += [int(row[0]) for row in self._all(sql, *page) if row[0] is not None]
        return min(found, default=None)

    def count(self, config: str, split: str) -> int:
        """Return the number of games of a view."""
        return int(self._all(f"SELECT count(*) FROM {_view(split)} WHERE config = ?", config)[0][0])  # noqa: S608

    def verified(self, config: str, split: str) -> int:
        """Return the number of verified games of a side, further copies of a play included."""
        sql = (
            "SELECT coalesce(sum(games), 0) FROM game_counts"
            " WHERE config = ? AND split = ? AND status = 'verified'"
        )
        return int(self._all(sql, config, split)[0][0])

    def rows(self, config: str, split: str) -> Iterator[Row]:
        """Yield the games of a configuration in the order they were stored."""
        after = 0
        sql = (
            'SELECT seq, id, play_hash, spec_hash, plies, "end", reason, agents, played_at'  # noqa: S608
            f" FROM {_view(split)} WHERE config = ? AND seq > ? ORDER BY seq LIMIT {_PAGE}"
        )
        while True:
            page = self._all(sql, config, after)
            searched = self._searched([row[1] for row in page])
            for seq, identity, play, spec_hash, plies, end, reason, agents, played_at in page:
                yield Row(
                    seq=int(seq),
                    id=identity,
                    play=play,
                    split=split,
                    spec_hash=spec_hash,
                    plies=int(plies),
                    end=end,
                    reason=reason,
                    agents=tuple(json.loads(agents)),
                    played_at=float(played_at or 0.0),
                    analyses=tuple(searched.get(identity, ())),
                )
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def records(self, ids: Sequence[str], split: str) -> Iterator[GameRecord]:
        """Yield the games of a view by id, in the order given; raises `DataError` for a missing one."""
        for first in range(0, len(ids), _BYTES_PAGE):
            page = ids[first : first + _BYTES_PAGE]
            sql = f"SELECT id, record FROM {_view(split)} WHERE id IN ({_marks(page)})"  # noqa: S608
            found = dict(self._all(sql, *page))
            for identity in page:
                if identity not in found:
                    raise DataError(
                        f"game {identity} is on the side {split!r} no more",
                        where=str(self.path),
                        hint="run the export again",
                    )
                yield from_bytes(found[identity])

    def searches(self, ids: Sequence[str]) -> dict[str, Analysis]:
        """Return analyses by id."""
        found: dict[str, tuple[str, Analysis]] = {}
        for first in range(0, len(ids), _VARIABLES):
            page = ids[first : first + _VARIABLES]
            sql = f"SELECT id, record FROM analyses WHERE id IN ({_marks(page)})"  # noqa: S608
            for identity, data in self._all(sql, *page):
                found[identity] = stored_analysis(data)
        for identity in ids:
            if identity not in found:
                raise DataError(f"analysis {identity} is not there", where=str(self.path))
            if found[identity][0] != identity:
                raise DataError(
                    f"analysis {identity} has the id {found[identity][0]}", where=str(self.path)
                )
        return {identity: analysis for identity, (_, analysis) in found.items()}

    def held_out(self, plays: Sequence[str]) -> set[str]:
        """Return those of some plays that the store keeps out of training."""
        found: set[str] = set()
        for first in range(0, len(plays), _VARIABLES):
            page = plays[first : first + _VARIABLES]
            sql = f"SELECT play_hash FROM holdout WHERE play_hash IN ({_marks(page)})"  # noqa: S608
            found.update(row[0] for row in self._all(sql, *page))
        return found

    def _searched(self, ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for first in range(0, len(ids), _VARIABLES):
            page = ids[first : first + _VARIABLES]
            sql = (
                f"SELECT game, id, sims FROM analyses WHERE game IN ({_marks(page)})"  # noqa: S608
                " ORDER BY game, made_at DESC, id"
            )
            for game, identity, sims in self._all(sql, *page):
                found.setdefault(game, []).append((identity, int(sims)))
        return found

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with readable(self.path):
            return self._connection.execute(sql, values).fetchall()


def _view(split: str) -> str:
    if split not in VIEWS:
        raise UsageError(f"unknown side {split!r}; expected one of {', '.join(VIEWS)}")
    return VIEWS[split]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
