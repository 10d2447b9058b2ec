"""Play two agents against each other on paired openings and count what is stored (`evaluation.md` 3).

A match is a frozen plan, named by its hash, plus the games that name the plan as their `run`. A
block is one opening played once from every seat: pairs for two players; for more, the first agent
once in each seat and the second in all others. Playing the same plan again is the resume: stored
games are found and only the missing ones are played. Statistics see the longest prefix of complete
blocks in plan order, so they depend neither on the order of arrival nor on restarts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, Protocol

from ringrift.core.errors import DataError, RingriftError, UsageError
from ringrift.core.ids import canonical_json, content_id
from ringrift.core.intervals import Interval
from ringrift.core.log import get_logger
from ringrift.evaluation.elo import elo_from_score
from ringrift.evaluation.intervals import confidence_sequence, wilson_of_blocks
from ringrift.evaluation.openings import openings
from ringrift.evaluation.sprt import SequentialTest, Standing, judge
from ringrift.records.record import AgentRef, GameRecord, default_max_plies
from ringrift.rules import RULES_VERSION, BoardSpec
from ringrift.rules import moves as mv

log = get_logger(__name__)

FORMAT = "ringrift.plan/1"
CHUNK_GAMES = 40
MOST_CAPPED = 0.10

Purpose = Literal["gate", "test", "floor", "shadow", "full", "calibration", "manual"]


class MatchAborted(RingriftError):
    """A game of a match was aborted twice: no score is given."""

    exit_code = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchGame:
    """One game to be played: everything a worker needs, and nothing it may choose.

    `seats[i]` is 0 where the first agent of the plan sits at seat i + 1, 1 for the second.
    """

    index: int
    seed: int
    seats: tuple[int, ...]
    agents: tuple[AgentRef, ...]
    opening: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class MatchPlan:
    """Fix a match of two agents before its first game.

    `first` is the agent whose score is measured. `blocks` is the most that will be played; without
    `test` it is the number that will be.
    """

    purpose: Purpose
    spec: BoardSpec
    first: AgentRef
    second: AgentRef
    blocks: int
    seed: int
    test: SequentialTest | None = None
    max_plies: int = 0

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise UsageError(f"a match of {self.blocks} blocks; expected at least 1")
        if not self.max_plies:
            object.__setattr__(self, "max_plies", default_max_plies(self.spec))

    @classmethod
    def of_games(
        cls,
        games: int,
        *,
        purpose: Purpose,
        spec: BoardSpec,
        first: AgentRef,
        second: AgentRef,
        seed: int,
        test: SequentialTest | None = None,
    ) -> MatchPlan:
        """Make a plan of at least `games` games, rounded up to whole blocks."""
        blocks = -(-games // spec.players)
        return cls(
            purpose=purpose,
            spec=spec,
            first=first,
            second=second,
            blocks=blocks,
            seed=seed,
            test=test,
        )

    @property
    def games(self) -> int:
        """Most games of the match."""
        return self.blocks * self.spec.players

    def as_tree(self) -> dict[str, Any]:
        """Return the content that names the plan."""
        return {
            "format": FORMAT,
            "purpose": self.purpose,
            "config": self.spec.config,
            "rules_version": RULES_VERSION,
            "spec_hash": self.spec.hash,
            "participants": [asdict(agent) for agent in (self.first, self.second)],
            "lineup": "pairs" if self.spec.players == 2 else "one-vs-rest",
            "limits": {"max_plies": self.max_plies},
            "openings": {"kind": "random", "first": 0},
            "blocks_max": self.blocks,
            "test": None if self.test is None else asdict(self.test),
            "seed": self.seed,
        }

    @cached_property
    def hash(self) -> str:
        """64 hex digits that name the match."""
        return content_id("plan", canonical_json(self.as_tree()))

    def game(self, index: int) -> MatchGame:
        """Return game `index`: block `index div N`, in which the first agent has seat `mod N`."""
        players = self.spec.players
        block, seat = divmod(index, players)
        seats = tuple(int(other != seat) for other in range(players))
        digest = hashlib.sha256(f"{self.hash} {index}".encode()).digest()
        return MatchGame(
            index=index,
            seed=int.from_bytes(digest[:8], "big") >> 1,
            seats=seats,
            agents=tuple((self.first, self.second)[side] for side in seats),
            opening=openings(self.spec, self.seed, self.blocks)[block],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """What the stored games of a plan say; scores are the first agent's.

    `score`, `interval` and `elo` are `None` without a complete block. The interval is Wilson's with
    the design effect for a fixed number of games, the betting sequence where a test may stop.
    """

    title: str
    plan: str
    games: int
    wins: int
    losses: int
    capped: int
    score: float | None
    interval: Interval | None
    by_seat: tuple[float | None, ...]
    plies: float | None
    reasons: dict[str, int]
    standing: Standing | None
    complete: bool

    @property
    def elo(self) -> float | None:
        """Elo difference of the score; `None` where it is unknown or beyond all bounds."""
        if self.score is None or self.score in (0.0, 1.0):
            return None
        return elo_from_score(self.score, len(self.by_seat))

    def as_tree(self) -> dict[str, Any]:
        """Return the result as it goes into reports; unknown values are `None`."""
        return {
            "title": self.title,
            "plan": self.plan,
            "games": self.games,
            "wins": self.wins,
            "losses": self.losses,
            "capped": self.capped,
            "score": self.score,
            "score_ci95": None
            if self.interval is None
            else [self.interval.low, self.interval.high],
            "elo": self.elo,
            "by_seat": list(self.by_seat),
            "plies": self.plies,
            "reasons": self.reasons,
            "llr": None if self.standing is None else self.standing.llr,
            "bounds": None if self.standing is None else list(self.standing.bounds),
            "verdict": None if self.standing is None else self.standing.verdict,
            "complete": self.complete,
        }


class Store(Protocol):
    """What a match needs of the game store."""

    def records(
        self, config: str, *, purpose: str | None = ..., run: str | None = ...
    ) -> Iterator[tuple[int, GameRecord, Any]]:
        """Yield stored games with their sequence numbers."""
        ...


Play = Callable[[MatchPlan, Sequence[MatchGame]], Iterable[GameRecord]]
"""Plays games, stores each as it ends (purpose `match`, run = plan hash) and yields the record."""


def run_match(
    plan: MatchPlan,
    store: Store,
    play: Play,
    *,
    title: str = "match",
    on_progress: Callable[[MatchResult], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> MatchResult:
    """Play what is missing of a match and return its result.

    With a test, blocks are played in chunks until the verdict. `stop` is looked at between chunks
    and by `play`; an unfinished match is `complete=False`. Raises `MatchAborted` for a game that
    was aborted twice, naming agents, game and ply.
    """
    known = {record.meta.index: record for record in stored_games(plan, store)}
    result = count(plan, known, title=title)
    if on_progress is not None:
        on_progress(result)
    while not result.complete and not stop():
        wanted = _next_chunk(plan, known)
        for record in _play_twice(plan, play, wanted):
            known[record.meta.index] = record
            if on_progress is not None:
                on_progress(count(plan, known, title=title))
        result = count(plan, known, title=title)
    return result


def stored_games(plan: MatchPlan, store: Store) -> list[GameRecord]:
    """Return the stored games of a plan; raises `DataError` for one that the plan does not name."""
    found = []
    for _, record, _ in store.records(plan.spec.config, purpose="match", run=plan.hash):
        _check(plan, record)
        found.append(record)
    return found


def count(
    plan: MatchPlan, games: dict[int | None, GameRecord], *, title: str = "match"
) -> MatchResult:
    """Count the longest prefix of complete blocks; with a test, up to its verdict."""
    players = plan.spec.players
    blocks: list[list[GameRecord]] = []
    for block in range(plan.blocks):
        indices = range(block * players, (block + 1) * players)
        if any(index not in games for index in indices):
            break
        blocks.append([games[index] for index in indices])
    scores = [
        sum((_score(record, seat) for seat, record in enumerate(block)), Fraction(0)) / players
        for block in blocks
    ]
    standing = None
    if plan.test is not None:
        standing = judge(plan.test, scores, players)
        if standing.verdict is None and len(blocks) == plan.blocks:
            standing = judge(_capped(plan), scores, players)
        blocks, scores = blocks[: standing.blocks], scores[: standing.blocks]
    return _summarise(plan, title, blocks, scores, standing)


def _capped(plan: MatchPlan) -> SequentialTest:
    """Return the test with the plan's own size as its cap."""
    assert plan.test is not None
    return SequentialTest(
        **{
            **asdict(plan.test),
            "max_games": plan.games,
            "min_games": min(plan.test.min_games, plan.games),
        }
    )


