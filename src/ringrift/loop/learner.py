"""What one configuration's learner is at, why, and what follows (`loop.md` 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringrift.core.ids import short
from ringrift.loop.actions import Action, Decide, FirstChampion, Supersede
from ringrift.loop.feedback import REJECTIONS_IN_ROW, newest_trained, rejections_in_row
from ringrift.loop.gates import Moment, gates
from ringrift.loop.match_jobs import Stuck
from ringrift.loop.regression import COOLDOWN_S
from ringrift.loop.seen import ALL

if TYPE_CHECKING:
    from ringrift.cluster.jobs import Job, JobResult
    from ringrift.core.settings import Settings
    from ringrift.loop.facts import ConfigFacts, MatchFacts
    from ringrift.loop.feedback import Effects
    from ringrift.loop.jobs_of import Filing
    from ringrift.loop.match_jobs import MatchJobs
    from ringrift.loop.plan import Conditions, Gate, State
    from ringrift.loop.seen import ConfigJobs, Jobs

QUEUED_A_SLOT = 2
"""Jobs of self-play, and of matches that decide, that are open for each slot."""
SEEN_WITHIN_S = 120.0
"""How long after a job's end the facts may be without the model, or the numbers, that it made."""
FAULTY_FOR_S = 600.0
"""After this a dataset with faults is made anew from the games that came since."""


