"""One pass of the loop as a pure function: from facts to states, jobs and decisions (`loop.md` 3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ringrift.cluster.jobs import NORMAL, URGENT
from ringrift.loop.budget import budget
from ringrift.loop.companions import companion_due
from ringrift.loop.curriculum import weights
from ringrift.loop.feedback import effects, scaled_trigger, signals
from ringrift.loop.gates import seat_warning
from ringrift.loop.jobs_of import Filing
from ringrift.loop.learner import QUEUED_A_SLOT, Learner, Standing
from ringrift.loop.match_jobs import MatchJobs, Stuck
from ringrift.loop.plan import HELD_BY, ConfigPlan, Plan
from ringrift.loop.plateau import plateaus
from ringrift.loop.presets import preset_of
from ringrift.loop.regression import regression, rollback
from ringrift.loop.scheduler import PAUSE_FACTOR, Claim, Stride, order, shares
from ringrift.loop.seen import DAY_S, Jobs
from ringrift.loop.studies import EPOCHS, size_of, study_due, trouble

if TYPE_CHECKING:
    from ringrift.cluster.jobs import Job
    from ringrift.core.settings import Settings
    from ringrift.loop.actions import Action
    from ringrift.loop.budget import Budget
    from ringrift.loop.facts import ConfigFacts
    from ringrift.loop.plan import Conditions, JobsSeen, Signal
    from ringrift.loop.plateau import Plateaus


@dataclass(slots=True, kw_only=True)
class _Config:
    """One configuration during a pass."""

    facts: ConfigFacts
    learner: Learner
    claim: Claim
    signals: tuple[Signal, ...]
    plateaus: Plateaus
    preset: tuple[str, str]
    budget: Budget
    weight: float
    back: Action | None
    warnings: list[str]
    standing: Standing
    beside: Job | None = None
    """A training that takes a slot beside the lineage's: a study, or that of a companion."""


def reconcile(
    facts: Sequence[ConfigFacts], seen: JobsSeen, settings: Settings, conditions: Conditions
) -> Plan:
    """Return what each configuration is at, what to file and what to have written.

    Depends on its arguments alone; the same ones give the same jobs, with the same ids.
    """
    return _Pass(facts, seen, settings, conditions).plan()


