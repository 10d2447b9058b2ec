"""Run the loop: look at the facts, have decided what is ready, file what is missing, look again.

Control computes nothing heavy and keeps nothing that counts: what it knows it asked of the keeper, the
queue and the clock a moment ago (`loop.md` 3). Killing it at any instant loses nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from ringrift.core.errors import NotRunningError, RefusedError
from ringrift.core.log import get_logger
from ringrift.loop.milestone_names import reached_by
from ringrift.loop.plan import Conditions, JobsSeen, Plan
from ringrift.loop.reconciler import reconcile

if TYPE_CHECKING:
    from ringrift.cluster.jobs import Job, JobResult
    from ringrift.core.settings import Settings
    from ringrift.loop.actions import Action, Done
    from ringrift.loop.facts import ConfigFacts
    from ringrift.loop.guard import Held
    from ringrift.loop.keeper import Gathered
    from ringrift.loop.run_options import Ended, RunOptions

log = get_logger(__name__)

LOOK_S = 0.1
SOON_S = 1.0
DECIDING = frozenset({"promoted", "rejected", "inconclusive"})
MINUTE_S = 60.0


class Facts(Protocol):
    """Who knows the facts and writes decisions; `keeper.Keeper` is one."""

    def gather(self, now: float) -> Gathered:
        """Return the facts of a moment."""
        ...

    def act(self, action: Action) -> Done:
        """Carry out an action, once."""
        ...


class Jobs(Protocol):
    """The queue of jobs and their results; `session.HubJobs` is one."""

    @property
    def leads(self) -> bool:
        """Whether this process may write as the leader now."""
        ...

    @property
    def results(self) -> Mapping[str, JobResult]:
        """The results of the last day, by job id, as far as `open` has read them."""
        ...

    def open(self) -> tuple[Job, ...]:
        """Return the jobs in the queue, waiting or being done."""
        ...

    def carry_out(self, plan: Plan) -> tuple[Job, ...]:
        """Cancel and file what a plan says; return the jobs that were not there or done before."""
        ...

    def tend(self) -> None:
        """Do the leader's other duties: write off what failed too often, purge what is stored."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass: when, what was found, what came of it."""

    conditions: Conditions
    gathered: Gathered
    seen: JobsSeen
    plan: Plan
    seconds: float
    filed: tuple[Job, ...] = ()
    done: tuple[Done, ...] = ()


@dataclass(slots=True, kw_only=True)
class Control:
    """The passes of one run.

    `conditions` returns those of the moment without what the guard says, `look` what that finds,
    `on_pass` is told each pass. `news` is set by whoever knows that a job ended.
    """

    settings: Settings
    options: RunOptions
    facts: Facts
    jobs: Jobs
    conditions: Callable[[], Conditions]
    look: Callable[[], Held]
    on_pass: Callable[[Pass], None]
    news: threading.Event = field(default_factory=threading.Event)
    _decided: dict[str, int] = field(default_factory=dict, init=False)

    def run(self, stop: Callable[[], bool]) -> tuple[Ended, Pass | None]:
        """Pass after pass until the run's end; return why it ended and the last pass."""
        began_s = time.monotonic()
        last: Pass | None = None
        while not stop():
            try:
                last = self.one_pass()
            except NotRunningError as error:  # the keeper or the hub is being started again
                log.warning("pass skipped", why=error.message)
                self._wait(stop)
                continue
            why = self._over(last, time.monotonic() - began_s)
            if why is not None:
                return why, last
            if not last.done:
                self._wait(stop, soon=last.plan.awaited)
        return "stopped", last

    def one_pass(self) -> Pass:
        """Look, decide, act and file once."""
        conditions = held_by(self.conditions(), self.look())
        gathered = self.facts.gather(conditions.now)
        open_jobs = self.jobs.open()
        seen = JobsSeen(open=open_jobs, results=self.jobs.results)
        began_s = time.perf_counter()
        plan = reconcile(gathered.facts, seen, self.settings, conditions)
        seconds = time.perf_counter() - began_s
        made = Pass(conditions=conditions, gathered=gathered, seen=seen, plan=plan, seconds=seconds)
        if self.jobs.leads:
            self.jobs.tend()
            made = replace(made, done=self._act(plan.actions), filed=self.jobs.carry_out(plan))
        self.on_pass(made)
        return made

    def cycles(self, facts: Sequence[ConfigFacts]) -> int:
        """Return how many candidates were decided since this run began."""
        total = 0
        for each in facts:
            count = sum(
                d.kind in DECIDING and d.champion_before is not None for d in each.decisions
            )
            total += count - self._decided.setdefault(each.config, count)
        return total

    def _act(self, actions: Sequence[Action]) -> tuple[Done, ...]:
        done = []
        for action in actions:
            try:
                done.append(self.facts.act(action))
            except RefusedError as error:
                log.warning("not carried out", action=type(action).__name__, why=error.message)
        return tuple(each for each in done if each.written)

    def _wait(self, stop: Callable[[], bool], *, soon: bool = False) -> None:
        """Wait for the next pass: until news come, at most as long as the settings say.

        `soon` is for what comes without news.
        """
        wait_s = self.settings.loop.reconcile_seconds
        until_s = time.monotonic() + (min(wait_s, SOON_S) if soon else wait_s)
        while not stop() and (left_s := until_s - time.monotonic()) > 0:
            if self.news.wait(min(left_s, LOOK_S)):
                break
        self.news.clear()

    def _over(self, last: Pass, seconds: float) -> Ended | None:
        """Return why the run is over, None while it is not."""
        options, facts = self.options, last.gathered.facts
        cycles = self.cycles(facts)
        if options.once:
            return "once"
        if options.until_idle and _idle(last):
            return "idle"
        until = reached_by(options.until) if options.until else ()
        if until and all(name in each.milestones for each in facts for name in until):
            return "milestone"
        playing = any(each.tournament_left for each in last.plan.configs)
        if options.max_cycles is not None and cycles >= options.max_cycles and not playing:
            return "cycles"
        if options.max_minutes is not None and seconds >= options.max_minutes * MINUTE_S:
            return "time"
        return None


def _idle(last: Pass) -> bool:
    """Tell whether a pass found nothing left to do, and nothing that kept it from doing more."""
    plan, conditions = last.plan, last.conditions
    if plan.jobs or plan.actions or plan.awaited or last.seen.open:
        return False
    return conditions.guard != "critical" and not conditions.held


def held_by(conditions: Conditions, held: Held) -> Conditions:
    """Return the conditions with what the guard found."""
    return replace(
        conditions,
        guard=held.level,
        guard_reasons=held.reasons,
        held={**conditions.held, **held.halted},
    )
