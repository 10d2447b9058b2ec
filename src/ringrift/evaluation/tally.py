"""Count the games of a plan as they come, in plan order, and sum them up (`evaluation.md` 3, 4).

Statistics see the longest prefix of complete blocks in plan order, so they depend neither on the
order of arrival nor on restarts. A block whose games equal those of an earlier block move for move
is a duplicate and counts in no score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from statistics import fmean, median, stdev
from typing import Any

from ringrift.evaluation.elo import nelo
from ringrift.evaluation.intervals import confidence_sequence, superiority, wilson_of_blocks
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.results import AgentScore, MatchResult, PlayedGame
from ringrift.evaluation.sprt import Standing, tally


@dataclass(slots=True)
class _Block:
    """A complete block that counts: the score of its measured agent and its games by turn."""

    number: int
    games: tuple[PlayedGame, ...]
    score: Fraction
    reverse: bool
    duplicate: bool


@dataclass(slots=True)
class Tally:
    """Collects the games of a plan in any order and follows its test in plan order.

    Blocks with a game that a host of `without` played count nowhere. `llrs` is where the test was
    after each block that it took.
    """

    plan: MatchPlan
    games: dict[int, PlayedGame] = field(default_factory=dict)
    _blocks: list[_Block] = field(default_factory=list)
    without: frozenset[str] = frozenset()
    llrs: list[float] = field(default_factory=list)
    _taken: int = 0
    _seen: set[tuple[bytes, ...]] = field(default_factory=set)
    _running: Any = None

    def __post_init__(self) -> None:
        if self.plan.test is not None:
            self._running = self.plan.test.start(self.plan.players, self.plan.games)

    def add(self, game: PlayedGame) -> bool:
        """Take a game and tell whether the match is over; one that is known changes nothing."""
        if game.index not in self.games:
            self.games[game.index] = game
            while not self.complete and self._take(self._taken):
                self._taken += 1
        return self.complete

    @property
    def standing(self) -> Standing | None:
        """Where the test stands; None without one."""
        if self._running is None:
            return None
        standing: Standing = self._running.standing
        if standing.verdict is None and self._taken == self.plan.blocks:
            return replace(standing, verdict="inconclusive")
        return standing

    @property
    def complete(self) -> bool:
        """Whether the match is over: every block there, or a verdict."""
        if self._running is not None and self._running.standing.verdict is not None:
            return True
        return self._taken == self.plan.blocks

    @property
    def counted(self) -> int:
        """Games in complete blocks so far."""
        return self._taken * self.plan.players

    @property
    def words(self) -> str:
        """The score so far and where the test stands, for a line of progress."""
        if not self._blocks:
            return ""
        found = f"{float(fmean(block.score for block in self._blocks)):.2f}"
        standing = self.standing
        if standing is not None and standing.llr is not None and standing.bounds is not None:
            low, high = standing.bounds
            found += f", LLR {standing.llr:+.2f} [{low:.2f}, {high:.2f}]"
        return found

    def missing(self) -> Iterator[int]:
        """Yield the indices that are not here, in plan order."""
        return (index for index in range(self.plan.games) if index not in self.games)

    def result(self, title: str = "match") -> MatchResult:
        """Return what the complete blocks say."""
        return _Summary(self.plan, self._blocks).result(title, self.standing, self.complete)

    def _take(self, number: int) -> bool:
        """Count block `number` if all its games are here."""
        players = self.plan.players
        indices = range(number * players, (number + 1) * players)
        if any(index not in self.games for index in indices):
            return False
        games = tuple(self.games[index] for index in indices)
        if any(game.host in self.without for game in games):
            return True
        moves = tuple(game.moves for game in games)
        block = _Block(
            number=number,
            games=games,
            score=_block_score(self.plan, number, games),
            reverse=self.plan.is_reverse(number),
            duplicate=moves in self._seen,
        )
        self._seen.add(moves)
        self._blocks.append(block)
        if self._running is not None and not block.reverse and not block.duplicate:
            llr = self._running.add(block.score).llr
            if llr is not None:
                self.llrs.append(llr)
        return True


def _block_score(plan: MatchPlan, number: int, games: Sequence[PlayedGame]) -> Fraction:
    """Return the share of wins of a seat of the measured agent: the first, or the one alone."""
    agent = int(plan.is_reverse(number))
    scores = [score for _, score in _seat_scores(plan, number, games, agent)]
    return sum(scores, Fraction(0)) / len(scores)


def _seat_scores(
    plan: MatchPlan, number: int, games: Sequence[PlayedGame], agent: int
) -> Iterator[tuple[int, Fraction]]:
    """Yield (seat, score) for every seat in which an agent began in the games of a block."""
    for seats, game in zip(plan.seatings(number), games, strict=True):
        for seat, place in enumerate(seats):
            if place == agent:
                yield seat, game.score(seat, plan.players)


@dataclass(slots=True)
class _Summary:
    """Turns counted blocks into a result."""

    plan: MatchPlan
    blocks: list[_Block]

    def result(self, title: str, standing: Standing | None, complete: bool) -> MatchResult:
        plan, players = self.plan, self.plan.players
        games = [game for block in self.blocks for game in block.games]
        measured = [block for block in self.blocks if not block.reverse and not block.duplicate]
        scores = [float(block.score) for block in measured]
        fixed = plan.test is None and complete
        agents = tuple(self._agent(place, fixed) for place in range(len(plan.participants)))
        own = [
            (game, score)
            for block in self.blocks
            if not block.reverse
            for game in block.games
            for score in [self._first_score(block, game)]
        ]
        wins = sum(score == 1 for _, score in own)
        capped = sum(game.capped for game in games)
        mean = fmean(scores) if scores else None
        deviation = stdev(scores) if len(scores) > 1 else 0.0
        played = [game for game in games if game.ms is not None and game.plies]
        return MatchResult(
            title=title,
            plan=plan.hash,
            games=len(games),
            blocks=len(self.blocks),
            wins=wins,
            losses=sum(score == 0 for _, score in own),
            capped=capped,
            duplicates=sum(block.duplicate for block in self.blocks),
            repeats=sum(block.number >= plan.blocks - plan.repeats for block in self.blocks),
            timeouts=sum(game.late is not None for game in games),
            score=mean,
            interval=wilson_of_blocks(scores, players) if fixed else confidence_sequence(scores),
            counts=tuple(
                (float(value), count)
                for value, count in tally((block.score for block in measured), players).items()
            ),
            nelo=None if mean is None else nelo(mean, deviation, players),
            los=superiority(scores, players),
            by_seat=agents[0].by_seat,
            by_third=self._thirds(scores),
            by_node=self._nodes(own),
            plies=float(median(game.plies for game in games)) if games else None,
            ms_per_ply=sum(g.ms or 0 for g in played) / sum(g.plies for g in played)
            if played
            else None,
            reasons=dict(sorted(Counter(game.reason for game in games).items())),
            reverse=_mean([float(block.score) for block in self.blocks if block.reverse]),
            agents=agents,
            standing=standing,
            complete=complete,
            planned=plan.games,
        )

    def _first_score(self, block: _Block, game: PlayedGame) -> Fraction:
        """Return the best score of a seat of the first agent in a game."""
        seats = self.plan.seatings(block.number)[game.index % self.plan.players]
        own = (game.score(seat, self.plan.players) for seat, who in enumerate(seats) if who == 0)
        return max(own)

    def _agent(self, place: int, fixed: bool) -> AgentScore:
        plan = self.plan
        seats: list[list[Fraction]] = [[] for _ in range(plan.players)]
        blocks: list[float] = []
        for block in self.blocks:
            if block.duplicate:
                continue
            found = list(_seat_scores(plan, block.number, block.games, place))
            for seat, score in found:
                seats[seat].append(score)
            blocks.append(float(sum((s for _, s in found), Fraction(0)) / len(found)))
        every = [score for seat in seats for score in seat]
        who = plan.participants[place]
        return AgentScore(
            spec=who.spec,
            agent_hash=who.agent_hash,
            seat_games=len(every),
            wins=sum(score == 1 for score in every),
            capped=sum(0 < score < 1 for score in every),
            score=_mean([float(score) for score in every]),
            interval=wilson_of_blocks(blocks, plan.players)
            if fixed
            else confidence_sequence(blocks),
            by_seat=tuple(_mean([float(score) for score in seat]) for seat in seats),
        )

    def _thirds(self, scores: list[float]) -> tuple[float | None, ...]:
        """Return the score in each third of the openings, in plan order."""
        third = -(-len(scores) // 3)
        return tuple(_mean(scores[k * third : (k + 1) * third]) for k in range(3))

    def _nodes(self, own: Iterable[tuple[PlayedGame, Fraction]]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for game, score in own:
            node = found.setdefault(game.host or "unknown", {"games": 0, "wins": 0})
            node["games"] += 1
            node["wins"] += int(score == 1)
        return dict(sorted(found.items()))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
