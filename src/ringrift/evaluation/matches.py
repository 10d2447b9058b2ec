"""Play what is missing of a match and count what is stored (`evaluation.md` 3).

A match is a plan plus the games that name it as their `run`. Playing the same plan again is the
resume: stored games are found and only the missing ones are played.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ringrift.core.errors import DataError, RingriftError
from ringrift.evaluation.plans import MatchGame, MatchPlan
from ringrift.evaluation.results import MatchResult, PlayedGame
from ringrift.evaluation.tally import Tally
from ringrift.records.record import GameRecord
from ringrift.records.stored_plans import StoredPlans


class MatchAborted(RingriftError):
    """A game of a match was aborted twice: no score is given."""

    exit_code = 5

    @classmethod
    def twice(cls, plan: MatchPlan, index: int, ply: int, reason: str) -> MatchAborted:
        """Return the error of one game, naming agents, game and ply."""
        return cls(
            f"game {index} of match {plan.hash[:12]} was aborted twice at ply {ply}: {reason}",
            where=" against ".join(dict.fromkeys(agent.spec for agent in plan.participants)),
        )


class Store(Protocol):
    """What a match needs of the game store."""

    @property
    def plans(self) -> StoredPlans:
        """The plans of matches."""
        ...

    def records(
        self, config: str, *, purpose: str | None = ..., run: str | None = ...
    ) -> Iterator[tuple[int, GameRecord, Any]]:
        """Yield stored games with their sequence numbers."""
        ...


class Playing(Protocol):
    """Games under way; iterating yields each once it is stored, aborted ones unstored.

    Stored with purpose `match` and run = plan hash, in any order, and the plan with them.
    """

    def __iter__(self) -> Iterator[GameRecord]:
        """Yield games as they end."""
        ...

    def again(self, plan: MatchPlan, game: MatchGame) -> None:
        """Play an aborted game once more."""
        ...

    def leave(self, plan: MatchPlan) -> None:
        """Drop what is left of a match."""
        ...


Wanted = Sequence[tuple[MatchPlan, Sequence[MatchGame]]]
"""Games to be played, those of a match before those of the next."""

Play = Callable[[MatchPlan, Sequence[MatchGame]], Iterable[GameRecord]]
"""Plays games of one match as `Playing` does."""


@dataclass(slots=True)
class _OneAfterTheOther:
    """Plays the games of one match by a function, those that were aborted at the end."""

    play: Play
    plan: MatchPlan
    games: Sequence[MatchGame]
    aborted: list[MatchGame] = field(default_factory=list)

    def __iter__(self) -> Iterator[GameRecord]:
        yield from self.play(self.plan, self.games)
        if self.aborted:
            yield from self.play(self.plan, self.aborted)

    def again(self, plan: MatchPlan, game: MatchGame) -> None:
        del plan
        self.aborted.append(game)

    def leave(self, plan: MatchPlan) -> None:
        del plan  # the caller stops iterating


def run_match(
    plan: MatchPlan,
    store: Store,
    play: Play,
    *,
    title: str = "match",
    on_progress: Callable[[Tally], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> MatchResult:
    """Play what is missing of one match by a function, as `run_matches` does."""

    def begin(wanted: Wanted) -> Playing:
        keep_plans(store, wanted)
        return _OneAfterTheOther(play, *wanted[0])

    found = run_matches(
        [plan],
        store,
        begin,
        titles=[title],
        on_progress=on_progress,
        stop=stop,
    )
    return found[0]


def keep_plans(store: Store, wanted: Wanted) -> None:
    """Have a store know the plans of games that will come into it."""
    for plan, _ in wanted:
        store.plans.add(plan.text, config=plan.spec.config, purpose=plan.purpose)


def run_matches(
    plans: Sequence[MatchPlan],
    store: Store,
    begin: Callable[[Wanted], Playing],
    *,
    titles: Sequence[str] = (),
    on_progress: Callable[[Tally], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[MatchResult]:
    """Play what is missing of some matches and return their results, in the order of the plans.

    Games are handed out in plan order until the last or the verdict of a plan's test; games under
    way at the verdict are dropped. `stop` is looked at between games and by what plays; an
    unfinished match is `complete=False`. Raises `MatchAborted` for a game that was aborted twice,
    naming agents, game and ply.
    """
    counted = {plan.hash: stored(plan, store) for plan in plans}
    if on_progress is not None:
        for tally in counted.values():
            on_progress(tally)
    missing = {name: tally for name, tally in counted.items() if not tally.complete}
    if missing:
        wanted = [
            (tally.plan, [tally.plan.game(index) for index in tally.missing()])
            for tally in missing.values()
        ]
        _count(begin(wanted), missing, on_progress or (lambda tally: None), stop)
    names = titles or ["match"] * len(plans)
    return [counted[plan.hash].result(name) for plan, name in zip(plans, names, strict=True)]


def _count(
    playing: Playing,
    missing: dict[str, Tally],
    on_progress: Callable[[Tally], None],
    stop: Callable[[], bool],
) -> None:
    """Count games as they end until every match of `missing` is over."""
    aborted: set[tuple[str, int]] = set()
    games = iter(playing)
    try:
        for record in games:
            counted = missing.get(record.meta.run or "")
            if counted is None:
                continue  # its match ended while it waited to be stored
            plan, index = counted.plan, _index(record)
            if record.result.end != "aborted":
                over = counted.add(PlayedGame.of(record))
                on_progress(counted)
                if over:
                    del missing[plan.hash]
                    playing.leave(plan)
            elif (plan.hash, index) in aborted:
                played = record.result
                raise MatchAborted.twice(plan, index, played.plies, str(played.reason))
            else:
                aborted.add((plan.hash, index))
                playing.again(plan, plan.game(index))
            if not missing or stop():
                break
    finally:
        if isinstance(games, Generator):
            games.close()  # what is finished is stored now, not when the error is forgotten


def stored(plan: MatchPlan, store: Store, *, without: Iterable[str] = ()) -> Tally:
    """Return the stored games of a plan, without the blocks in which hosts of `without` took part.

    Raises `DataError` for a game that the plan does not name.
    """
    counted = Tally(plan, without=frozenset(without))
    for record in stored_games(plan, store):
        counted.add(PlayedGame.of(record))
    return counted


def stored_games(plan: MatchPlan, store: Store) -> Iterator[GameRecord]:
    """Yield the stored games of a plan; raises `DataError` for one that the plan does not name."""
    for _, record, _ in store.records(plan.spec.config, purpose="match", run=plan.hash):
        check_game(plan, record)
        yield record


def _index(record: GameRecord) -> int:
    if record.meta.index is None:
        raise DataError(f"game {record.id[:12]} of a match has no index")
    return record.meta.index


def check_game(plan: MatchPlan, record: GameRecord) -> None:
    """Raise `DataError` for a record that is none of the games of the plan that it names."""
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
