"""Keep the finished games of a run: journal first, then JSON lines and the store (selfplay.md 1, 6).

The parent alone writes. A game is in the journal, which survives `kill -9`, before anything else is
done with it. What is durable elsewhere too is named by a checkpoint, after which the journal begins
anew; a resumed run takes the checkpoint and adds what the journal holds beyond it.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ringrift.core.log import get_logger
from ringrift.records.analysis_bytes import analysis_to_bytes
from ringrift.records.game_bytes import to_bytes
from ringrift.records.game_json import analysis_to_json, to_json
from ringrift.records.journal import Journal
from ringrift.records.schema import CANONICAL
from ringrift.records.store import GameStore
from ringrift.selfplay.run_folder import (
    CHECKPOINT,
    RunFolder,
    indices_of,
    ranges_of,
    write_json,
)
from ringrift.selfplay.tally import Tally

if TYPE_CHECKING:
    from ringrift.records.record import GameRecord
    from ringrift.selfplay.plans import Played

log = get_logger(__name__)

COMMIT_GAMES = 500
COMMIT_AFTER_S = 2.0
CHECKPOINT_GAMES = 500
ABORTED = "error_status"
"""Why the gate keeps an aborted game out (data.md 2): no fault of its record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where games go: `store` and `jsonl` as asked, at least one of them; `journal` on the way.

    `kind` is that of a store that is made (`GameStore.open`). `brought` says that other processes
    bring the games into the store, where they are only looked for.
    """

    journal: Path
    store: Path | None
    jsonl: Path | None
    kind: str = CANONICAL
    brought: bool = False


class Recorder:
    """Writes the games of one run. A context manager; one at a time in a folder.

    With `resume` it begins with what the run has already: `done` are its indices, `waiting` the
    games that are in the journal alone and come first.
    """

    def __init__(self, folder: RunFolder, places: Places, players: int, *, resume: bool) -> None:
        self.folder = folder
        self.places = places
        self.tally = Tally(players=players)
        self.done: set[int] = set()
        self.waiting: list[Played] = []
        self._pending: list[Played] = []
        self._held: set[str] = set()
        self._encoded: dict[str, tuple[bytes, list[bytes]]] = {}
        self._recovered: set[int] = set()
        self._committed_s = time.monotonic()
        self._since_checkpoint = 0
        with ExitStack() as stack:
            stack.enter_context(folder.held())
            places.journal.parent.mkdir(parents=True, exist_ok=True)
            if not resume:
                places.journal.unlink(missing_ok=True)
            self._journal = Journal(places.journal)
            stack.callback(self._close_journal)
            self._store = None
            if places.store is not None:
                self._store = stack.enter_context(
                    GameStore.open(places.store, writer=not places.brought, kind=places.kind)
                )
            self._jsonl = None
            if places.jsonl is not None:
                self._jsonl = stack.enter_context(_Lines(places.jsonl))
            self._take_up(resume)
            self._closing = stack.pop_all()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write a last checkpoint and let the next writer in; an empty journal goes."""
        with self._closing:
            self.checkpoint()
            self._close_journal()
            if not self._since_checkpoint and not self._held:
                self.places.journal.unlink()

    def _close_journal(self) -> None:
        self._journal.close()

    def journaled(self, game: Played) -> None:
        """Put a finished game where `kill -9` cannot reach it; `add` or `leave_out` follows."""
        self._held.add(game[0].id)
        encoded = _encode(game)
        if self._store is not None:
            self._encoded[game[0].id] = encoded
        self._journal.append_bytes(*encoded)

    def add(self, game: Played) -> None:
        """Hand a journaled game on to the places and count it."""
        record = game[0]
        self._settle(record)
        self.tally.add(game)
        if self._jsonl is not None:
            self._jsonl.write(game)
        self._pending.append(game)
        late = time.monotonic() - self._committed_s >= COMMIT_AFTER_S
        if len(self._pending) >= COMMIT_GAMES or late:
            self.commit()

    def leave_out(self, game: Played) -> None:
        """Count a journaled game as finished without handing it on."""
        self._encoded.pop(game[0].id, None)
        self._settle(game[0])

    def commit(self) -> None:
        """Bring the games so far into the store, verified."""
        self._committed_s = time.monotonic()
        games, self._pending = self._pending, []
        again = [game for game in games if game[0].meta.index in self._recovered]
        self._ingest([game for game in games if game[0].meta.index not in self._recovered])
        duplicates = self.tally.duplicates
        self._ingest(again)
        self.tally.duplicates = duplicates  # a killed run may have stored them before

    def _ingest(self, games: list[Played]) -> None:
        if not games or self._store is None:
            return
        if self.places.brought:
            self._look_up(games, self._store)
            return
        items = [item for game in games for item in self._items(game)]
        report = self._store.ingest(items, source=self.folder.path.name)
        self.tally.quarantined += report.quarantined
        unverified = report.quarantined - report.reasons[ABORTED]
        self.tally.unverified += unverified
        further = len(items) - len(games)  # a game with several analyses comes once for each
        self.tally.duplicates += max(0, report.duplicate - further)
        if unverified:
            log.error("games did not verify", games=report.quarantined, why=dict(report.reasons))

    def _look_up(self, games: list[Played], store: GameStore) -> None:
        """Count games that others brought: those that were there before, and those refused."""
        for record, _ in games:
            self._encoded.pop(record.id, None)
            stored = store.get(record.id)
            if stored is None:
                self.tally.quarantined += 1
                self.tally.unverified += record.result.end != "aborted"
            elif stored[0].meta.run != record.meta.run:
                self.tally.duplicates += 1

    def _items(self, game: Played) -> list[tuple[bytes, bytes | None]]:
        """Return a game as the store takes it: once with each of its analyses."""
        known = self._encoded.pop(game[0].id, None)
        data, analyses = _encode(game) if known is None else known
        return [(data, analysis) for analysis in analyses] or [(data, None)]

    def checkpoint(self) -> None:
        """Make everything durable and begin the journal anew, unless a game is held back."""
        self.commit()
        if not self._since_checkpoint or self._held:
            return
        self._write_checkpoint()
        self._close_journal()
        self.places.journal.unlink()
        self._journal = Journal(self.places.journal)

    def _write_checkpoint(self) -> None:
        size = None if self._jsonl is None else self._jsonl.sync()
        write_json(
            self.folder.path / CHECKPOINT,
            {
                "done": ranges_of(self.done),
                "tally": self.tally.as_tree(),
                "jsonl_bytes": size,
            },
        )
        self._recovered.clear()
        self._since_checkpoint = 0

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return self._since_checkpoint >= CHECKPOINT_GAMES

    def _settle(self, record: GameRecord) -> None:
        assert record.meta.index is not None
        self.done.add(record.meta.index)
        self._held.discard(record.id)
        self._since_checkpoint += 1

    def _take_up(self, resume: bool) -> None:
        checkpoint = self.folder.checkpoint if resume else None
        if checkpoint is not None:
            self.done = indices_of(checkpoint["done"])
            self.tally = Tally.from_tree(checkpoint["tally"])
            if self._jsonl is not None and checkpoint["jsonl_bytes"] is not None:
                self._jsonl.cut(checkpoint["jsonl_bytes"])
        if checkpoint is None:
            self._write_checkpoint()  # what stands in a file of JSON lines by now is not ours
        self.waiting = [
            (record, tuple(analyses))
            for record, analyses in Journal.read_groups(self.places.journal)
            if record.meta.index not in self.done
        ]
        self._held = {record.id for record, _ in self.waiting}
        self._recovered = {
            game[0].meta.index for game in self.waiting if game[0].meta.index is not None
        }


def _encode(game: Played) -> tuple[bytes, list[bytes]]:
    return to_bytes(game[0]), [analysis_to_bytes(analysis) for analysis in game[1]]


class _Lines:
    """JSON lines, appended; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> _Lines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def write(self, game: Played) -> None:
        """Append a game and its statistics."""
        record, analyses = game
        lines = [to_json(record), *(analysis_to_json(one, record) for one in analyses)]
        left = memoryview(("\n".join(lines) + "\n").encode())
        while left:
            left = left[os.write(self._file, left) :]

    def sync(self) -> int:
        """Fsync and return the size."""
        os.fsync(self._file)
        return os.fstat(self._file).st_size

    def cut(self, size: int) -> None:
        """Take back what was written after the last checkpoint: the journal has it."""
        os.ftruncate(self._file, size)
