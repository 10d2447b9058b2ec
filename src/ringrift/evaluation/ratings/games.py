"""The match games of a configuration as arrays, read from the columns of a store (`evaluation.md` 5).

Games stand in order of their ids, agents in order of their hashes: what is read does not depend on
the order in which games came.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.core.files import open_sqlite
from ringrift.evaluation.ratings.strengths import Ints, Outcomes
from ringrift.records.game_bytes import from_bytes, meta_from_bytes
from ringrift.records.schema import prepare, readable
from ringrift.rules import BoardSpec
from ringrift.rules.spec import parse_config

CAPPED = "max_plies"
UNFINISHED = (CAPPED, "aborted")
LONGEST_GAME_S = 3600.0
"""Longer than any match game takes: an older start is an end before the same time too."""

_FITS = "g.config = ? AND g.purpose = 'match' AND g.status = 'verified'"
_GAMES = (
    'SELECT g.id, g.ranks, g."end", g.run, g."index", g.played_at, g.spec_hash FROM games g'  # noqa: S608
    f" WHERE {_FITS} ORDER BY g.id"
)
_SEATS = (
    "SELECT g.id, a.seat, a.agent, a.spec, a.model FROM games g"  # noqa: S608 - names of this file
    f" CROSS JOIN game_agents a ON a.game = g.id WHERE {_FITS} ORDER BY g.id, a.seat"
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Participant:
    """An agent of a configuration: SHA-256 that names it, resolved spec, model id if it has one."""

    agent_hash: str
    spec: str
    model_id: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RatedGames:
    """Match games of one configuration: `G` games of `N` seats between `A` participants.

    `seats`: `int64[G, N]` index of the participant whose the result of each seat is, `ranks`:
    `int64[G, N]`, 0 where a game was not finished, `blocks`: `int64[G]` number of the block, `runs`:
    `int64[G]` into `run_names`, -1 for none, `started`: Unix seconds, NaN where unknown.
    """

    config: str
    participants: tuple[Participant, ...]
    ids: tuple[str, ...]
    seats: Ints
    ranks: Ints
    capped: NDArray[np.bool_]
    blocks: Ints
    runs: Ints
    run_names: tuple[str, ...]
    started: NDArray[np.float64]

    @property
    def players(self) -> int:
        """Seats of a game."""
        return int(self.seats.shape[1])

    @cached_property
    def finished(self) -> NDArray[np.bool_]:
        """`bool[G]`: games that have a ranking."""
        return np.asarray(self.ranks[:, 0] > 0)

    @cached_property
    def ids_hash(self) -> str:
        """64 hex digits of the set of games."""
        digest = hashlib.sha256()
        for identity in self.ids:
            digest.update(bytes.fromhex(identity))
        return digest.hexdigest()

    def outcomes(self, chosen: NDArray[np.bool_]) -> Outcomes:
        """Return the games that `chosen`: `bool[G]` marks, as the fit takes them."""
        _, blocks = np.unique(self.blocks[chosen], return_inverse=True)
        return Outcomes(
            seats=self.seats[chosen],
            ranks=self.ranks[chosen],
            blocks=blocks.astype(np.int64).reshape(-1),
        )

    def index(self, agent: str) -> int | None:
        """Return the index of an agent hash, None for one that did not play."""
        return self._indices.get(agent)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {p.agent_hash: number for number, p in enumerate(self.participants)}


def read_games(store: Path, config: str, *, as_of: float | None = None) -> RatedGames:
    """Read the match games of a configuration, or those ended until `as_of` (Unix seconds).

    A store that does not exist has none. Raises `DataError` naming the store for a damaged one.
    """
    if not store.exists():
        return _arrays(store, config, [], [])
    with _snapshot(store) as connection:
        games = connection.execute(_GAMES, (config,)).fetchall()
        seats = connection.execute(_SEATS, (config,)).fetchall()
        if as_of is not None:
            kept = {game[0] for game in games if _ended(connection, game, as_of)}
            games = [game for game in games if game[0] in kept]
            seats = [seat for seat in seats if seat[0] in kept]
        return _arrays(store, config, games, _moved(connection, config, games, seats))


def game_ids(store: Path, config: str) -> list[str]:
    """Return the ids of the match games of a configuration, in order."""
    if not store.exists():
        return []
    sql = f"SELECT g.id FROM games g WHERE {_FITS} ORDER BY g.id"  # noqa: S608 - constant above
    with _snapshot(store) as connection:
        return [row[0] for row in connection.execute(sql, (config,))]


@contextmanager
def _snapshot(store: Path) -> Iterator[sqlite3.Connection]:
    with readable(store), closing(open_sqlite(store, readonly=True)) as connection:
        prepare(connection, store, writer=False)
        connection.execute("BEGIN")
        yield connection


_Game = tuple[str, str, str, str | None, int | None, float | None, str]
_Seat = tuple[str, int, str, str, str | None]


def _ended(connection: sqlite3.Connection, game: _Game, as_of: float) -> bool:
    """Tell whether a game had ended by a time; one that started long before it had."""
    started = game[5]
    if started is None or started > as_of:
        return False
    if started < as_of - LONGEST_GAME_S:
        return True
    row = connection.execute("SELECT record FROM games WHERE id = ?", (game[0],)).fetchone()
    return started + (meta_from_bytes(row[0]).ms or 0) / 1000.0 <= as_of


def _moved(
    connection: sqlite3.Connection, config: str, games: list[_Game], seats: list[_Seat]
) -> list[_Seat]:
    """Exchange who sat at seats 1 and 2 in games with an odd number of swaps (rules.md 18).

    Only games of other rules than the plain ones can have a swap; no column tells of it.
    """
    plain = BoardSpec.create(*parse_config(config)).hash
    sql = "SELECT record FROM games WHERE id = ?"
    swapped = set()
    for game in games:
        if game[6] != plain:
            record = from_bytes(connection.execute(sql, (game[0],)).fetchone()[0])
            if record.agents_at_end != record.agents:
                swapped.add(game[0])
    if not swapped:
        return seats
    moved = [
        (game, {1: 2, 2: 1}.get(seat, seat) if game in swapped else seat, *who)
        for game, seat, *who in seats
    ]
    return sorted(moved, key=lambda row: row[:2])  # type: ignore[arg-type]


def _arrays(store: Path, config: str, games: list[_Game], seats: list[_Seat]) -> RatedGames:
    players = parse_config(config)[1]
    if len(seats) != len(games) * players:
        raise DataError(
            f"{len(seats)} seats of {len(games)} match games of {config}", where=str(store)
        )
    participants = _participants(seats)
    number = {p.agent_hash: index for index, p in enumerate(participants)}
    ranks = _Ranks(store, players)
    rows = [ranks.of(game) for game in games]
    runs = {name: index for index, name in enumerate(sorted({g[3] for g in games if g[3]}))}
    return RatedGames(
        config=config,
        participants=participants,
        ids=tuple(game[0] for game in games),
        seats=np.array([number[seat[2]] for seat in seats], dtype=np.int64).reshape(-1, players),
        ranks=np.array(rows, dtype=np.int64).reshape(-1, players),
        capped=np.array([game[2] == CAPPED for game in games], dtype=bool),
        blocks=_blocks(games, players),
        runs=np.array([runs[g[3]] if g[3] else -1 for g in games], dtype=np.int64),
        run_names=tuple(runs),
        started=np.array([math.nan if g[5] is None else g[5] for g in games], dtype=np.float64),
    )


def _participants(seats: list[_Seat]) -> tuple[Participant, ...]:
    """Return the agents; of one that is written in several ways, the first in order of text."""
    found: dict[str, Participant] = {}
    names = {(agent, spec, model or "") for _, _, agent, spec, model in seats}
    for agent, spec, model in sorted(names, reverse=True):
        found[agent] = Participant(agent_hash=agent, spec=spec, model_id=model or None)
    return tuple(found[agent] for agent in sorted(found))


class _Ranks:
    """Reads the column `ranks`, each text once."""

    def __init__(self, store: Path, players: int) -> None:
        self._store = store
        self._players = players
        self._known: dict[str, tuple[int, ...]] = {}

    def of(self, game: _Game) -> tuple[int, ...]:
        """Return the ranks of a game, zeros for one that was not finished."""
        identity, text, end, *_ = game
        if end in UNFINISHED:
            return (0,) * self._players
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._parsed(identity, text)
        return found

    def _parsed(self, identity: str, text: str) -> tuple[int, ...]:
        try:
            found = tuple(int(rank) for rank in json.loads(text))
        except (ValueError, TypeError):
            found = ()
        if len(found) not in (0, self._players) or not all(1 <= r <= self._players for r in found):
            raise DataError(
                f"ranks: found {text!r:.40}; expected {self._players} ranks, or none",
                where=f"{self._store} game {identity[:12]}",
            )
        return found or (0,) * self._players


def _blocks(games: list[_Game], players: int) -> Ints:
    """Return block numbers: one opening of a run; a game outside a run is a block of its own."""
    names: dict[tuple[str | None, int | str], int] = {}
    numbers = [
        names.setdefault(
            (game[3], game[4] // players) if game[3] and game[4] is not None else (None, game[0]),
            len(names),
        )
        for game in games
    ]
    return np.array(numbers, dtype=np.int64)