def _summarise(
    plan: MatchPlan,
    title: str,
    blocks: list[list[GameRecord]],
    scores: list[Fraction],
    standing: Standing | None,
) -> MatchResult:
    players = plan.spec.players
    games = [(seat, record) for block in blocks for seat, record in enumerate(block)]
    values = [_score(record, seat) for seat, record in games]
    floats = [float(score) for score in scores]
    seats = [[float(_score(block[seat], seat)) for block in blocks] for seat in range(players)]
    capped = sum(record.result.end == "max_plies" for _, record in games)
    wins = sum(value == 1 for value in values)
    if games and capped / len(games) > MOST_CAPPED:
        log.warning("many games were cut by the ply limit", match=title, capped=capped)
    interval = (
        wilson_of_blocks(floats, players) if standing is None else confidence_sequence(floats)
    )
    return MatchResult(
        title=title,
        plan=plan.hash,
        games=len(games),
        wins=wins,
        losses=len(games) - wins - capped,
        capped=capped,
        score=sum(floats) / len(floats) if floats else None,
        interval=interval,
        by_seat=tuple(sum(seat) / len(seat) if seat else None for seat in seats),
        plies=sum(r.result.plies for _, r in games) / len(games) if games else None,
        reasons=dict(sorted(Counter(r.result.reason for _, r in games).items())),
        standing=standing,
        complete=len(blocks) == plan.blocks
        or (standing is not None and standing.verdict is not None),
    )


