"""How fast this installation plays matches, from the times at which games were stored."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING

from ringrift.core.files import open_sqlite
from ringrift.records.schema import readable

if TYPE_CHECKING:
    from pathlib import Path

LEAST_GAMES = 20
MOST_GAMES = 2000
LONGEST_GAP_S = 120.0
"""Longer pauses are those between matches."""


def seconds_per_game(store: Path, config: str) -> float | None:
    """Return the mean time between match games of a configuration, None where few are stored."""
    if not store.is_file():
        return None
    sql = (
        "SELECT ingested_at FROM games WHERE config = ? AND purpose = 'match'"
        " ORDER BY ingested_at DESC LIMIT ?"
    )
    with readable(store), closing(open_sqlite(store, readonly=True)) as connection:
        times = [row[0] for row in connection.execute(sql, (config, MOST_GAMES))]
    gaps = [
        later - earlier for later, earlier in pairwise(times) if later - earlier <= LONGEST_GAP_S
    ]
    return sum(gaps) / len(gaps) if len(gaps) >= LEAST_GAMES - 1 else None
