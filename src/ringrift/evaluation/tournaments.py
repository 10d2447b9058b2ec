"""Tournaments: a field of agents, rounds of meetings, a table (`evaluation.md` 9).

A tournament holds no state. Its first round follows from field and seed, each later one from the
stored games of those before, so the same tournament begun again goes on where it ended and comes to
the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.core.errors import DataError, UsageError
from ringrift.core.ids import canonical_json, content_id
from ringrift.evaluation.pairing import (
    REACH_ELO,
    TARGET_ELO,
    Estimate,
    Group,
    chain,
    estimate,
    next_groups,
    round_robin,
)
from ringrift.evaluation.plans import MatchPlan, OpeningChoice
from ringrift.evaluation.ratings.fit import ANCHOR, Z95, Fit, fit, frozen_specs
from ringrift.evaluation.ratings.history import chosen
from ringrift.evaluation.ratings.leaderboard import name_of

if TYPE_CHECKING:
    from ringrift.evaluation.ratings.games import RatedGames
    from ringrift.evaluation.results import MatchResult
    from ringrift.records.record import AgentRef
    from ringrift.rules import BoardSpec

MOST_ROUND_ROBIN = 10
"""Largest field in which everyone meets everyone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One match of a tournament: its round (from 0), who meets, and its plan."""

    round: int
    group: Group
    plan: MatchPlan

    @property
    def title(self) -> str:
        """Who meets, as a line of progress shows it."""
        return " vs ".join(name_of(agent.spec) for agent in self.plan.participants)


Play = Callable[[Sequence[Meeting]], list["MatchResult"]]
"""Plays what is missing of some meetings, or looks at what is stored of them."""
ReadGames = Callable[[], "RatedGames"]
"""Reads the match games of the configuration."""
Rate = Callable[["RatedGames"], Fit]
"""Fits ratings."""


@dataclass(frozen=True, kw_only=True)
class Tournament:
    """Who plays, how much, and who meets whom.

    `games` are those of a meeting, rounded up to whole blocks; `blocks` says them for each meeting
    of a round robin instead. Fields of more than ten, and any with `matchmaking`, meet by what
    their games tell, until every error is below 35 Elo or as many games are played as a round robin
    has. `most_meetings` ends it earlier. `openings` None means the open shipped ones.
    """

    spec: BoardSpec
    agents: tuple[AgentRef, ...]
    games: int = 10
    seed: int = 42
    matchmaking: bool = False
    reach_elo: float = REACH_ELO
    most_meetings: int | None = None
    blocks: tuple[int, ...] | None = None
    openings: OpeningChoice | None = None

    def __post_init__(self) -> None:
        hashes = [agent.agent_hash for agent in self.agents]
        if len(set(hashes)) < 2:
            raise UsageError(f"a tournament of {len(set(hashes))} agents; expected at least 2")
        if len(set(hashes)) < len(hashes):
            twice = next(a.spec for a in self.agents if hashes.count(a.agent_hash) > 1)
            raise UsageError(f"{twice} takes part twice")

    @property
    def by_information(self) -> bool:
        """Whether the next meetings depend on the games so far."""
        return self.matchmaking or len(self.agents) > MOST_ROUND_ROBIN

    @cached_property
    def everyone(self) -> list[Group]:
        """The meetings of a round robin."""
        return round_robin(len(self.agents), self.spec.players)

    @property
    def most(self) -> int:
        """Most meetings."""
        return min(len(self.everyone), self.most_meetings or len(self.everyone))

    @property
    def most_games(self) -> int:
        """Most games."""
        if self.by_information or self.blocks is None:
            return self.most * -(-self.games // self.spec.players) * self.spec.players
        return sum(self.blocks[: self.most]) * self.spec.players

    @property
    def anchor(self) -> int | None:
        """The place of the agent whose rating is fixed, None where it does not take part."""
        names = frozen_specs(self.spec.config)
        places = (i for i, a in enumerate(self.agents) if names.get(a.spec) == ANCHOR)
        return next(places, None)

    @cached_property
    def id(self) -> str:
        """64 hex digits of field, rules, seed and way of pairing."""
        tree = {
            "spec_hash": self.spec.hash,
            "agents": [agent.agent_hash for agent in self.agents],
            "games": self.games,
            "seed": self.seed,
            "by_information": self.by_information,
            "reach_elo": self.reach_elo if self.by_information else None,
            "most": self.most,
            "blocks": None if self.blocks is None else list(self.blocks),
        }
        return content_id("tournament", canonical_json(tree))

    def first_round(self) -> list[Meeting]:
        """Return the meetings that depend on no game."""
        if not self.by_information:
            return self._round(0, self.everyone[: self.most], [])
        return self._round(0, chain(len(self.agents), self.spec.players)[: self.most], [])

    def next_round(self, met: Sequence[Meeting], known: Estimate) -> list[Meeting]:
        """Return the meetings after those that are over; none when the tournament is."""
        left = self.most - len(met)
        if not self.by_information or left < 1 or known.settled():
            return []
        groups = next_groups(
            known,
            players=self.spec.players,
            games=met[0].plan.games,
            reach_elo=self.reach_elo,
        )
        return self._round(met[-1].round + 1, groups[:left], [m.group for m in met])

    def _round(self, number: int, groups: Sequence[Group], met: list[Group]) -> list[Meeting]:
        found = []
        known = list(met)
        for place, group in enumerate(groups):
            plan = self._plan(group, known.count(group), place)
            found.append(Meeting(round=number, group=group, plan=plan))
            known.append(group)
        return found

    def _plan(self, group: Group, before: int, place: int) -> MatchPlan:
        """Return the match of a group that has met `before` times."""
        players = self.spec.players
        by_place = None if self.blocks is None or self.by_information else self.blocks[place]
        openings = self.openings or OpeningChoice.of_book(self.spec, "open")
        return MatchPlan.of_games(
            self.games if by_place is None else by_place * players,
            purpose="tournament",
            spec=self.spec,
            agents=tuple(self.agents[place] for place in group),
            seed=seed_of(self.seed, before),
            openings=openings,
            both_ways=len(group) == 2 and players > 2,
        )


def seed_of(seed: int, before: int) -> int:
    """Return the seed of a group's next meeting after `before` others; the first has `seed`."""
    if not before:
        return seed
    digest = content_id("meeting", canonical_json([seed, before]))
    return int(digest[:8], 16) >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One row of a table; unknown numbers are None.

    All are of the tournament's games alone. `elo` has `random` = 400 and is None where that took no
    part; `field_elo` is the distance to the mean of the others (`pairing.Estimate`), each with its
    standard error. `ahead` is the share of opponents that it came in before.
    """

    agent: AgentRef
    games: int
    wins: int
    ahead: float | None
    elo: float | None
    se: float | None
    field_elo: float | None
    field_se: float | None

    def as_tree(self, rank: int) -> dict[str, Any]:
        """Return the row as it is published."""
        ends = None
        if self.elo is not None and self.se is not None:
            ends = [round(self.elo - Z95 * self.se, 1), round(self.elo + Z95 * self.se, 1)]
        return {
            "rank": rank,
            "spec": self.agent.spec,
            "agent_hash": self.agent.agent_hash,
            "model_id": self.agent.model_id,
            "elo": _rounded(self.elo),
            "se": _rounded(self.se),
            "elo_ci95": ends,
            "field_elo": _rounded(self.field_elo),
            "field_se": _rounded(self.field_se),
            "games": self.games,
            "wins": self.wins,
            "ahead": None if self.ahead is None else round(self.ahead, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is stored of a tournament: its meetings in order with their results, and the table.

    `ended` says why it is over, None while it goes on.
    """

    tournament: Tournament
    meetings: tuple[Meeting, ...] = ()
    results: tuple[MatchResult, ...] = ()
    table: tuple[Ranked, ...] = ()
    ended: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every meeting is over and none follows."""
        return self.ended is not None

    @property
    def games(self) -> int:
        """Games that count."""
        return sum(result.games for result in self.results)

    def as_tree(self) -> dict[str, Any]:
        """Return the report; it holds nothing but what the games say."""
        plan = self.tournament
        return {
            "id": plan.id,
            "config": plan.spec.config,
            "seed": plan.seed,
            "pairing": "information" if plan.by_information else "round robin",
            "games_per_meeting": plan.games if plan.blocks is None else None,
            "most_games": plan.most_games,
            "games": self.games,
            "rounds": 1 + max((meeting.round for meeting in self.meetings), default=-1),
            "complete": self.complete,
            "ended": self.ended,
            "table": [row.as_tree(rank) for rank, row in enumerate(self.table, 1)],
            "meetings": [
                {
                    "run": meeting.plan.hash,
                    "round": meeting.round,
                    "agents": [agent.spec for agent in meeting.plan.participants],
                    "games": result.games,
                    "of": meeting.plan.games,
                    "score": _share(result.score),
                    "score_ci95": None
                    if result.interval is None
                    else [_share(result.interval.low), _share(result.interval.high)],
                    "capped": result.capped,
                    "duplicates": result.duplicates,
                }
                for meeting, result in zip(self.meetings, self.results, strict=True)
            ],
        }


@dataclass(slots=True)
class _Running:
    """A tournament as far as it is played."""

    tournament: Tournament
    read: ReadGames
    meetings: list[Meeting] = field(default_factory=list)
    results: list[MatchResult] = field(default_factory=list)

    def estimate(self, games: RatedGames) -> Estimate:
        """Return what the games of the meetings so far say."""
        agents = self.tournament.agents
        own = games_of(games, [meeting.plan.hash for meeting in self.meetings])
        place = np.full(len(own.participants), -1, dtype=np.int64)
        for number, agent in enumerate(agents):
            if (index := own.index(agent.agent_hash)) is not None:
                place[index] = number
        outcomes = own.outcomes(own.finished)
        return estimate(
            replace(outcomes, seats=place[outcomes.seats]),
            len(agents),
            anchor=self.tournament.anchor,
        )

    def outcome(self, ended: str | None, rate: Rate) -> Outcome:
        """Return what is played."""
        games = self.read()
        own = games_of(games, [meeting.plan.hash for meeting in self.meetings])
        return Outcome(
            tournament=self.tournament,
            meetings=tuple(self.meetings),
            results=tuple(self.results),
            table=_table(self.tournament, own, self.estimate(games), rate),
            ended=ended,
        )


def play_tournament(
    tournament: Tournament, play: Play, read: ReadGames, *, rate: Rate = fit
) -> Outcome:
    """Play a tournament round by round until it is over or a round stays unfinished.

    With a `play` that only looks, what is returned is how far it is.
    """
    running = _Running(tournament=tournament, read=read)
    upcoming = tournament.first_round()
    ended: str | None = None
    while upcoming:
        results = play(upcoming)
        running.meetings += upcoming
        running.results += results
        if not all(result.complete for result in results):
            break
        known = running.estimate(read()) if tournament.by_information else None
        upcoming = [] if known is None else tournament.next_round(running.meetings, known)
        if not upcoming:
            ended = "every error is below 35 Elo" if _settled(known) else "all games are played"
    return running.outcome(ended, rate)


def _settled(known: Estimate | None) -> bool:
    return known is not None and known.settled(TARGET_ELO)


def games_of(games: RatedGames, runs: Sequence[str]) -> RatedGames:
    """Return the games of some plans; the participants keep their indices."""
    wanted = set(runs)
    numbers = [number for number, name in enumerate(games.run_names) if name in wanted]
    return chosen(games, np.isin(games.runs, numbers))


def _table(
    tournament: Tournament, own: RatedGames, known: Estimate, rate: Rate
) -> tuple[Ranked, ...]:
    """Return the field, the strongest first."""
    fitted = None
    with suppress(DataError):  # too few games yet: one seat has won all
        fitted = rate(own)
    rows = []
    for place, agent in enumerate(tournament.agents):
        index = own.index(agent.agent_hash)
        games, wins, ahead = (0, 0, None) if index is None else _counts(own, index)
        rated = None if fitted is None or index is None else fitted
        rows.append(
            Ranked(
                agent=agent,
                games=games,
                wins=wins,
                ahead=ahead,
                elo=None if rated is None or index is None else rated.elo(index),
                se=None if rated is None or index is None else rated.se(index),
                field_elo=float(known.elo[place]) if games else None,
                field_se=float(known.errors[place]) if games else None,
            )
        )
    order = sorted(range(len(rows)), key=lambda i: (-round(float(known.elo[i]), 6), i))
    return tuple(rows[place] for place in order)


def _counts(own: RatedGames, index: int) -> tuple[int, int, float | None]:
    """Return finished games, wins, and the share of other agents' seats that came in behind."""
    here = (own.seats == index).any(axis=1) & own.finished
    seats, ranks = own.seats[here], own.ranks[here]
    mine = seats == index
    wins = int((mine & (ranks == 1)).any(axis=1).sum())
    above, total = 0.0, 0
    for seat in range(own.players):
        others = mine[:, [seat]] & ~mine
        gaps = ranks - ranks[:, [seat]]
        above += float(((gaps > 0) & others).sum()) + 0.5 * float(((gaps == 0) & others).sum())
        total += int(others.sum())
    return len(seats), wins, above / total if total else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1) + 0.0


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