def _next_chunk(plan: MatchPlan, known: dict[int | None, GameRecord]) -> list[MatchGame]:
    """Return the next games to play: whole blocks in plan order, enough to keep workers busy."""
    players = plan.spec.players
    least = CHUNK_GAMES if plan.test is not None else plan.games
    missing: list[MatchGame] = []
    for block in range(plan.blocks):
        if len(missing) >= least:
            break
        indices = range(block * players, (block + 1) * players)
        missing += [plan.game(index) for index in indices if index not in known]
    return missing


def _play_twice(plan: MatchPlan, play: Play, games: list[MatchGame]) -> Iterator[GameRecord]:
    """Play games; those that are aborted are played once more with their seeds."""
    aborted: list[MatchGame] = []
    by_index = {game.index: game for game in games}
    for record in play(plan, games):
        if record.result.end == "aborted":
            aborted.append(by_index[_index(record)])
        else:
            yield record
    if not aborted:
        return
    for record in play(plan, aborted):
        if record.result.end == "aborted":
            raise MatchAborted(
                f"game {record.meta.index} of match {plan.hash[:12]} was aborted twice at ply "
                f"{record.result.plies}: {record.result.reason}",
                where=" against ".join(dict.fromkeys(a.spec for a in record.agents)),
            )
        yield record


def _index(record: GameRecord) -> int:
    if record.meta.index is None:
        raise DataError(f"game {record.id[:12]} of a match has no index")
    return record.meta.index


def _check(plan: MatchPlan, record: GameRecord) -> None:
    index = _index(record)
    game = plan.game(index) if index < plan.games else None
    hashes = tuple(agent.agent_hash for agent in record.agents)
    if (
        game is None
        or record.seed != game.seed
        or record.moves[: len(game.opening)] != game.opening
        or hashes != tuple(agent.agent_hash for agent in game.agents)
    ):
        raise DataError(
            f"game {record.id[:12]} says it is game {index} of match {plan.hash[:12]}, but its "
            "seed, opening or agents are not the plan's",
            where="meta.index",
        )


def _score(record: GameRecord, seat: int) -> Fraction:
    """Return 1 if the agent that began in `seat` (from 0) won, 0 if not, 1/N in a capped game."""
    if record.result.end == "max_plies":
        return Fraction(1, record.spec.players)
    swaps = sum(mv.kind_of(move) == mv.SWAP for move in record.moves)
    if swaps % 2 and seat < 2:  # agents move with their identity (rules.md 18)
        seat = 1 - seat
    return Fraction(int(record.result.winner == seat + 1))
