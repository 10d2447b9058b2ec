"""Finished games of one side of the stores: found, drawn by hash, replayed (data.md 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ringrift.data.dataset import ExportOptions, Plan, PlannedGame, blocks
from ringrift.data.dataset.filters import COMPLETED
from ringrift.data.dataset.views import Row, Views
from ringrift.data.walk import state_hashes
from ringrift.records.record import GameRecord
from ringrift.rules import BoardSpec
from ringrift.training.measuring.positions import Q_MIX, Positions, positions_of

GAMES_AT_ONCE = 32

Found = tuple[int, Row]
"""A game and the number of its store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Games of a specification that stand on one side of the stores, `train` or `holdout`."""

    stores: tuple[Path, ...]
    spec: BoardSpec
    split: str
    games: tuple[Found, ...]

    def __len__(self) -> int:
        return len(self.games)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the games, in their order."""
        return tuple(row.id for _, row in self.games)

    def drawn(self, most: int) -> Side:
        """Return at most so many games, those with the smallest hash of their id, ordered by id.

        It is a random part, and always the same.
        """
        chosen = sorted(self.games, key=lambda game: _order(game[1].id))[:most]
        return self._of(sorted(chosen, key=lambda game: game[1].id))

    def without(self, ids: frozenset[str]) -> Side:
        """Return the games that are none of these."""
        return self._of([game for game in self.games if game[1].id not in ids])

    def only(self, ids: frozenset[str]) -> Side:
        """Return those games that are among these."""
        return self._of([game for game in self.games if game[1].id in ids])

    def count_valued(self, most: int) -> int:
        """Count the positions whose game says what they are worth, until there are so many."""
        count = 0
        for positions in self.positions():
            count += int(np.count_nonzero(positions.table.value_weight))
            if count >= most:
                break
        return count

    def filled(self, further: Side, least: int) -> Side:
        """Return the games with as many of the further ones, first stored first, as it needs.

        It needs `least` positions with a value; where all of them have fewer, all are taken.
        """
        found, plays = list(self.games), {row.play for _, row in self.games}
        count = self.count_valued(least)
        for game in sorted(further.games, key=lambda game: game[1].seq):
            if count >= least:
                break
            if game[1].play not in plays:
                found.append(game)
                count += self._of([game]).count_valued(least)
        return self._of(sorted(found, key=lambda game: game[1].id))

    def newest(self, most: int) -> Side:
        """Return the games played last, at most so many."""
        return self._of(sorted(self.games, key=lambda game: -game[1].played_at)[:most])

    def positions(self, *, q_mix: float = Q_MIX) -> Iterator[Positions]:
        """Replay the games, some at once, and yield their decisions."""
        plan = self._plan()
        for first in range(0, len(self.games), GAMES_AT_ONCE):
            ids = self.ids[first : first + GAMES_AT_ONCE]
            yield positions_of([block for _, block in blocks(plan, ids)], plan.spec, q_mix=q_mix)

    def state_hashes(self) -> NDArray[np.uint64]:
        """Return the sorted hashes of all positions of the games."""
        found = [state_hashes(record) for record in self._records()]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)

    def _of(self, games: Sequence[Found]) -> Side:
        return Side(stores=self.stores, spec=self.spec, split=self.split, games=tuple(games))

    def _records(self) -> Iterator[GameRecord]:
        with ExitStack() as stack:
            opened = [stack.enter_context(Views(path)) for path in self.stores]
            for store, group in groupby(self.games, key=lambda game: game[0]):
                yield from opened[store].records([row.id for _, row in group], self.split)

    def _plan(self) -> Plan:
        with ExitStack() as stack:
            opened = [stack.enter_context(Views(path)) for path in self.stores]
            percent = max((views.holdout_percent for views in opened), default=0)
        games = tuple(
            PlannedGame(
                id=row.id,
                store=store,
                seq=row.seq,
                split=row.split,
                play=row.play,
                plies=row.plies,
                analyses=tuple(identity for identity, _ in row.analyses),
            )
            for store, row in self.games
        )
        return Plan(
            spec=self.spec,
            options=ExportOptions(splits=(self.split,)),
            stores=self.stores,
            games=games,
            excluded={},
            games_upto={},
            holdout_percent=percent,
            considered=len(games),
            duplicates=0,
            held_out=0,
        )


def find_games(
    stores: Sequence[Path],
    spec: BoardSpec,
    split: str,
    *,
    since: int = 0,
    upto: int | None = None,
) -> Side:
    """Return the finished games of these rules on one side of the stores, each play once.

    Games with a sequence number below `since` or above `upto` do not count.
    """
    best: dict[str, Found] = {}
    for number, path in enumerate(stores):
        with Views(path) as views:
            for row in views.rows(spec.config, split):
                if row.spec_hash != spec.hash or row.end not in COMPLETED:
                    continue
                if row.seq < since or (upto is not None and row.seq > upto):
                    continue
                other = best.get(row.play)
                if other is None or row.id < other[1].id:
                    best[row.play] = (number, row)
    games = sorted(best.values(), key=lambda game: game[1].id)
    return Side(stores=tuple(stores), spec=spec, split=split, games=tuple(games))


def _order(identity: str) -> tuple[str, str]:
    return hashlib.sha256(identity.encode()).hexdigest(), identity
