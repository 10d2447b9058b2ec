"""What the stored games of a plan say (`evaluation.md` 3, 4).

Statistics see the longest prefix of complete blocks in plan order, so they depend neither on the
order of arrival nor on restarts. A block whose games equal those of an earlier block move for move
is a duplicate and counts in no score.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from statistics import NormalDist, fmean, median, stdev
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.intervals import Interval
from ringrift.evaluation.elo import elo_from_score, nelo
from ringrift.evaluation.intervals import confidence_sequence, wilson_of_blocks
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.sprt import Standing, tally
from ringrift.evaluation.worker_check import WorkerCheck, check_workers
from ringrift.records.record import GameRecord
from ringrift.rules import moves as mv
from ringrift.selfplay.ending import late_seat

CAPPED_WARNING, CAPPED_INVALID = 0.02, 0.10
DUPLICATES_WARNING = 0.05
TIMEOUTS_INVALID = 0.01
LATE = "late"
"""Reason of a game that was lost by a move later than the limit allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedGame:
    """What a result needs of one game.

    `winner` is the seat, from 0, in which the agent that won began; None for none. `moves` is a
    digest of all moves, `ms` and `host` are None where unknown. `late` is the seat, from 0, that
    lost by time; with more than two seats nobody won then, and the others share the game.
    """

    index: int
    winner: int | None
    capped: bool
    reason: str
    plies: int
    moves: bytes
    ms: int | None = None
    host: str | None = None
    late: int | None = None

    @classmethod
    def of(cls, record: GameRecord) -> PlayedGame:
        """Return what counts of a record; raises `DataError` for one without an index."""
        if record.meta.index is None:
            raise DataError(f"game {record.id[:12]} of a match has no index")
        late = late_seat(record.meta.tags)
        return cls(
            index=record.meta.index,
            winner=_winner(record),
            capped=late is None and record.result.end == "max_plies",
            reason=record.result.reason if late is None else LATE,
            plies=record.result.plies,
            moves=hashlib.sha256(repr(record.moves).encode()).digest()[:16],
            ms=record.meta.ms,
            host=record.meta.host,
            late=None if late is None else late - 1,
        )

    def score(self, seat: int, players: int) -> Fraction:
        """Return 1 if the agent that began in `seat` (from 0) won, 0 if not, 1/N if capped.

        Where a seat lost by time and nobody won, the others have 1/(N-1).
        """
        if self.capped:
            return Fraction(1, players)
        if self.late is not None and self.winner is None:
            return Fraction(int(seat != self.late), players - 1)
        return Fraction(int(self.winner == seat))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentScore:
    """How one participant did; a game counts once for each of its seats.

    `score` is the share of wins of one of its seats, `by_seat` the same for each seat it began in.
    """

    spec: str
    agent_hash: str
    seat_games: int
    wins: int
    capped: int
    score: float | None
    interval: Interval | None
    by_seat: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """What the stored games of a plan say; scores are the first agent's.

    `score`, `interval` and `elo` are None without a complete block. The interval is Wilson's with
    the design effect for a fixed number of games, the betting sequence where a test may stop or
    the match goes on. `reverse` is the share of the second agent alone among the first ones.
    """

    title: str
    plan: str
    games: int
    blocks: int
    wins: int
    losses: int
    capped: int
    duplicates: int
    repeats: int
    timeouts: int
    score: float | None
    interval: Interval | None
    counts: tuple[tuple[float, int], ...]
    nelo: float | None
    los: float | None
    by_seat: tuple[float | None, ...]
    by_third: tuple[float | None, ...]
    by_node: dict[str, dict[str, Any]]
    plies: float | None
    ms_per_ply: float | None
    reasons: dict[str, int]
    reverse: float | None
    agents: tuple[AgentScore, ...]
    standing: Standing | None
    complete: bool

    @property
    def elo(self) -> float | None:
        """Elo difference of the score; None where it is unknown or beyond all bounds."""
        if self.score is None or self.score in (0.0, 1.0):
            return None
        return elo_from_score(self.score, len(self.by_seat))

    @property
    def elo_ci95(self) -> tuple[float, float] | None:
        """Elo at the ends of the interval, infinite at no win and no loss; None without games."""
        if self.interval is None:
            return None
        players = len(self.by_seat)
        low, high = self.interval.low, self.interval.high
        return elo_from_score(low, players), elo_from_score(high, players)

    @property
    def verdict(self) -> str | None:
        """`accept`, `reject` or `inconclusive`; None without a test or while it goes on."""
        return None if self.standing is None else self.standing.verdict

    @property
    def reason(self) -> str:
        """One sentence of why the match stopped, or where it is."""
        if not self.games:
            return "no complete block"
        if self.standing is not None:
            return self.standing.reason
        if self.complete:
            return f"all {self.games} games are played"
        return f"{self.games} games in complete blocks so far"

    @property
    def invalid(self) -> str | None:
        """Why the score says nothing, None where it does."""
        if self.games and self.capped / self.games > CAPPED_INVALID:
            return f"{self.capped} of {self.games} games were cut by the ply limit"
        if self.games and self.timeouts / self.games > TIMEOUTS_INVALID:
            return f"{self.timeouts} of {self.games} games were lost by a late move"
        return None

    @property
    def worker_check(self) -> WorkerCheck:
        """Whether the nodes won equal shares."""
        return check_workers(
            {node: (row["wins"], row["games"]) for node, row in self.by_node.items()}
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the score should know."""
        found = []
        if self.games and CAPPED_WARNING < self.capped / self.games <= CAPPED_INVALID:
            found.append(f"{self.capped} of {self.games} games were cut by the ply limit")
        check = self.worker_check
        if check.suspicious and check.p is not None:
            parts = ", ".join(f"{node} {value:+.1f}" for node, value in check.residuals.items())
            found.append(f"the nodes won unequal shares (p = {check.p:.1e}): {parts}")
        if self.blocks and self.duplicates / self.blocks > DUPLICATES_WARNING:
            agents = " and ".join(dict.fromkeys(agent.spec for agent in self.agents))
            found.append(
                f"{self.duplicates} of {self.blocks} blocks repeat others move for move: {agents}"
            )
        return tuple(found)

    @property
    def status(self) -> str:
        """`done`, `running` or `invalid`."""
        if not self.complete:
            return "running"
        return "done" if self.invalid is None else "invalid"

    def as_tree(self) -> dict[str, Any]:
        """Return the result as it goes into reports; unknown values and infinities are None."""
        ends = self.elo_ci95
        return {
            "title": self.title,
            "plan": self.plan,
            "status": self.status,
            "games": self.games,
            "blocks": self.blocks,
            "wins": self.wins,
            "losses": self.losses,
            "capped": self.capped,
            "counts": [[value, count] for value, count in self.counts],
            "score": self.score,
            "score_ci95": _ends(self.interval),
            "elo": self.elo,
            "elo_ci95": None if ends is None else [_finite(end) for end in ends],
            "nelo": self.nelo,
            "los": self.los,
            "llr": None if self.standing is None else self.standing.llr,
            "bounds": None if self.standing is None else self.standing.bounds,
            "verdict": self.verdict,
            "by_seat": list(self.by_seat),
            "by_third": list(self.by_third),
            "by_node": self.by_node,
            "duplicates": self.duplicates,
            "repeats": self.repeats,
            "timeouts": self.timeouts,
            "plies": self.plies,
            "ms_per_ply": self.ms_per_ply,
            "reasons": self.reasons,
            "reverse": self.reverse,
            "agents": [
                {
                    "spec": agent.spec,
                    "agent_hash": agent.agent_hash,
                    "seat_games": agent.seat_games,
                    "wins": agent.wins,
                    "capped": agent.capped,
                    "score": agent.score,
                    "score_ci95": _ends(agent.interval),
                    "by_seat": list(agent.by_seat),
                }
                for agent in self.agents
            ],
            "complete": self.complete,
        }


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
            los=_los(scores, players),
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


def _winner(record: GameRecord) -> int | None:
    """Return the seat (from 0) in which the winning agent began; agents move with a swap."""
    if not record.result.winner:
        return None
    seat = record.result.winner - 1
    swaps = sum(mv.kind_of(move) == mv.SWAP for move in record.moves)
    return 1 - seat if swaps % 2 and seat < 2 else seat


def _los(scores: Sequence[float], players: int) -> float | None:
    """Return the likelihood that the score is above an equal share, by the normal approximation."""
    if len(scores) < 2:
        return None
    deviation = stdev(scores) / math.sqrt(len(scores))
    difference = fmean(scores) - 1 / players
    if deviation == 0:
        return None if difference == 0 else float(difference > 0)
    return NormalDist().cdf(difference / deviation)


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
