"""Where recorded games come from, and which of them are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ringrift.core.errors import DataError
from ringrift.records.parity.foreign_games import ForeignRow, is_replay_db, read_replay_db
from ringrift.records.parity.games import RecordedGame, recorded
from ringrift.records.parity.run import Item
from ringrift.records.parity.scenario import read_scenario
from ringrift.records.parity.stored import StoredGame, read_store, recorded_store_game
from ringrift.records.traces import Trace, read_traces

LEAST_PREFIX = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """At most `limit_per_file` games of each file or store (0: all), of them those in `ids`.

    Of stored games the first six digits or more will do. No `ids` means all.
    """

    limit_per_file: int = 0
    ids: frozenset[str] = frozenset()

    def of(self, games: Iterable[Item]) -> Iterator[Item]:
        """Yield the wanted games of one file or store."""
        wanted = (game for game in games if not self.ids or self._wants(game))
        return islice(wanted, self.limit_per_file or None)

    def _wants(self, game: Item) -> bool:
        if game.id in self.ids:
            return True
        return isinstance(game, StoredGame) and any(
            len(text) >= LEAST_PREFIX and game.id.startswith(text.lower()) for text in self.ids
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Files of recorded games, game stores or GameReplayDBs, and single scenarios."""

    corpora: Sequence[Path] = ()
    stores: Sequence[Path] = ()
    scenarios: Sequence[Path] = ()

    def items(self, selection: Selection) -> Iterator[Item]:
        """Yield the wanted games; raises `DataError` for a file that cannot be read."""
        for path in self.corpora:
            yield from selection.of(read_traces(path))
        for path in self.stores:
            foreign = is_replay_db(path)
            yield from selection.of(read_replay_db(path) if foreign else read_store(path))
        for path in self.scenarios:
            yield from selection.of([read_scenario(path)])


def as_recorded(item: Item) -> RecordedGame | None:
    """Return a game ply by ply; None where its record is damaged or foreign."""
    if isinstance(item, ForeignRow):
        return None
    try:
        if isinstance(item, Trace):
            return recorded(item)
        return recorded_store_game(item) if isinstance(item, StoredGame) else item
    except DataError:
        return None


def read_ids(path: Path) -> list[str]:
    """Read game ids, one a line; raises `DataError` for a file that cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as text: {error}", where=str(path)) from None
    return [line.strip() for line in lines if line.strip()]
