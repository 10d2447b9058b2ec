"""Keep a share of the play out of training (data.md 1, 9)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import RefusedError
from ringrift.data.reading import reading
from ringrift.data.shards import holdout_percent
from ringrift.records.columns import TRAINABLE_PURPOSES, split_of
from ringrift.records.schema import HOLDOUT_PERCENT, VAL_PERCENT
from ringrift.records.store import GameStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What a store keeps out: `percent` of the play, `before` until now.

    `games` are kept out, `moved` of them since now; `other_games` are of training and validation.
    """

    percent: int
    before: int
    moved: int
    games: int
    other_games: int


def reserve(store_path: Path, percent: int | None) -> Reserved:
    """Set the share of a store, which is made if missing; None keeps what it has.

    Raises `RefusedError` for less than the store keeps out: those games may have been seen.
    """
    with GameStore.open(store_path, writer=True) as store:
        before, (held, _) = holdout_percent(store_path), _sides(store_path)
        wanted = before if percent is None else percent
        store.raise_holdout(wanted)
    games, others = _sides(store_path)
    return Reserved(
        percent=wanted, before=before, moved=games - held, games=games, other_games=others
    )


def would_reserve(store_path: Path, percent: int | None) -> Reserved:
    """Say what `reserve` would do, and change nothing; raises as it does."""
    if not store_path.is_file():
        wanted = HOLDOUT_PERCENT if percent is None else percent
        return Reserved(percent=wanted, before=HOLDOUT_PERCENT, moved=0, games=0, other_games=0)
    before = holdout_percent(store_path)
    wanted = before if percent is None else percent
    if wanted < before:
        raise RefusedError(
            f"holdout percent is {wanted}; the store keeps out {before}", where=str(store_path)
        )
    games, others = _sides(store_path)
    with reading(store_path) as connection:
        moved = _would_move(connection, wanted)
    return Reserved(
        percent=wanted, before=before, moved=moved, games=games + moved, other_games=others - moved
    )


def _sides(store_path: Path) -> tuple[int, int]:
    """Count the games kept out, and those of training and validation."""
    sql = (
        "SELECT coalesce(sum(games) FILTER (WHERE split = 'holdout'), 0),"
        " coalesce(sum(games) FILTER (WHERE split IN ('train', 'val')), 0)"
        " FROM game_counts WHERE status = 'verified'"
    )
    with reading(store_path) as connection:
        games, others = connection.execute(sql).fetchone()
    return int(games), int(others)


def _would_move(connection: sqlite3.Connection, percent: int) -> int:
    plays = connection.execute(
        "SELECT play_hash FROM games WHERE split IN ('train', 'val') AND status = 'verified'"
    )
    sides = (
        split_of(play, TRAINABLE_PURPOSES[0], holdout_percent=percent, val_percent=VAL_PERCENT)
        for (play,) in plays
    )
    return sum(side == "holdout" for side in sides)
