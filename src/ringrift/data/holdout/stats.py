"""What is kept out of training, by configuration (data.md 9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ringrift.data.holdout.overlap import Band, position_overlap
from ringrift.data.present import configurations, fits
from ringrift.data.reading import reading
from ringrift.records.schema import VIEWS


@dataclass(slots=True, kw_only=True)
class HoldoutStats:
    """The hold-out of one configuration in all stores together.

    `positions` are those before each ply; `other_games` are the games of training and validation.
    `newest` is Unix seconds, when the last game was stored.
    """

    config: str
    games: int = 0
    positions: int = 0
    other_games: int = 0
    purposes: Counter[str] = field(default_factory=Counter)
    victories: Counter[str] = field(default_factory=Counter)
    newest: float | None = None
    bands: tuple[Band, ...] = ()

    @property
    def share(self) -> float | None:
        """Share of the games with a side that are kept out, None without any."""
        every = self.games + self.other_games
        return self.games / every if every else None


def holdout_stats(
    stores: Sequence[Path],
    *,
    board: str | None = None,
    players: int | None = None,
    on_game: Callable[[], None] = lambda: None,
) -> list[HoldoutStats]:
    """Describe the hold-out of each configuration that has games with a side, by name."""
    configs = configurations(stores, tuple(VIEWS), board=board, players=players)
    return [_described(stores, config, on_game) for config in configs]


def games_to_walk(stores: Sequence[Path], board: str | None, players: int | None) -> int:
    """Return how many games the overlap replays at most."""
    total = 0
    for path in stores:
        with reading(path) as connection:
            rows = connection.execute(
                "SELECT config, games FROM game_counts"
                " WHERE status = 'verified' AND split IN ('train', 'holdout')"
            )
            total += sum(games for config, games in rows if fits(config, board, players))
    return total


def _described(stores: Sequence[Path], config: str, on_game: Callable[[], None]) -> HoldoutStats:
    stats = HoldoutStats(config=config)
    others = (
        "SELECT coalesce(sum(games), 0) FROM game_counts"
        " WHERE config = ? AND status = 'verified' AND split IN ('train', 'val')"
    )
    facts = (
        "SELECT purpose, reason, count(*), sum(plies), max(ingested_at) FROM holdout"
        " WHERE config = ? GROUP BY 1, 2"
    )
    for path in stores:
        with reading(path) as connection:
            stats.other_games += connection.execute(others, (config,)).fetchone()[0]
            for purpose, reason, games, plies, at in connection.execute(facts, (config,)):
                stats.games += games
                stats.positions += plies
                stats.purposes[purpose] += games
                stats.victories[reason] += games
                stats.newest = max(at, stats.newest or at)
    stats.bands = position_overlap(stores, config, on_game=on_game)
    return stats
