"""A newer model during a run (selfplay.md 5, row "model").

The alias is looked at every so many games. A new model is loaded and probed in a process of its own;
games begun from then on play with it. One that fails is an alert, and the model before stays.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import RingriftError
from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.core.processes import begin_worker, threads_of_children

if TYPE_CHECKING:
    from ringrift.rules.spec import BoardSpec
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

    def newer(self, plan: RunPlan) -> RunPlan:
        """Return the plan for the games to come: with the new model if there is a sound one."""
        try:
            found, path = self.current()
            if found == self.model:
                return plan
            probe_apart(path, plan.spec)
        except RingriftError as error:
            self._alert(error)
            return plan
        log.info("model updated", old=short(self.model), new=short(found))
        changed = with_model(plan, self.model, found, path)
        self.model = found
        return changed

    def _alert(self, error: RingriftError) -> None:
        text = f"a newer model cannot be used, {short(self.model)} stays: {error}"
        if text not in self.alerts:
            self.alerts.append(text)
            log.error("a newer model cannot be used", kept=short(self.model), why=str(error))


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


def probe_apart(path: Path, spec: BoardSpec) -> None:
    """Load a model in a process of its own, which compares it with its card; raises what is wrong."""
    context = get_context("spawn")
    with (
        threads_of_children(1),
        ProcessPoolExecutor(1, mp_context=context, initializer=begin_worker) as pool,
    ):
        try:
            problem = pool.submit(_problem, path, spec).result()
        except BrokenProcessPool:
            problem = "the process that loaded it died"
    if problem is not None:
        raise RingriftError(problem, where=str(path))


def _problem(path: Path, spec: BoardSpec) -> str | None:
    from ringrift.nets.loading import open_model

    try:
        open_model(path, spec)
    except RingriftError as error:
        return error.message
    return None