class _Pass:
    def __init__(
        self,
        facts: Sequence[ConfigFacts],
        seen: JobsSeen,
        settings: Settings,
        conditions: Conditions,
    ) -> None:
        self._settings = settings
        self._conditions = conditions
        self._jobs = Jobs(seen, conditions)
        self._filing = Filing(settings, conditions)
        by_ratings = "curriculum" in conditions.stages and conditions.mode != "balance"
        found = weights(facts, settings, conditions.now) if by_ratings else {}
        pace = sum(fact.play.games_last_hour for fact in facts)
        self._configs = [self._look(fact, found.get(fact.config, 1.0), pace) for fact in facts]

    def plan(self) -> Plan:
        """Return the outcome."""
        self._decide_states()
        players = [found for found in self._configs if self._plays(found)]
        parts = shares([found.claim for found in players], self._conditions.mode)
        jobs: list[Job] = []
        warnings: list[str] = []
        why = "; ".join(self._conditions.guard_reasons)
        if self._conditions.guard == "critical":
            warnings.append(f"{HELD_BY['critical']}: {why or 'a resource is critical'}")
        else:
            jobs += self._required()
            jobs += [job for found in self._configs for job in found.standing.jobs]
            jobs += self._verify()
            jobs += [self._jobs.file(found.beside) for found in self._configs if found.beside]
            jobs += self._looking()
            if self._conditions.guard == "warning":
                warnings.append(f"{HELD_BY['warning']}: {why or 'a resource is scarce'}")
            else:
                jobs += self._selfplay(players, parts)
        return Plan(
            configs=tuple(
                self._shown(found, parts.get(found.facts.config, 0.0)) for found in self._configs
            ),
            jobs=tuple(jobs),
            actions=tuple(self._actions()),
            forget=frozenset(self._jobs.forget & {job.id for job in jobs}),
            awaited=any(found.learner.matching.awaited for found in self._configs),
            cancel=tuple(self._unneeded()),
            warnings=tuple(warnings),
        )

    # --- each configuration

    def _look(self, facts: ConfigFacts, weight: float, pace: int) -> _Config:
        settings, conditions = self._settings, self._conditions
        own = self._jobs.of(facts.config)
        history = plateaus(facts, settings)
        found = signals(facts, settings, conditions.now, games_per_hour=pace)
        moved = effects(found, history.standing.count)
        limits = settings.curriculum
        weight = min(
            max(weight + moved.weight, limits.min_weight_multiplier), limits.max_weight_multiplier
        )
        games = conditions.triggers.get(facts.config, settings.training.trigger_threshold_games)
        trigger = scaled_trigger(games, moved.trigger)
        term = 0 if conditions.term is None else conditions.term.number
        weaker = regression(facts, settings)
        back, why_not = rollback(facts, weaker, settings, now=conditions.now, term=term)
        plays = own.results.get("selfplay", ())
        done = [result for result in plays if result.status == "done"]
        since = conditions.now - DAY_S
        used = own.core_s("selfplay", since=since)
        learner = Learner(
            facts=facts,
            own=own,
            jobs=self._jobs,
            matching=MatchJobs(facts, own, self._jobs, self._filing),
            filing=self._filing,
            effects=moved,
            trigger=trigger,
            regressed=weaker is not None and settings.regression.auto_rollback,
        )
        return _Config(
            facts=facts,
            learner=learner,
            claim=Claim(
                config=facts.config,
                weight=weight,
                new_games=facts.new_games,
                trigger=trigger,
                games=facts.games,
                models=len(facts.models),
                used_s=used,
                job_s=used / len(done) if done else None,
                open_jobs=len(own.open.get("selfplay", ())),
            ),
            signals=found,
            plateaus=history,
            preset=preset_of(facts, found, history.last_at),
            budget=budget(facts.decisions, facts.milestones, settings),
            weight=weight,
            back=back if "promote" in conditions.stages else None,
            warnings=[
                why
                for why in (why_not, seat_warning(facts.gates), trouble(facts, own, settings))
                if why
            ],
            standing=Standing(state="collecting", reason=""),
        )

    def _decide_states(self) -> None:
        """Give each configuration its state; training slots go round in the scheduler's order."""
        claims = order([found.claim for found in self._configs], self._conditions.mode)
        by_name = {found.facts.config: found for found in self._configs}
        trainings = sum(1 for found in self._configs if found.learner.trains)
        for claim in claims:
            found = by_name[claim.config]
            found.beside = self._beside(found, trainings)
            if found.beside is not None:
                trainings += 1
            found.standing = found.learner.standing(trainings)
            if found.standing.state == "ready" and found.standing.jobs:
                trainings += 1

    def _beside(self, found: _Config, trainings: int) -> Job | None:
        """Return the study or companion that is due and fits into a training's slot, while so many run."""
        settings, facts, own = self._settings, found.facts, found.learner.own
        free = trainings < settings.training.max_concurrent_jobs and not found.learner.trains
        if not free or "train" not in self._conditions.stages or found.learner.held() is not None:
            return None
        if self._conditions.guard == "critical":
            return None
        why = study_due(facts, own, found.signals, settings, self._conditions.now)
        if why is None:
            return companion_due(facts, self._jobs, self._filing, found.learner.effects)
        upto, trials = size_of(facts)
        return self._filing.study(facts, upto, trials, EPOCHS, why)

    def _shown(self, found: _Config, share: float) -> ConfigPlan:
        preset, why = found.preset
        held = found.standing.state == "held"
        return ConfigPlan(
            config=found.facts.config,
            state=found.standing.state,
            reason=found.standing.reason,
            gates=found.standing.gates,
            trigger=found.claim.trigger,
            new_games=found.facts.new_games,
            share=share,
            weight=found.weight,
            preset=preset,
            preset_reason=why,
            simulations=found.budget.full,
            signals=found.signals,
            plateau=found.plateaus.standing,
            match=found.standing.match,
            failures=found.learner.own.failures(1).count,
            tournament_left=0 if held else found.learner.matching.tournament_left(),
            warnings=tuple(found.warnings),
        )

    # --- what follows

    def _actions(self) -> Iterator[Action]:
        for found in self._configs:
            if found.standing.state == "held":
                continue
            yield from found.standing.actions
            if found.back is not None:
                yield found.back

    def _unneeded(self) -> Iterator[str]:
        for found in self._configs:
            if found.facts.error is None:
                yield from found.learner.matching.unneeded()

    def _required(self) -> Iterator[Job]:
        """Yield the next jobs of the tests, the longest waiting candidate's first."""
        room = QUEUED_A_SLOT * max(1, self._conditions.slots)
        room -= self._jobs.count("match", prio=URGENT)
        for found in sorted(self._configs, key=_waits_since):
            for job in found.standing.matches[: max(0, room)]:
                room -= 1
                yield self._jobs.file(job)

    def _verify(self) -> Iterator[Job]:
        for found in self._configs:
            for job in found.standing.verify:
                yield self._jobs.file(job)

    def _looking(self) -> Iterator[Job]:
        """Yield the next jobs of matches beside, as far as they fit into their part of the time."""
        if "evaluate" not in self._conditions.stages:
            return
        room = max(1, self._conditions.slots) - self._jobs.count("match", prio=NORMAL)
        capped = "selfplay" in self._conditions.stages
        for found in self._configs:
            if found.standing.state == "held":
                continue
            for job in found.learner.matching.looking(capped=capped):
                if isinstance(job, Stuck):
                    found.warnings.append(job.words)
                elif room <= 0:
                    break
                else:
                    room -= 1
                    yield self._jobs.file(job)

    def _plays(self, found: _Config) -> bool:
        """Tell whether a configuration's self-play goes on."""
        if "selfplay" not in self._conditions.stages or found.facts.champion is None:
            return False
        state = found.standing.state
        if state == "held":
            return False
        if found.facts.new_games > PAUSE_FACTOR * found.claim.trigger:
            found.warnings.append(
                f"self-play pauses: {found.facts.new_games} new games are more than "
                f"{PAUSE_FACTOR} times {found.claim.trigger}"
            )
            return False
        return self._settings.pipeline.overlapped_selfplay or state in ("collecting", "blocked")

    def _selfplay(self, players: Sequence[_Config], parts: dict[str, float]) -> Iterator[Job]:
        room = QUEUED_A_SLOT * self._conditions.slots - self._jobs.count("selfplay")
        stride = Stride([found.claim for found in players], parts, self._conditions.mode)
        queues = {found.facts.config: self._unplayed(found) for found in players}
        for config in stride.picks(max(0, room)):
            job = next(queues[config], None)
            if job is not None:
                yield job

    def _unplayed(self, found: _Config) -> Iterator[Job]:
        """Yield the next self-play jobs; where play pauses for trainings, those that one lacks."""
        champion = found.facts.champion
        assert champion is not None
        jobs = self._filing.selfplay(found.facts, champion, found.preset[0], found.budget)
        new = (job for job in jobs if not (self._jobs.is_open(job) or self._jobs.has_result(job)))
        if self._settings.pipeline.overlapped_selfplay:
            return new
        claim = found.claim
        games = self._filing.games_per_job(found.facts.config)
        lacking = math.ceil(max(0, claim.trigger - claim.new_games) / games)
        if found.standing.state == "blocked":
            lacking = max(1, lacking)
        return islice(new, max(0, lacking - claim.open_jobs))


def _waits_since(found: _Config) -> float:
    model = found.facts.model(found.facts.candidate)
    return 0.0 if model is None else model.made_at
