"""What the newest games of each configuration say; every game is looked at once (`loop.md` 3)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from ringrift.core.errors import RingriftError
from ringrift.data.quality.score import (
    LAST_GAMES,
    LAST_INGESTED,
    LAST_LINES,
    Look,
    Looks,
    config_of_refused,
    look_at,
    score_of,
)
from ringrift.loop.facts import GateFacts, PlayFacts

if TYPE_CHECKING:
    from ringrift.records.recent import RecentGame, RecentRefusal
    from ringrift.records.store import GameStore

FIRST_LOOK = 1_000
"""Games whose moves and searches are read at the start; from then on up to `LAST_GAMES` are known."""
HOUR_S = 3600.0
RATE_EVERY_S = 10.0
SELFPLAY = "selfplay"


@dataclass(slots=True)
class _Window:
    """The newest games of one configuration, oldest first; `trainable` ones by the hash of the play."""

    ingested: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=LAST_INGESTED))
    refused: deque[float] = field(default_factory=lambda: deque(maxlen=LAST_INGESTED))
    winners: deque[int] = field(default_factory=lambda: deque(maxlen=LAST_GAMES))
    trainable: dict[str, Look] = field(default_factory=dict)
    looks: Looks = field(default_factory=Looks)
    played: deque[Look] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    next_index: dict[str, int] = field(default_factory=dict)
    listed: bool = False
    new: tuple[int, int, int] | None = None
    gates: GateFacts | None = None
    openings: tuple[float | None, float | None] | None = None
    rate: tuple[float, int] | None = None
    error: RingriftError | None = None

    def drop(self, play: str) -> None:
        self.looks.add(self.trainable.pop(play), -1)


class NewestGames:
    """Keeps the newest games of some configurations in mind; `refresh` before each look.

    `full_simulations` is what a full search of the profile has.
    """

    def __init__(self, store: GameStore, configs: Sequence[str], *, full_simulations: int) -> None:
        self.store = store
        self.top = 0
        self._full_simulations = full_simulations
        self._refused_to = 0
        self._recounting = False
        self._windows: dict[str, _Window] = {}
        self._configs = tuple(configs)

    def refresh(self) -> None:
        """See what was stored since the last time."""
        before, self.top = self.top, self.store.max_seq()
        recent = self.store.recent
        if not self._windows:
            for config in self._configs:
                self._windows[config] = _Window()
                self._take(config, recent.newest(config, LAST_GAMES))
        elif self.top > before:
            found: dict[str, list[RecentGame]] = {}
            for game in recent.after(before):
                found.setdefault(game.config, []).append(game)
            for config, games in found.items():
                if config in self._windows:
                    self._take(config, games)
                    self._count_indices(self._windows[config], games)
        self._recounting = recent.copied(after=before, upto=self.top) if before else False
        if self.top > before:
            for config, window in self._windows.items():
                if window.gates is None:
                    try:
                        self._look(config, window, before)
                    except RingriftError as error:
                        window.error = error
        self._refuse(recent.refused_after(self._refused_to, most=LAST_GAMES))

    def forget(self) -> None:
        """Look at the store anew the next time."""
        self.top = self._refused_to = 0
        self._windows = {}

    def require(self, config: str) -> None:
        """Raise what was wrong with a game of a configuration when it was looked at."""
        error = self._windows[config].error
        if error is not None:
            raise error

    def new_games(self, config: str, upto: int) -> int:
        """Count the verified trainable games with numbers above `upto`."""
        window = self._windows[config]
        known = window.new
        recent = self.store.recent
        if known is None or known[0] != upto or self._recounting:
            count = recent.trainable(config, after=upto, upto=self.top)
        elif known[1] < self.top:
            count = known[2] + recent.trainable(config, after=max(upto, known[1]), upto=self.top)
        else:
            return known[2]
        window.new = (upto, self.top, count)
        return count

    def gates(self, config: str) -> GateFacts:
        """Return what the gates of a training look at, except the faults of a preflight.

        After a start quality and the share with policy are those of the newest 1,000 games, and of
        up to 5,000 as games arrive.
        """
        window = self._windows[config]
        if window.gates is None:
            newest = islice(reversed(window.trainable.values()), LAST_LINES)
            lines = [look.line for look in newest]
            ingested = _last_ingested(window)
            seats = Counter(window.winners)
            players = int(config[-2])
            window.gates = GateFacts(
                quality=score_of(config, window.looks, lines, ingested).score,
                failure_rate=ingested.count(False) / len(ingested) if ingested else None,
                policy_share=window.looks.policy_share,
                needs_policy=window.looks.searching > 0,
                seat_wins=tuple(seats[seat] for seat in range(1, players + 1)),
                seat_games=len(window.winners),
            )
        return window.gates

    def play(self, config: str, now: float, *, runs: str) -> PlayFacts:
        """Return how self-play goes; `runs` begins the names of the runs whose indices are told.

        The games of the last hour are counted every 10 s.
        """
        window = self._windows[config]
        if not window.listed:  # what comes later is counted as it comes
            window.listed = True
            recent = self.store.recent
            window.next_index |= {run: recent.next_index(run) for run in recent.runs(runs)}
        if window.rate is None or not 0 <= now - window.rate[0] < RATE_EVERY_S:
            window.rate = (now, self.store.recent.since(config, now - HOUR_S))
        if window.openings is None:
            window.openings = _openings(window.played)
        capped, distinct = window.openings
        return PlayFacts(
            games_last_hour=window.rate[1],
            move_limit_share=capped,
            distinct_openings=distinct,
            next_index=_beginning(window.next_index, runs),
        )

    def _take(self, config: str, games: Iterable[RecentGame]) -> None:
        window = self._windows[config]
        for game in games:
            window.ingested.append((game.ingested_at, game.verified))
            if game.purpose == SELFPLAY and game.verified:
                window.winners.append(game.winner)
        window.gates = None

    def _count_indices(self, window: _Window, games: Iterable[RecentGame]) -> None:
        for game in games:
            if game.purpose != SELFPLAY or game.run is None or game.index is None:
                continue
            if game.run not in window.next_index:
                window.next_index[game.run] = self.store.recent.next_index(game.run)
            else:
                known = window.next_index[game.run]
                window.next_index[game.run] = max(known, game.index + 1)

    def _look(self, config: str, window: _Window, before: int) -> None:
        most = LAST_GAMES if before else FIRST_LOOK
        found = self.store.recent.looks(config, after=before, upto=self.top, most=most)
        looks = [
            (play, look_at(record, analyses, self._full_simulations))
            for play, record, analyses in found
        ]
        for play, look in reversed(looks):
            window.played.append(look)
            if play is None:
                continue
            if play in window.trainable:  # of several copies the one that counts came last
                window.drop(play)
            elif len(window.trainable) == LAST_GAMES:
                window.drop(next(iter(window.trainable)))
            window.trainable[play] = look
            window.looks.add(look)
        window.openings = None

    def _refuse(self, refused: Iterable[RecentRefusal]) -> None:
        for game in refused:
            self._refused_to = game.number
            window = self._windows.get(config_of_refused(game.pair) or "")
            if window is not None:
                window.refused.append(game.at)
                window.gates = None


def _last_ingested(window: _Window) -> list[bool]:
    """Tell of the last games that came in whether they verified, the last one first."""
    full = len(window.ingested) == LAST_INGESTED
    since = window.ingested[0][0] if full else 0.0
    found = [*window.ingested, *((at, False) for at in window.refused if at >= since)]
    found.sort(key=lambda one: -one[0])
    return [verified for _, verified in found[:LAST_INGESTED]]


def _openings(played: Sequence[Look]) -> tuple[float | None, float | None]:
    """Return the shares of games cut by the ply limit and of distinct first lines."""
    if not played:
        return None, None
    capped = sum(not look.by_rules for look in played) / len(played)
    return capped, len({look.line for look in played}) / len(played)


def _beginning(indices: Mapping[str, int], start: str) -> dict[str, int]:
    return {run: index for run, index in indices.items() if run.startswith(start)}
