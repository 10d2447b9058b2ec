"""The file of a reanalysis: a journal while it grows, JSON lines once it is whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType

from ringrift.core.errors import UsageError
from ringrift.records.analysis import Analysis
from ringrift.records.journal import Journal
from ringrift.records.jsonl import write_jsonl
from ringrift.records.record import GameRecord
from ringrift.records.sources import read_games

Group = tuple[GameRecord, list[Analysis]]


class ReanalysisFile:
    """Games with their analyses, old and new; a context manager.

    A killed run leaves `FILE.journal`, from which the next one goes on. Without `append` an existing
    file is a `UsageError`: nothing that was searched is overwritten.
    """

    def __init__(self, path: Path, *, append: bool) -> None:
        if path.exists() and not append:
            raise UsageError(f"{path} exists", where="--output", hint="--append, or another file")
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(path.with_name(f"{path.name}.journal"))
        self._analyses: dict[str, Sequence[Analysis]] = {
            game.id: analyses for game, analyses in Journal.read_groups(self._journal.path)
        }
        if path.exists():
            for game, analyses in read_games(path):
                self._analyses.setdefault(game.id, analyses)

    def analyses(self, game: GameRecord) -> Sequence[Analysis]:
        """Return what the file holds of a game."""
        return self._analyses.get(game.id, ())

    def add(self, game: GameRecord, analyses: Sequence[Analysis]) -> None:
        """Put a game with all its analyses into the journal."""
        known: dict[str, Analysis] = {a.id: a for a in self.analyses(game)}
        known.update((a.id, a) for a in analyses)
        self._analyses[game.id] = list(known.values())
        self._journal.append(game, *known.values())

    def finish(self) -> int:
        """Write the file whole and remove the journal; return the number of games."""
        self._journal.sync()
        count = write_jsonl(self.path, self._all())
        self._journal.path.unlink()
        return count

    def __enter__(self) -> ReanalysisFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._journal.close()

    def _all(self) -> Iterator[Group]:
        """Yield the games of the file so far, then those that only the journal has."""
        written: set[str] = set()
        before = read_games(self.path) if self.path.exists() else iter(())
        for game, _ in chain(before, Journal.read_groups(self._journal.path)):
            if game.id not in written:
                written.add(game.id)
                yield game, list(self._analyses[game.id])
