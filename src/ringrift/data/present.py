"""Which configurations stores hold games of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ringrift.data.reading import reading


def configurations(
    stores: Sequence[Path],
    splits: Sequence[str],
    *,
    board: str | None = None,
    players: int | None = None,
) -> list[str]:
    """Return the configurations that have verified games of one of the splits, sorted."""
    found: set[str] = set()
    for path in stores:
        with reading(path) as connection:
            rows = connection.execute(
                "SELECT config, split FROM game_counts WHERE status = 'verified' AND games > 0"
            )
            found.update(config for config, split in rows if split in splits)
    return sorted(config for config in found if fits(config, board, players))


def fits(config: str, board: str | None, players: int | None) -> bool:
    """Tell whether a configuration such as `hex8_3p` is of a board and a number of players."""
    name, _, count = config.rpartition("_")
    return board in (None, name) and (players is None or count == f"{players}p")