@dataclass(slots=True, kw_only=True)
class Standing:
    """The state of a learner; `jobs` makes models, `matches` and `verify` measure a candidate."""

    state: State
    reason: str
    gates: tuple[Gate, ...] = ()
    match: MatchFacts | None = None
    jobs: list[Job] = field(default_factory=list)
    matches: list[Job] = field(default_factory=list)
    verify: list[Job] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """All that the rules about one configuration look at."""

    facts: ConfigFacts
    own: ConfigJobs
    jobs: Jobs
    matching: MatchJobs
    filing: Filing
    effects: Effects
    trigger: int
    regressed: bool = False

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.filing.settings

    @property
    def conditions(self) -> Conditions:
        """The moment of the pass."""
        return self.filing.conditions

    @property
    def term(self) -> int:
        """The number of the leader's term."""
        return 0 if self.conditions.term is None else self.conditions.term.number

    @property
    def trains(self) -> bool:
        """Tell whether a training slot is taken: samples are made, or models trained."""
        return self.facts.champion is not None and any(
            self.own.open.get(kind) for kind in ("train", "companion", "dataset", "tune")
        )

    def standing(self, trainings: int) -> Standing:
        """Return the state, while `trainings` others run."""
        why = self.held()
        if why is not None:
            return Standing(state="held", reason=why)
        if self.facts.champion is None:
            return self._unborn()
        if self.facts.candidate is not None and "evaluate" in self.conditions.stages:
            return self._measured(self.facts.candidate)
        return self._collecting(trainings)

    # --- held

    def held(self) -> str | None:
        """Return why nothing goes on, None where it does."""
        facts, halts = self.facts, self.conditions.held
        if facts.error is not None:
            return facts.error
        for name in (ALL, facts.config):
            if name in halts:
                return f"halted: {halts[name]}"
        most = self.settings.safety.max_consecutive_failures
        failed = self.own.failures(most)
        if failed.count >= most:
            return f"{failed.kind} failed {failed.count} times in a row: {failed.message}"
        return None

    # --- unborn

    def _unborn(self) -> Standing:
        facts = self.facts
        job = self.filing.init(facts, self.filing.values(facts.config, self.effects))
        if self.own.open.get("train"):
            return Standing(state="unborn", reason="a model of random weights is being made")
        made = self.jobs.result(job)
        model = None if made is None else str(made.numbers.get("model_id"))
        if made is None or facts.model(model) is None:
            kind = self.filing.kind()
            model = next(
                (m.id for m in reversed(facts.models) if m.random and m.kind == kind), None
            )
        if model is not None and not self.conditions.stages.isdisjoint(("train", "promote")):
            first = FirstChampion(config=facts.config, model=model, term=self.term)
            reason = f"the model of random weights {short(model)} becomes champion"
            return Standing(state="unborn", reason=reason, actions=[first])
        if "train" not in self.conditions.stages:
            return Standing(state="unborn", reason="no champion yet; training is off")
        reason = "no model yet: starting from random weights"
        if made is not None and self.conditions.now - made.ended_at < SEEN_WITHIN_S:
            return Standing(state="unborn", reason=reason)
        return Standing(state="unborn", reason=reason, jobs=[self.jobs.file(job)])

    # --- a candidate

    def _measured(self, candidate: str) -> Standing:
        facts = self.facts
        older = [model for model, begun in facts.undecided[:-1] if not begun]
        actions: list[Action] = [
            Supersede(config=facts.config, model=model, newer=candidate, term=self.term)
            for model in older
        ]
        ready = facts.ready_to_decide
        found = self._decided(candidate) if ready else self._evaluated(candidate)
        if "promote" in self.conditions.stages:
            found.actions[:0] = actions
        return found

    def _decided(self, candidate: str) -> Standing:
        why = self._waits()
        if why is not None:
            return Standing(state="deciding", reason=f"{short(candidate)}: {why}")
        reason = f"all results of {short(candidate)} are there"
        if "promote" not in self.conditions.stages:
            return Standing(state="deciding", reason=f"{reason}; deciding is off")
        decide = Decide(config=self.facts.config, candidate=candidate, term=self.term)
        return Standing(state="deciding", reason=reason, actions=[decide])

    def _waits(self) -> str | None:
        """Return what keeps a decision waiting that would promote."""
        now, limit = self.conditions.now, self.settings.promotion
        if not any(
            m.key == "against_champion" and m.verdict == "accept" for m in self.facts.matches
        ):
            return None
        promoted = [
            d.at for d in self.facts.decisions if d.kind == "promoted" and d.champion_before
        ]
        backs = [d.at for d in self.facts.decisions if d.kind == "rolled_back"]
        if self.regressed and (not backs or now - backs[-1] < COOLDOWN_S):
            return "promotions wait for the way back after a regression"
        left = promoted[-1] + limit.cooldown_seconds - now if promoted else 0.0
        if left > 0:
            return f"{left:.0f} s until the next promotion may be"
        most = limit.max_promotions_per_day
        today = sum(1 for at in promoted if now - at < 86_400)
        if most is not None and today >= most:
            return f"{today} promotions in a day already, at most {most}"
        return None

    def _evaluated(self, candidate: str) -> Standing:
        facts = self.facts
        found = Standing(state="evaluating", reason=f"{short(candidate)} waits for its results")
        found.match = next((match for match in facts.matches if not match.complete), None)
        if found.match is not None:
            found.reason = f"{short(candidate)}: {_progress(found.match)}"
        elif facts.holdout_missing:
            found.reason = f"{short(candidate)}: hold-out numbers are being made"
        for job in self.matching.required():
            if isinstance(job, Stuck):
                return Standing(state="held", reason=job.words, match=job.match)
            found.matches.append(job)
            if len(found.matches) >= QUEUED_A_SLOT * max(1, self.conditions.slots):
                break
        if facts.holdout_missing:
            job = self.filing.verify(facts, candidate)
            if not self._is_done(job):
                found.verify.append(job)
        return found

    def _is_done(self, job: Job) -> bool:
        """Tell whether a job is open, or done so lately that the facts may not show it yet."""
        if self.jobs.is_open(job):
            return True
        result = self.jobs.result(job)
        if result is None:
            return False
        return result.status != "done" or self.conditions.now - result.ended_at < SEEN_WITHIN_S

    # --- no candidate

    def _collecting(self, trainings: int) -> Standing:
        facts, now = self.facts, self.conditions.now
        running = self.own.open.get("train")
        if running:
            return Standing(state="training", reason=running[0].reason)
        if self.own.open.get("dataset"):
            return Standing(state="ready", reason=self.own.open["dataset"][0].reason)
        unseen = self._unseen()
        if unseen is not None:
            return Standing(state="training", reason=f"{short(unseen)} comes into the registry")
        samples = self._samples()
        faults = None if samples is None else _faults(samples)
        started = self._last_training()
        moment = Moment(
            new_games=facts.new_games,
            trigger=self.trigger,
            since_s=None if started is None else now - started,
            urgent=self.effects.urgent,
            trainings=trainings,
            preflight=faults,
            tournament_left=self.matching.tournament_left(),
        )
        shown = gates(facts.gates, self.settings, self.conditions, moment)
        if "train" not in self.conditions.stages:
            reason = f"{shown[0].words}; training is off"
            return Standing(state="collecting", reason=reason, gates=shown)
        if not shown[0].passed:
            return Standing(state="collecting", reason=shown[0].words, gates=shown)
        failed = [gate.words for gate in shown if not gate.passed]
        if failed:
            return Standing(state="blocked", reason="; ".join(failed), gates=shown)
        reason = f"{shown[0].words}: a training begins"
        job = self._learning(samples)
        return Standing(state="ready", reason=reason, gates=shown, jobs=[self.jobs.file(job)])

    def _learning(self, samples: JobResult | None) -> Job:
        values = self.filing.values(self.facts.config, self.effects)
        parent = self.parent()
        if samples is None:
            return self.filing.dataset(self.facts, parent, values)
        numbers = samples.numbers
        return self.filing.train(
            self.facts, parent, str(numbers["dataset"]), int(numbers["samples"]), values
        )

    def parent(self) -> str | None:
        """Return the model whose weights the next training goes on with.

        The newest candidate, promoted or not, so that gains too small for one test add up; the
        champion after three rejections in a row, after a rollback, and where there is no candidate.
        None where each training begins anew.
        """
        facts = self.facts
        if not self.settings.training.warm_start:
            return None
        rejections = rejections_in_row(facts)
        newest = next((d for d in reversed(facts.decisions) if d.kind != "superseded"), None)
        hopeless = rejections > 0 and rejections % REJECTIONS_IN_ROW == 0
        if newest is None or hopeless or newest.kind == "rolled_back":
            return facts.champion
        candidate = facts.candidate or newest.candidate
        return facts.champion if facts.model(candidate) is None else candidate

    def _samples(self) -> JobResult | None:
        """Return the newest dataset, if no training has used it."""
        done = [found for found in self.own.results.get("dataset", ()) if found.status == "done"]
        if not done:
            return None
        newest, now = done[-1], self.conditions.now
        dataset = newest.numbers.get("dataset")
        if dataset is None or any(model.dataset == dataset for model in self.facts.models):
            return None
        if newest.numbers.get("parent", self.parent()) != self.parent():
            return None
        spent = [
            found
            for found in self.own.results.get("train", ())
            if found.status != "failed" and found.ended_at > newest.ended_at
        ]
        if spent:
            return None
        upto = newest.numbers.get("games_upto") or 0
        if _faults(newest) and now - newest.ended_at > FAULTY_FOR_S and self.facts.max_seq > upto:
            return None
        return newest

    def _unseen(self) -> str | None:
        """Return a model that was trained a moment ago and is not in the facts yet."""
        done = [found for found in self.own.results.get("train", ()) if found.status == "done"]
        if not done or self.conditions.now - done[-1].ended_at > SEEN_WITHIN_S:
            return None
        model = done[-1].numbers.get("model_id")
        return str(model) if model is not None and self.facts.model(str(model)) is None else None

    def _last_training(self) -> float | None:
        """Return when the newest training began."""
        random = {model.id for model in self.facts.models if model.random}
        begun = [
            found.started_at
            for found in self.own.results.get("train", ())
            if found.numbers.get("model_id") not in random
        ]
        model = newest_trained(self.facts)
        if model is not None:
            begun.append(model.made_at - (model.seconds or 0.0))
        return max(begun, default=None)


def _faults(samples: JobResult) -> tuple[str, ...]:
    found: Sequence[Any] | None = samples.numbers.get("preflight")
    return ("preflight unknown",) if found is None else tuple(map(str, found))


def _progress(match: MatchFacts) -> str:
    words = f"{match.title}, {match.played} of {match.games} games"
    if match.llr is not None and match.bounds is not None:
        words += f", LLR {match.llr:.2f} in [{match.bounds[0]:.2f}, {match.bounds[1]:.2f}]"
    return words
