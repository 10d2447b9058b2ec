"""A newer model during a run (selfplay.md 5, row "model").

The alias is looked at every so many games. A new model is loaded and probed in a process of its own
while the games go on; those that begin after it is found sound play with it, those under way keep
theirs. One that fails is an alert, and the model before stays.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import RingriftError
from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.core.processes import begin_worker, threads_of_children

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ringrift.selfplay.plans import PlayJob
    from ringrift.selfplay.run_plan import RunPlan

log = get_logger(__name__)

Current = Callable[[], tuple[str, Path]]
"""Tells the id and the file of the model that the alias means now; raises what is wrong."""


@dataclass(slots=True, kw_only=True)
class ModelWatch:
    """Watches one model of a run: `model` is its id, `every` how many games are between looks."""

    model: str
    every: int
    current: Current
    alerts: list[str]
    _looked_at: int = 0
    _probe: _Probe | None = field(default=None, repr=False)

    def newer(self, plan: RunPlan, games: int) -> RunPlan:
        """Return the plan for the games that begin now, `games` having ended.

        It is `plan` itself unless a newer model has been found sound since the last call.
        """
        if self._probe is None and games - self._looked_at >= self.every:
            self._looked_at = games
            self._look(plan)
        probe = self._probe
        if probe is None or not probe.done:
            return plan
        self._probe = None
        problem = probe.close()
        if problem is not None:
            self._alert(problem)
            return plan
        log.info("model updated", old=short(self.model), new=short(probe.model))
        self.model = probe.model
        return probe.plan

    def close(self) -> None:
        """End a probe that is still under way."""
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def _look(self, plan: RunPlan) -> None:
        try:
            found, path = self.current()
        except RingriftError as error:
            self._alert(str(error))
            return
        if found != self.model:
            self._probe = _Probe(found, with_model(plan, self.model, found, path))

    def _alert(self, why: str) -> None:
        text = f"a newer model cannot be used, {short(self.model)} stays: {why}"
        if text not in self.alerts:
            self.alerts.append(text)
            log.error("a newer model cannot be used", kept=short(self.model), why=why)


class _Probe:
    """Makes the agents of a plan in another process, where each model is compared with its card."""

    def __init__(self, model: str, plan: RunPlan) -> None:
        self.model = model
        self.plan = plan
        self._pool = ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=begin_worker
        )
        with threads_of_children(1):
            self._answer: Future[str | None] = self._pool.submit(_problem, plan.job("probe"))

    @property
    def done(self) -> bool:
        """Whether `close` returns at once."""
        return self._answer.done()

    def close(self) -> str | None:
        """Return what is wrong with the model, None for nothing, and end the process."""
        try:
            return self._answer.result()
        except BrokenProcessPool:
            return f"model {short(self.model)}: the process that loaded it died"
        finally:
            self._pool.shutdown()


def with_model(plan: RunPlan, old: str, new: str, path: Path) -> RunPlan:
    """Return a plan in which model `new` sits where `old` sat."""
    lots = tuple(
        tuple((spec.replace(f"@{old}", f"@{new}"), weight) for spec, weight in lot)
        for lot in plan.seating.lots
    )
    models = {name: file for name, file in plan.models.items() if name != old}
    return replace(
        plan, seating=replace(plan.seating, lots=lots), models={**models, new: str(path)}
    )


def _problem(job: PlayJob) -> str | None:
    from ringrift.selfplay.shelf import AgentShelf

    try:
        AgentShelf().agents(job)
    except RingriftError as error:
        return str(error)
    return None
