"""The worker processes that play matches, and the store that keeps their games."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from ringrift.agents.foreign import is_foreign
from ringrift.core.errors import DataError, RefusedError
from ringrift.core.limits import thread_budget
from ringrift.evaluation.matches import MatchAborted, keep_plans, run_matches
from ringrift.selfplay.plans import GamePlan, PlayJob
from ringrift.selfplay.workers import GamesFailed, WorkerPool

if TYPE_CHECKING:
    from ringrift.evaluation.matches import Playing, Wanted
    from ringrift.evaluation.plans import MatchGame, MatchPlan
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.tally import Tally
    from ringrift.records.record import GameRecord
    from ringrift.records.store import GameStore

GAMES_PER_WORKER = 64
TESTED_GAMES_PER_WORKER = 16
"""Fewer at once where a test may end the match: what is under way at the verdict is lost."""
GAME_TIMEOUT_S = 300.0
LARGE_BOARDS, LARGE_TIMES = ("square19", "hexagonal"), 10
GRACE_MS = 250.0
"""A move that takes longer than a time limit and this loses its game."""
STORED_TOGETHER = 64
STORED_AFTER_S = 0.5


class Players(Protocol):
    """Whatever plays games of matches until a store has them."""

    def play(self, wanted: Wanted, store: GameStore, stop: Callable[[], bool]) -> Playing:
        """Play games of some matches; iterating yields them."""
        ...


class MatchPlayers:
    """Plays matches in processes that stay alive in between; a context manager.

    `models` maps model ids to files. `workers` defaults to the thread budget (`core.md` 5). A game
    in which the agents took more than `game_timeout_s`, ten times that on the large boards, is
    aborted. `device` is torch's name of the place where convolutional nets are evaluated.
    """

    def __init__(
        self,
        models: Mapping[str, Path] | None = None,
        *,
        workers: int | None = None,
        games_per_worker: int = GAMES_PER_WORKER,
        game_timeout_s: float = GAME_TIMEOUT_S,
        device: str = "cpu",
        hold: Callable[[], bool] = lambda: False,
    ) -> None:
        self.models = dict(models or {})
        self._pool = WorkerPool(workers or thread_budget(), games_per_worker)
        self._timeout_s = game_timeout_s
        self._device = device
        self._hold = hold

    def __enter__(self) -> MatchPlayers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        self._pool.close()

    def play(self, wanted: Wanted, store: GameStore, stop: Callable[[], bool]) -> Playing:
        """Play games of some matches into a store: in groups, at least every half second."""
        keep_plans(store, wanted)
        most = min((games_at_once(plan) for plan, _ in wanted), default=None)
        jobs = {plan.hash: self._job(plan) for plan, _ in wanted}
        return _Playing(self._pool, jobs, wanted, store, stop, self._hold, most)

    def _job(self, plan: MatchPlan) -> PlayJob:
        return match_job(plan, self.models, device=self._device, game_timeout_s=self._timeout_s)


@dataclass(frozen=True, slots=True)
class _Playing:
    """The games of some matches in one pool."""

    pool: WorkerPool
    jobs: Mapping[str, PlayJob]
    wanted: Wanted
    store: GameStore
    stop: Callable[[], bool]
    hold: Callable[[], bool]
    most: int | None

    def __iter__(self) -> Iterator[GameRecord]:
        return stored_in_groups(self.store, self._played())

    def again(self, plan: MatchPlan, game: MatchGame) -> None:
        self.pool.again(self.jobs[plan.hash], game_plan(game))

    def leave(self, plan: MatchPlan) -> None:
        self.pool.leave(self.jobs[plan.hash])

    def _played(self) -> Iterator[GameRecord]:
        jobs = [
            (self.jobs[plan.hash], [game_plan(game) for game in games])
            for plan, games in self.wanted
        ]
        plans = {plan.hash: plan for plan, _ in self.wanted}
        try:
            for record, _ in self.pool.play_jobs(jobs, self.stop, self.hold, most=self.most):
                same_agents(record, plans[record.meta.run or ""])
                yield record
        except GamesFailed as error:
            raise MatchAborted(
                error.message,
                where=", ".join(dict.fromkeys(text for job, _ in jobs for text in job.agents)),
            ) from error


def match_job(
    plan: MatchPlan,
    models: Mapping[str, Path],
    *,
    device: str = "cpu",
    game_timeout_s: float = GAME_TIMEOUT_S,
) -> PlayJob:
    """Return what all games of a match share; see `MatchPlayers`.

    Raises `DataError` for a model without a file.
    """
    files = {}
    for agent in plan.participants:
        if agent.model_id is None:
            continue
        if agent.model_id not in models:
            raise DataError(f"no file is known for the model {agent.model_id[:12]} of {agent.spec}")
        files[agent.model_id] = str(models[agent.model_id])
    return PlayJob(
        spec=plan.spec,
        agents=tuple(agent.spec for agent in plan.participants),
        max_plies=plan.max_plies,
        models=files,
        purpose="match",
        run=plan.hash,
        explore=False,
        analyse=False,
        device=device,
        late_ms=plan.budget[1] + GRACE_MS if is_timed(plan) and plan.budget else None,
        game_s=game_timeout_s * (LARGE_TIMES if plan.spec.board in LARGE_BOARDS else 1),
    )


def is_timed(plan: MatchPlan) -> bool:
    """Tell whether a plan limits the time of each move."""
    return plan.budget is not None and plan.budget[0] == "time_ms"


def games_at_once(plan: MatchPlan) -> int:
    """Return how many games of a plan a worker holds: one where moves share no clock or program."""
    if is_timed(plan) or any(is_foreign(agent.spec) for agent in plan.participants):
        return 1
    return GAMES_PER_WORKER if plan.test is None else TESTED_GAMES_PER_WORKER


def same_agents(record: GameRecord, plan: MatchPlan) -> None:
    """Raise `RefusedError` for a game of an agent that has changed since the plan was made."""
    known = {agent.spec: agent.agent_hash for agent in plan.participants}
    for agent in record.agents:
        if known.get(agent.spec) != agent.agent_hash:
            raise RefusedError(
                f"{agent.spec} is not the agent that the match was planned with: it says "
                f"{agent.agent_hash[:12]}; the plan has {known.get(agent.spec, 'none')[:12]}",
                where=f"match {plan.hash[:12]}",
            )


def game_plan(game: MatchGame) -> GamePlan:
    """Return a game of a match as those who play take it."""
    return GamePlan(index=game.index, seed=game.seed, seats=game.seats, opening=game.opening)


def play_match(
    plan: MatchPlan,
    store: GameStore,
    players: Players,
    *,
    title: str = "match",
    on_progress: Callable[[Tally], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> MatchResult:
    """Play what is missing of a match as `play_matches` does."""
    return play_matches([plan], store, players, titles=[title], on_progress=on_progress, stop=stop)[
        0
    ]


def play_matches(
    plans: Sequence[MatchPlan],
    store: GameStore,
    players: Players,
    *,
    titles: Sequence[str] = (),
    on_progress: Callable[[Tally], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[MatchResult]:
    """Play what is missing of some matches with `players` into `store` and return their results.

    The games of a match begin while the last ones of the match before it end. Games become durable
    in groups, at least every half second: after a kill those of the last group are played again
    from their seeds. `on_progress` gets the tally of the match that went on (`tally.plan`). Raises
    as `run_matches` does.
    """
    return run_matches(
        plans,
        store,
        lambda wanted: players.play(wanted, store, stop),
        titles=titles,
        on_progress=on_progress,
        stop=stop,
    )


def stored_in_groups(store: GameStore, games: Iterable[GameRecord]) -> Iterator[GameRecord]:
    """Yield games once they are in the store; aborted ones pass without."""
    waiting: list[GameRecord] = []
    kept_at = time.monotonic()
    try:
        for record in games:
            if record.result.end == "aborted":
                yield record
                continue
            waiting.append(record)
            if len(waiting) >= STORED_TOGETHER or time.monotonic() - kept_at >= STORED_AFTER_S:
                found, waiting = _keep(store, waiting), []
                kept_at = time.monotonic()
                yield from found
        found, waiting = _keep(store, waiting), []
        yield from found
    finally:  # the caller may have left: what is finished is kept
        _keep(store, waiting)


def _keep(store: GameStore, records: list[GameRecord]) -> list[GameRecord]:
    if records:
        report = store.ingest([(record, None) for record in records], source="match")
        if report.quarantined:
            raise DataError(
                f"{report.quarantined} games of a match did not replay: {dict(report.reasons)}",
                where=str(store.path),
                hint="ringrift data quarantine list",
            )
    return records
