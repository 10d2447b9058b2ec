"""The loop's games, played by the worker processes of `selfplay`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.loop.measure import selfplay_spec
from ringrift.models.registry import find_model
from ringrift.records.record import default_max_plies
from ringrift.selfplay.control import SearchControl
from ringrift.selfplay.generator import play_games
from ringrift.selfplay.openings import Openings
from ringrift.selfplay.plans import GamePlan, PlayJob, pairs
from ringrift.selfplay.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ringrift.evaluation.plans import MatchGame, MatchPlan
    from ringrift.loop.interfaces import Played, SelfplayOrder, Stop
    from ringrift.records.record import GameRecord


class Players:
    """Plays self-play and match games in one pool of processes that stays alive in between.

    While `hold` says so no game begins; those under way are played on.
    """

    def __init__(
        self,
        *,
        workers: int,
        objects: Path,
        games_per_worker: int = 64,
        hold: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pool = WorkerPool(workers, games_per_worker)
        self._objects = objects
        self._hold = hold

    def selfplay(self, order: SelfplayOrder, stop: Stop) -> Iterator[Played]:
        """Play self-play games; every index appears once unless it was stopped."""
        plan = order.plan
        job = PlayJob(
            spec=order.spec,
            agents=(selfplay_spec(order.model, plan),),
            max_plies=default_max_plies(order.spec),
            models=self._files(order.model),
            purpose="selfplay",
            run=order.run,
            control=SearchControl(full_fraction=plan.full_fraction, cheap_sims=plan.cheap_sims),
        )
        for game in play_games(
            job,
            order.indices,
            order.seed,
            pool=self._pool,
            openings=Openings(choices=(0, plan.opening_choices)),
            stop=stop,
            hold=self._hold,
        ):
            yield from pairs(game)

    def match(
        self, plan: MatchPlan, games: Sequence[MatchGame], stop: Stop
    ) -> Iterator[GameRecord]:
        """Play games of a match; aborted ones are yielded too, with the reason in the result."""
        job = PlayJob(
            spec=plan.spec,
            agents=tuple(agent.spec for agent in plan.participants),
            max_plies=plan.max_plies,
            models=self._files(*(agent.model_id for agent in plan.participants)),
            purpose="match",
            run=plan.hash,
            explore=False,
            analyse=False,
        )
        plans = [
            GamePlan(index=game.index, seed=game.seed, seats=game.seats, opening=game.opening)
            for game in games
        ]
        for record, _ in self._pool.play(job, plans, stop, self._hold):
            yield record

    def close(self) -> None:
        """End all processes."""
        self._pool.close()

    def _files(self, *models: str | None) -> dict[str, str]:
        return {model: str(find_model(self._objects, model)) for model in models if model}
