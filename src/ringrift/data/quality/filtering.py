"""Which trainable games are kept, by who played and how well, and what they weigh (data.md 7)."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ringrift.data.quality.ratings import RANDOM, Ratings
from ringrift.data.quality.weights import normalised
from ringrift.data.reading import reading
from ringrift.records.game_bytes import from_bytes

REASONS = ("ai_type", "timeout", "random", "unrated", "average_elo", "winner_elo")
"""Why a game is left out, in the order in which it is asked."""

_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterOptions:
    """What a game must be. `ai_types` are kinds or whole specs, one of which each seat has."""

    min_avg_elo: float = 1350.0
    min_winner_elo: float = 1300.0
    ai_types: tuple[str, ...] = ()
    exclude_timeout: bool = False
    exclude_random: bool = False
    exclude_unrated: bool = False


@dataclass(slots=True, kw_only=True)
class RatedAgent:
    """An agent of the games looked at: `elo` None is unrated."""

    spec: str
    elo: float | None
    games: int = 0


@dataclass(slots=True, kw_only=True)
class Filtered:
    """What a filter kept of a configuration: ids and weights of mean 1, in the same order.

    `unrated` counts the kept games of which a seat has no rating.
    """

    config: str
    games: int = 0
    unrated: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    agents: dict[str, RatedAgent] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class _Seat:
    agent: str
    spec: str

    @property
    def kind(self) -> str:
        return self.spec.partition(":")[0].partition("@")[0].partition("(")[0]


@dataclass(frozen=True, slots=True)
class _Game:
    id: str
    winner: int
    end: str
    seats: tuple[_Seat, ...]


def filter_games(
    stores: Sequence[Path], config: str, ratings: Ratings, options: FilterOptions
) -> Filtered:
    """Keep the trainable games of a configuration that fit, and weigh them by mean rating.

    A game with an unrated seat is judged by no rating and weighs 1; a game that several stores
    hold counts once.
    """
    done = Filtered(config=config)
    means: list[float | None] = []
    seen: set[str] = set()
    for path in stores:
        with reading(path) as connection:
            for game in _games(connection, config):
                if game.id in seen:
                    continue
                seen.add(game.id)
                done.games += 1
                elos = [ratings.of(seat.agent, seat.spec) for seat in game.seats]
                _note_agents(done, game, elos)
                mean = _mean(elos)
                reason = _excluded(connection, game, elos, mean, options)
                if reason is not None:
                    done.excluded[reason] += 1
                    continue
                done.unrated += mean is None
                done.ids.append(game.id)
                means.append(mean)
    done.weights = normalised(means)
    return done


def _excluded(
    connection: sqlite3.Connection,
    game: _Game,
    elos: Sequence[float | None],
    mean: float | None,
    options: FilterOptions,
) -> str | None:
    wanted = options.ai_types
    if wanted and not all(s.kind in wanted or s.spec in wanted for s in game.seats):
        return "ai_type"
    if options.exclude_timeout and game.end == "max_plies":
        return "timeout"
    if options.exclude_random and any(seat.kind == RANDOM for seat in game.seats):
        return "random"
    if mean is None:
        return "unrated" if options.exclude_unrated else None
    if mean < options.min_avg_elo:
        return "average_elo"
    if game.winner and _winner_elo(connection, game, elos, options) < options.min_winner_elo:
        return "winner_elo"
    return None


def _winner_elo(
    connection: sqlite3.Connection,
    game: _Game,
    elos: Sequence[float | None],
    options: FilterOptions,
) -> float:
    """Return the rating of who won; seats may have been exchanged, which only the moves tell."""
    known = [0.0 if elo is None else elo for elo in elos]
    if len({elo < options.min_winner_elo for elo in known}) == 1:
        return known[0]
    sql = "SELECT record FROM trainable WHERE id = ?"
    record = from_bytes(connection.execute(sql, (game.id,)).fetchone()[0])
    hashes = [agent.agent_hash for agent in record.agents]
    return known[hashes.index(record.agents_at_end[game.winner - 1].agent_hash)]


def _mean(elos: Sequence[float | None]) -> float | None:
    known = [elo for elo in elos if elo is not None]
    return sum(known) / len(known) if len(known) == len(elos) else None


def _note_agents(done: Filtered, game: _Game, elos: Sequence[float | None]) -> None:
    seats = {seat.agent: (seat.spec, elo) for seat, elo in zip(game.seats, elos, strict=True)}
    for agent, (spec, elo) in seats.items():
        done.agents.setdefault(agent, RatedAgent(spec=spec, elo=elo)).games += 1


def _games(connection: sqlite3.Connection, config: str) -> Iterator[_Game]:
    sql = (
        'SELECT seq, id, winner, "end" FROM trainable WHERE config = ? AND seq > ?'
        " ORDER BY seq LIMIT ?"
    )
    after = 0
    while True:
        rows = connection.execute(sql, (config, after, _PAGE)).fetchall()
        seats = _seats(connection, [row[1] for row in rows])
        for _, identity, winner, end in rows:
            yield _Game(identity, int(winner), end, tuple(seats[identity]))
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def _seats(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, list[_Seat]]:
    found: dict[str, list[_Seat]] = {identity: [] for identity in ids}
    marks = ", ".join("?" * len(ids))
    sql = f"SELECT game, agent, spec FROM game_agents WHERE game IN ({marks}) ORDER BY game, seat"  # noqa: S608
    for identity, agent, spec in connection.execute(sql, ids):
        found[identity].append(_Seat(agent, spec))
    return found
