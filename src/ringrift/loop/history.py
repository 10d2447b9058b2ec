"""Events from the differences between passes: what is new in the facts, the jobs and the plan.

What has been logged is read back from the log, so that a restart logs nothing twice. Nothing is
decided from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringrift.cluster.attempts import FailedAttempt
from ringrift.cluster.jobs import Job, JobResult
from ringrift.loop.cycles import cycles_of, is_cycle
from ringrift.loop.event_data import decision_data, match_data
from ringrift.loop.events import EventKind, Events
from ringrift.loop.facts import ConfigFacts, MatchFacts
from ringrift.loop.logged import DECIDED, read_logged
from ringrift.loop.plan import Conditions, ConfigPlan, Plan
from ringrift.loop.status import MINUTE_S, RunningJob

INGESTED_EVERY_S = 10.0
PROGRESS_EVERY_S = 10.0
RATE_WINDOW_S = 600.0
RATE_LEAST_S = 20.0
HOUR_S = 3600.0
TAIL_LENGTH = 400
TRAININGS = ("train", "companion")
MOST_FORGOTTEN = 10_000
HEAD = frozenset({"self", "kind", "config", "cycle", "job"})

REGRESSED = ("URGENT_RETRAINING", "PROMOTION_HOLD")


@dataclass(slots=True)
class _Config:
    """What was seen last of one configuration."""

    games: int | None = None
    games_logged_at: float = float("-inf")
    rate: deque[tuple[float, int]] = field(default_factory=deque)
    state: str = ""
    since: float = 0.0
    weight: float | None = None
    preset: str | None = None
    signals: frozenset[str] | None = None
    plateaus: int | None = None


class History:
    """Compares each pass with the one before and writes what happened."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._logged = read_logged(events.path.parent)
        self._configs: dict[str, _Config] = {}
        self._held: dict[str, str] = {}
        self._guard = "ok"
        self._attempts: set[tuple[str, int]] = set()
        self._quarantined = 0
        self._job_seconds: dict[str, dict[str, float]] = {}
        self._progress_at: dict[str, float] = {}

    @property
    def first_started_at(self) -> float | None:
        """When the loop was started first on this root, as far as the log goes back."""
        return self._logged.first_started_at

    @property
    def since(self) -> Mapping[str, float]:
        """By configuration: when it entered its state."""
        return {name: each.since for name, each in self._configs.items()}

    @property
    def matches(self) -> int:
        """How many matches have finished."""
        return len(self._logged.matches)

    def games_per_hour(self) -> dict[str, float]:
        """Return the rate of each configuration over the last ten minutes, where it is known."""
        rates = {}
        for name, each in self._configs.items():
            if len(each.rate) > 1:
                (first_s, first), (last_s, last) = each.rate[0], each.rate[-1]
                if last_s - first_s >= RATE_LEAST_S:
                    rates[name] = (last - first) / (last_s - first_s) * HOUR_S
        return rates

    def began(self, now: float, **data: Any) -> None:
        """Log the start of the loop."""
        if self._logged.first_started_at is None:
            self._logged.first_started_at = now
        self._events.write("loop_started", **data)

    def ended(self, why: str) -> None:
        """Log the end of the loop."""
        self._events.write("loop_stopped", ended=why)

    def filed(self, job: Job, cycle: int | None = None) -> None:
        """Log a job that was put into the queue."""
        self._events.write(
            "job_filed", job.config, cycle, job.id, job_kind=job.kind, reason=job.reason
        )

    def failed_attempts(self, attempts: Iterable[FailedAttempt]) -> None:
        """Log the attempts of jobs that failed and are made again; each is told once."""
        for each in attempts:
            key = (each.job_id, each.attempt)
            if key not in self._attempts:
                self._attempts.add(key)
                error = (
                    f"{each.error.get('type', 'unknown')}: {each.error.get('message', 'unknown')}"
                )
                data = {"job_kind": each.kind, "attempt": each.attempt, "error": error}
                self._events.write("job_retried", each.config, None, each.job_id, **data)

    def quarantined(self, total: int, reasons: Mapping[str, int]) -> None:
        """Log that more games were refused; `total` counts since the start of the keeper."""
        if total > self._quarantined:
            self._events.write(
                "games_quarantined", games=total - self._quarantined, reasons=dict(reasons)
            )
        self._quarantined = total

    def look(
        self,
        plan: Plan,
        facts: Sequence[ConfigFacts],
        results: Mapping[str, JobResult],
        jobs: Sequence[RunningJob],
        conditions: Conditions,
    ) -> None:
        """Compare this pass with the last one and log what is new.

        In a log without any event what is there already is no news.
        """
        if self._logged.empty:
            self._logged.take_as_known(facts, results)
        self._look_at_holds(conditions)
        plans = {each.config: each for each in plan.configs}
        new = self._new_results(results)
        for each in facts:
            if each.config in plans:
                own = new.pop(each.config, [])
                self._look_at(each, plans[each.config], own, jobs, conditions.now)
        for result in (result for left in new.values() for result in left):
            self._look_at_result(result, None)

    def _new_results(self, results: Mapping[str, JobResult]) -> dict[str, list[JobResult]]:
        """Return what has not been logged, by configuration, in the order of ending."""
        known = self._logged.results
        new = [result for job, result in results.items() if job not in known]
        known.update(result.job_id for result in new)
        if len(known) > 2 * len(results) + MOST_FORGOTTEN:  # the others are too old to come again
            known.intersection_update(results)
        found: dict[str, list[JobResult]] = {}
        for result in sorted(new, key=lambda each: each.ended_at):
            found.setdefault(result.config, []).append(result)
        return found

    # --- one configuration, in the order in which things happen

    def _look_at(
        self,
        facts: ConfigFacts,
        plan: ConfigPlan,
        results: Sequence[JobResult],
        jobs: Sequence[RunningJob],
        now: float,
    ) -> None:
        known = self._configs.setdefault(facts.config, _Config())
        cycle = cycles_of(facts) + 1
        self._look_at_first_model(facts)
        # The first model of all is made, not trained.
        trainings = [
            job
            for job in jobs
            if job.config == facts.config and job.kind == "train" and facts.models
        ]
        begun = any(job.id not in self._logged.trainings for job in trainings)
        learned = any(each.kind == "train" for each in results)
        self._look_at_games(facts, plan, known, now, at_once=learned or begun)
        for job in trainings:
            self._training_started(job.id, facts.config, cycle)
            self._training_progress(job, cycle, now)
        for result in results:
            self._look_at_result(result, cycle)
        self._look_at_models(facts, cycle, trainings)
        for match in (*facts.matches, *facts.side_matches):
            self._look_at_match(facts.config, match, cycle)
        self._look_at_decisions(facts)
        self._look_at_milestones(facts)
        self._look_at_plan(plan, known, now)

    def _look_at_first_model(self, facts: ConfigFacts) -> None:
        for model in facts.models:
            if model.random and model.id not in self._logged.models:
                self._logged.models.add(model.id)
                self._events.write(
                    "model_initialised", facts.config, 0, None, model=model.id, net=model.kind
                )

    def _look_at_games(
        self, facts: ConfigFacts, plan: ConfigPlan, known: _Config, now: float, *, at_once: bool
    ) -> None:
        known.rate.append((now, facts.games))
        while now - known.rate[0][0] > RATE_WINDOW_S:
            known.rate.popleft()
        if known.games is None:
            known.games = facts.games
            return
        if facts.games <= known.games:
            return
        if now - known.games_logged_at < INGESTED_EVERY_S and not at_once:
            return
        self._events.write(
            "games_ingested",
            facts.config,
            cycles_of(facts) + 1,
            None,
            games=facts.games - known.games,
            total=facts.games,
            new_games=facts.new_games,
            trigger=plan.trigger,
            games_per_hour=self.games_per_hour().get(facts.config),
            job_seconds=self.job_seconds(facts.config),
        )
        known.games, known.games_logged_at = facts.games, now

    def _training_started(self, job: str, config: str, cycle: int | None) -> None:
        if job not in self._logged.trainings:
            self._logged.trainings.add(job)
            self._events.write("training_started", config, cycle, job)

    def _training_progress(self, job: RunningJob, cycle: int, now: float) -> None:
        if not job.progress or now - self._progress_at.get(job.id, 0.0) < PROGRESS_EVERY_S:
            return
        self._progress_at[job.id] = now
        self._events.write("training_progress", job.config, cycle, job.id, **_numbers(job.progress))

    def _look_at_result(self, result: JobResult, cycle: int | None) -> None:
        seconds = round(result.ended_at - result.started_at, 3)
        spent = self._job_seconds.setdefault(result.config, {})
        spent[result.kind] = spent.get(result.kind, 0.0) + seconds
        if result.status == "failed":
            error = dict(result.error or {})
            self._events.write(
                "job_failed",
                result.config,
                cycle,
                result.job_id,
                job_kind=result.kind,
                attempts=result.attempts,
                error=f"{error.get('type', 'unknown')}: {error.get('message', 'unknown')}",
                tail=str(error.get("tail", ""))[-TAIL_LENGTH:],
            )
        elif result.kind == "tune" and result.status == "done":
            self._events.write(
                "tuning_finished", result.config, cycle, result.job_id, **_numbers(result.numbers)
            )
        elif result.kind in TRAININGS and result.status == "done":
            made = result.numbers.get("model_id")
            # The first model of all is made, not trained; others may have been seen already.
            if result.numbers.get("init") or made in self._logged.trained:
                return
            self._training_started(result.job_id, result.config, cycle)
            self._training_finished(
                result.config,
                cycle,
                result.job_id,
                {
                    **_numbers(result.numbers),
                    "model": made,
                    "net": result.numbers.get("kind"),
                    "seconds": seconds,
                },
            )

    def _training_finished(
        self, config: str, cycle: int | None, job: str | None, data: Mapping[str, Any]
    ) -> None:
        if data["model"] is not None:
            self._logged.trained.add(data["model"])
        self._events.write("training_finished", config, cycle, job, **data)

    def _look_at_models(
        self, facts: ConfigFacts, cycle: int, trainings: Sequence[RunningJob]
    ) -> None:
        for model in facts.models:
            if model.unfinished:
                continue
            if not model.random and model.id not in self._logged.trained:
                # Its job goes on measuring it while matches begin.
                job = trainings[0].id if trainings else None
                data = {
                    "model": model.id,
                    "net": model.kind,
                    "losses": list(model.losses),
                    "validation_loss": model.validation_loss,
                    "samples": model.samples,
                    "seconds": model.seconds,
                }
                self._training_finished(facts.config, cycle, job, data)
            if model.ece is not None and model.id not in self._logged.calibrated:
                self._logged.calibrated.add(model.id)
                self._events.write(
                    "calibration",
                    facts.config,
                    cycle,
                    None,
                    model=model.id,
                    ece=model.ece,
                    temperature=model.temperature,
                )

    def _look_at_match(self, config: str, match: MatchFacts, cycle: int) -> None:
        if not match.complete or match.plan in self._logged.matches:
            return
        self._logged.matches.add(match.plan)
        kind: EventKind = "shadow_finished" if match.key == "shadow" else "match_finished"
        self._events.write(kind, config, cycle, None, **match_data(match))

    def _look_at_decisions(self, facts: ConfigFacts) -> None:
        cycle, before = 0, None
        logged = self._logged.decisions.get(facts.config, 0)
        for decision in facts.decisions:
            cycle += is_cycle(decision)
            model = facts.model(decision.candidate)
            first = decision.champion_before is None and model is not None and model.random
            if decision.sequence > logged and decision.kind in DECIDED and not first:
                self._events.write(
                    DECIDED[decision.kind],
                    facts.config,
                    cycle,
                    None,
                    **decision_data(facts, decision, model, before),
                )
            before = decision.at
        if facts.decisions:
            newest = facts.decisions[-1].sequence
            self._logged.decisions[facts.config] = max(logged, newest)

    def _look_at_milestones(self, facts: ConfigFacts) -> None:
        start = self._logged.first_started_at
        for name, at in sorted(facts.milestones.items(), key=lambda item: item[1]):
            if (facts.config, name) not in self._logged.milestones:
                self._logged.milestones.add((facts.config, name))
                minutes = None if start is None else round(max(0.0, at - start) / MINUTE_S, 2)
                self._events.write(
                    "milestone", facts.config, None, None, name=name, minutes=minutes
                )

    def _look_at_plan(self, plan: ConfigPlan, known: _Config, now: float) -> None:
        if plan.state != known.state:
            known.state, known.since = plan.state, now
        weight = round(plan.weight, 3)
        if known.weight is not None and weight != known.weight:
            self._events.write(
                "curriculum_rebalanced", plan.config, None, None, weight=weight, share=plan.share
            )
        known.weight = weight
        if known.preset is not None and plan.preset != known.preset:
            self._events.write(
                "preset_changed",
                plan.config,
                None,
                None,
                preset=plan.preset,
                former=known.preset,
                reason=plan.preset_reason,
            )
        known.preset = plan.preset
        self._look_at_signals(plan, known)

    def _look_at_signals(self, plan: ConfigPlan, known: _Config) -> None:
        kinds = frozenset(str(signal.kind) for signal in plan.signals)
        before = kinds if known.signals is None else known.signals
        for signal in plan.signals:
            if signal.kind not in before:
                data = {"signal": signal.kind, "value": signal.value, "reason": signal.reason}
                self._events.write("signal", plan.config, None, None, **data)
        if kinds.intersection(REGRESSED) and not before.intersection(REGRESSED):
            reason = next(each.reason for each in plan.signals if each.kind in REGRESSED)
            self._events.write("regression", plan.config, None, None, reason=reason)
        count = plan.plateau.count
        if known.plateaus is not None and count > known.plateaus:
            self._events.write("plateau", plan.config, None, None, count=count)
        known.signals, known.plateaus = kinds, count

    def _look_at_holds(self, conditions: Conditions) -> None:
        for name, reason in conditions.held.items():
            if name not in self._held:
                self._events.write("halted", _config_of(name), reason=reason)
        for name in self._held.keys() - conditions.held.keys():
            self._events.write("resumed", _config_of(name))
        self._held = dict(conditions.held)
        if conditions.guard != self._guard:
            self._events.write(
                "guard_level", level=conditions.guard, reasons=list(conditions.guard_reasons)
            )
        self._guard = conditions.guard

    def job_seconds(self, config: str) -> dict[str, float]:
        """Return the seconds that jobs of each kind took since the start of the loop."""
        return {kind: round(spent, 1) for kind, spent in self._job_seconds.get(config, {}).items()}


def _numbers(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job says of itself, without names that an event has of its own."""
    return {name: value for name, value in said.items() if name not in HEAD}


def _config_of(name: str) -> str | None:
    return None if name == "all" else name
