"""The spool of a run: a journal of finished games, cut into shards part by part (selfplay.md 6).

    RUN.journal    where games are appended
    RUN.part       the journal that is being cut; it goes once its shards are durable

A process may be killed at any time: what is left of a part is cut again by the next one, into the
same shards.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from ringrift.core.files import lock, sync_folder
from ringrift.records.analysis import Analysis
from ringrift.records.journal import Journal
from ringrift.records.record import GameRecord
from ringrift.records.shards import MOST_BYTES, MOST_GAMES, ShardFile, write_shards
from ringrift.records.shards.layout import MOST_AGE_S


class Spool:
    """Takes the finished games of one run and makes shards of them. A context manager.

    `cut` is called by itself at `most_bytes` of journal, `most_games`, or by `append` and
    `cut_if_due` once the oldest game is `most_age_s` old. Raises `BusyError` if another process has
    this spool, `DataError` for a damaged journal, which stays as it is.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        shards: Path,
        *,
        most_bytes: int = MOST_BYTES,
        most_games: int = MOST_GAMES,
        most_age_s: float = MOST_AGE_S,
    ) -> None:
        self.path = Path(folder) / f"{run}.journal"
        self.shards = Path(shards)
        self._part = self.path.with_suffix(".part")
        self._limits = (most_bytes, most_games, most_age_s)
        self._began_s = time.monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(lock(self.path.with_name(f".{run}.spool.lock"), what="spool"))
            self.left_over = self._cut_part()
            self._journal = Journal(self.path)
            self._closing = stack.pop_all()

    def append(self, record: GameRecord, *analyses: Analysis | None) -> list[ShardFile]:
        """Add a game with its analyses; return the shards that this has made."""
        if not self._journal.games:
            self._began_s = time.monotonic()
        self._journal.append(record, *analyses)
        return self.cut_if_due()

    def cut_if_due(self) -> list[ShardFile]:
        """Cut if the part is full or old enough."""
        most_bytes, most_games, most_age_s = self._limits
        games, size = self._journal.games, self._journal.size_bytes
        old = games > 0 and time.monotonic() - self._began_s >= most_age_s
        return self.cut() if old or games >= most_games or size >= most_bytes else []

    def cut(self) -> list[ShardFile]:
        """Make shards of all games; when they are durable the part is dropped."""
        if not self._journal.games:
            return []
        self._journal.close()
        self.path.rename(self._part)
        sync_folder(self.path.parent)
        try:
            return self._cut_part()
        finally:
            self._journal = Journal(self.path)

    def _cut_part(self) -> list[ShardFile]:
        if not self._part.exists():
            return []
        made = write_shards(self.shards, Journal.read_bytes(self._part))
        self._part.unlink()
        sync_folder(self._part.parent)
        return made

    def close(self) -> list[ShardFile]:
        """Cut what is there, and let the next process in."""
        try:
            return self.cut()
        finally:
            self._journal.close()
            self._closing.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
