"""The jobs that the loop files: each is fixed by what it is made from, so that it has one id."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.cluster.jobs import NORMAL, URGENT, Job, Needs
from ringrift.core.ids import canonical_json, content_id, derived_seed, short
from ringrift.loop.feedback import Effects
from ringrift.loop.job_specs import (
    DatasetSpec,
    MatchSpec,
    ModeSpec,
    SelfplaySpec,
    TrainingValues,
    TrainSpec,
    TuneSpec,
    VerifySpec,
)
from ringrift.loop.presets import run_name
from ringrift.selfplay.modes import AGAINST_POOL, DIVERSE_MODE, POOL_SIZE, mode_name

if TYPE_CHECKING:
    from ringrift.cluster.jobs import JobKind
    from ringrift.core.settings import Settings
    from ringrift.loop.budget import Budget
    from ringrift.loop.facts import ConfigFacts, MatchFacts, ModelFacts
    from ringrift.loop.job_specs import NetKind
    from ringrift.loop.plan import Conditions

CHUNK_GAMES = 32
"""Games of a match's job, rounded up to whole blocks."""
BASE_GB, COPIES, SAMPLE_BYTES, SAMPLES_A_GAME = 1.5, 3, 400, 70
"""Memory of datasets and trainings: the base, and the window's bytes so many times (`cluster.md` 6)."""
GPU_GB = 8.0
STUDY_TEST_GAMES = 400
"""Most games between the nets of a study's best set and of the present one (`tuning.md` 9)."""
SEARCH_SHARE = 0.5
"""Part of a study's time limit after which no trial begins: the best set is trained anew after it."""
STEPS = ("batch_size", "learning_rate")
ROUND_GB = 0.5


@dataclass(frozen=True, slots=True)
class Filing:
    """Makes jobs of one pass."""

    settings: Settings
    conditions: Conditions

    # --- self-play

    def selfplay(
        self, facts: ConfigFacts, model: str, preset: str, budget: Budget
    ) -> Iterator[Job]:
        """Yield the self-play jobs of a model, from the first whose games are not all stored."""
        play = self.settings.selfplay
        fixed: dict[str, Any] = {
            "config": facts.config,
            **self._who_plays(facts, model, budget.full),
            "model": model,
            "full_fraction": play.full_search_fraction,
            "cheap_sims": budget.cheap,
            "random_choices": play.opening_random_moves,
            "preset": preset,
        }
        if play.max_moves is not None:
            fixed["max_plies"] = play.max_moves
        named = content_id("selfplay", canonical_json({**fixed, "seed": self.conditions.seed}))
        run = run_name(facts.config, model, named, preset)
        seed = derived_seed(self.conditions.seed, "selfplay", run)
        games = self.games_per_job(facts.config)
        at = facts.play.next_index.get(run, 0) // games
        while True:
            spec = SelfplaySpec(**fixed, run=run, seed=seed, first=at * games, games=games)
            yield self._job(
                "selfplay",
                facts.config,
                spec.told(),
                needs=self._playing(facts.model(model)),
                timeout_s=play.worker_timeout_seconds,
                reason=f"self-play of {short(model)}",
            )
            at += 1

    def games_per_job(self, config: str) -> int:
        """Return the games of a self-play job; where play pauses for trainings, a slot's part."""
        most = self.settings.selfplay.games_per_job
        if self.settings.pipeline.overlapped_selfplay:
            return most
        default = self.settings.training.trigger_threshold_games
        trigger = self.conditions.triggers.get(config, default)
        return min(most, math.ceil(trigger / max(1, self.conditions.slots)))

    def _who_plays(self, facts: ConfigFacts, model: str, sims: int) -> dict[str, Any]:
        """Return the agent, or the engine mode; without earlier champions there is no pool."""
        play = self.settings.selfplay
        name = (
            None
            if play.engine_mode is None
            else mode_name(play.engine_mode, where="selfplay.engine_mode")
        )
        pool = _pool(facts, model) if name == AGAINST_POOL else ()
        if name is None or (name == AGAINST_POOL and not pool):
            search = f"sims={sims},m={play.considered_moves},c_scale={play.c_scale!r},scale=1"
            return {"agent": f"gumbel@{model}:{search}"}
        mode = ModeSpec(
            name=name,
            sims=sims,
            band=play.difficulty_band,
            pool=pool,
            weights=play.ai_type_weights.model_dump() if name == DIVERSE_MODE else None,
        )
        return {"agent": None, "mode": mode.model_dump(mode="json")}

    # --- matches

    def chunks(self, match: MatchFacts) -> Iterator[tuple[int, ...]]:
        """Yield the games of the jobs that a match still needs, in its order."""
        size = chunk_size(match.block)
        for chunk in sorted({game // size for game in match.missing}):
            yield tuple(range(chunk * size, min(match.games, (chunk + 1) * size)))

    def match(
        self,
        facts: ConfigFacts,
        match: MatchFacts,
        games: tuple[int, ...],
        *,
        attempt: int = 1,
        prio: int = URGENT,
        capped: bool = False,
    ) -> Job:
        """Return the job of some games of a match."""
        spec = MatchSpec(
            config=facts.config, plan=match.plan_text, games=games, attempt=attempt, capped=capped
        )
        return self._job(
            "match",
            facts.config,
            {**spec.model_dump(), "games": list(games)},
            needs=self._playing(facts.model(match.subject)),
            timeout_s=self.settings.tournament.tournament_timeout_seconds,
            prio=prio,
            reason=match.title,
        )

    def verify(self, facts: ConfigFacts, candidate: str) -> Job:
        """Return the job that makes the hold-out numbers of a candidate and the champion."""
        assert facts.champion is not None
        return self._job(
            "verify",
            facts.config,
            VerifySpec(config=facts.config, model=candidate, champion=facts.champion).model_dump(),
            needs=Needs(),
            timeout_s=self._training_limit,
            prio=URGENT,
            reason=f"hold-out numbers of {short(candidate)}",
        )

    # --- models

    def kinds(self) -> tuple[NetKind, ...]:
        """Return the kinds of nets that are trained: the lineage's, then those of companions."""
        nnue: NetKind = "nnue-policy" if self.settings.training.policy.enabled else "nnue"
        named = dict.fromkeys(self.settings.training.nets or ("nnue",))
        return tuple("cnn" if name == "cnn" else nnue for name in named)

    def kind(self) -> NetKind:
        """Return the kind of net of the lineage."""
        return self.kinds()[0]

    def values(self, config: str, moved: Effects, *, kind: NetKind | None = None) -> TrainingValues:
        """Return the numbers of a configuration's training, as signals have moved them."""
        training, policy = self.settings.training, self.settings.training.policy
        own = dict(self.conditions.hyperparameters.get(config, {}))
        shape = {name: own.pop(name, None) for name in ("hidden_dim", *STEPS)}
        if (kind or self.kind()) != "nnue-policy":
            own.pop("dropout", None)
        if "warmup_epochs" in own:
            own["warmup_epochs"] = float(own["warmup_epochs"])
        options: dict[str, Any] = {
            **own,
            "device": self.conditions.device,
            "use_ema": training.use_ema,
            "ema_decay": training.ema_decay,
            "policy_loss": "auto" if policy.auto_kl_loss else "ce",
            "kl_min_coverage": policy.kl_min_coverage,
            "kl_min_samples": policy.kl_min_samples,
        }
        given = {"label_smoothing": training.policy_label_smoothing, "q_mix": training.q_mix}
        options |= {name: value for name, value in given.items() if value is not None}
        if policy.target != "auto":
            options["policy_target"] = policy.target
        return TrainingValues(
            **shape,
            model_size=training.model_size,
            max_reuse=training.max_reuse,
            passes_factor=moved.passes,
            window_games=training.window_games,
            window_factor=moved.window,
            options=options,
        )

    def init(self, facts: ConfigFacts, values: TrainingValues) -> Job:
        """Return the job that makes the model of random weights."""
        spec = TrainSpec(
            config=facts.config,
            kind=self.kind(),
            seed=derived_seed(self.conditions.seed, facts.config, "init"),
            init="random",
            values=values,
        )
        return self._train(spec, samples=0, reason="no model yet: random weights")

    def dataset(self, facts: ConfigFacts, parent: str | None, values: TrainingValues) -> Job:
        """Return the job that exports the games stored until now."""
        spec = DatasetSpec(
            config=facts.config,
            kind=self.kind(),
            parent=parent,
            upto=facts.max_seq,
            values=values,
        )
        return self._job(
            "dataset",
            facts.config,
            spec.model_dump(),
            needs=Needs(mem_gb=_memory_gb(self._window)),
            timeout_s=self._training_limit,
            prio=URGENT,
            reason=f"samples for a training from {short(parent or 'nothing')}",
        )

    def train(
        self,
        facts: ConfigFacts,
        parent: str | None,
        dataset: str,
        samples: int,
        values: TrainingValues,
    ) -> Job:
        """Return the training of a candidate."""
        spec = TrainSpec(
            config=facts.config,
            kind=self.kind(),
            seed=derived_seed(self.conditions.seed, facts.config, "train", dataset),
            parent=parent,
            dataset=dataset,
            snapshot_s=self._snapshot_s,
            values=values,
        )
        reason = f"training from {short(parent or 'nothing')} on {short(dataset)}"
        return self._train(spec, samples=samples, reason=reason)

    def companion(
        self,
        facts: ConfigFacts,
        kind: NetKind,
        parent: str | None,
        learned: ModelFacts,
        values: TrainingValues,
    ) -> Job:
        """Return the training of a net of another kind over the dataset of a model of the lineage."""
        spec = TrainSpec(
            config=facts.config,
            kind=kind,
            seed=derived_seed(self.conditions.seed, facts.config, kind, str(learned.dataset)),
            parent=parent,
            dataset=learned.dataset,
            values=values,
        )
        return self._job(
            "companion",
            facts.config,
            spec.model_dump(),
            needs=self._learning(learned.samples or self._window),
            timeout_s=self._training_limit,
            reason=f"{kind} beside {short(learned.id)}, from {short(parent or 'random weights')}",
        )

    def study(self, facts: ConfigFacts, upto: int, trials: int, epochs: int, why: str) -> Job:
        """Return the search for better hyper-parameters over the games up to a sequence number."""
        settings = self.settings
        config = facts.config
        limit_s = self._training_limit
        spec = TuneSpec(
            config=config,
            kind=self.kind(),
            seed=derived_seed(self.conditions.seed, config, "tune"),
            upto=upto,
            trials=trials,
            epochs=epochs,
            timeout_s=SEARCH_SHARE * limit_s,
            sims=settings.evaluation.simulations,
            considered=settings.selfplay.considered_moves,
            c_scale=settings.selfplay.c_scale,
            test_games=STUDY_TEST_GAMES,
            values=self.values(config, Effects()),
        )
        return self._job(
            "tune",
            config,
            spec.model_dump(),
            needs=self._learning(self._window),
            timeout_s=limit_s,
            reason=why,
        )

    # --- any

    @property
    def _snapshot_s(self) -> float | None:
        """How often shadow evaluations look at a running training."""
        return self.settings.evaluation.shadow_interval_seconds if self.conditions.timed else None

    @property
    def _window(self) -> int:
        """Samples of the newest games that a training learns from."""
        return self.settings.training.window_games * SAMPLES_A_GAME

    @property
    def _training_limit(self) -> float:
        return self.settings.training.timeout_hours * 3600.0

    def _train(self, spec: TrainSpec, *, samples: int, reason: str) -> Job:
        return self._job(
            "train",
            spec.config,
            spec.model_dump(),
            needs=self._learning(samples),
            timeout_s=self._training_limit,
            prio=URGENT,
            reason=reason,
        )

    def _learning(self, samples: int) -> Needs:
        """Return what trainings over so many samples take."""
        on_gpu = self.conditions.device != "cpu"
        return Needs(
            cpu=self.conditions.threads,
            mem_gb=_memory_gb(samples),
            gpu=int(on_gpu),
            gpu_mem_gb=GPU_GB if on_gpu else 0.0,
        )

    def _playing(self, model: ModelFacts | None) -> Needs:
        """Return what games with a model take: a GPU where there is one and it is a large net."""
        if model is not None and model.kind == "cnn" and self.conditions.device != "cpu":
            return Needs(gpu=1, gpu_mem_gb=GPU_GB)
        return Needs()

    def _job(
        self,
        kind: JobKind,
        config: str,
        spec: dict[str, Any],
        *,
        needs: Needs,
        timeout_s: float,
        reason: str,
        prio: int = NORMAL,
    ) -> Job:
        conditions = self.conditions
        return Job(
            kind=kind,
            config=config,
            spec=spec,
            timeout_s=float(timeout_s),
            rules_hash=conditions.rules_hash,
            needs=needs,
            prio=prio,
            reason=reason,
            term="" if conditions.term is None else str(conditions.term),
            created_at=conditions.now,
        )


def chunk_size(block: int) -> int:
    """Return the games of a match's job: whole blocks, `CHUNK_GAMES` at least."""
    return -(-CHUNK_GAMES // block) * block


def _pool(facts: ConfigFacts, model: str) -> tuple[str, ...]:
    """Return the last champions before a model that are here, newest first."""
    found = dict.fromkeys(decision.champion for decision in reversed(facts.decisions))
    earlier = (one for one in found if one != model and facts.model(one) is not None)
    return tuple(earlier)[:POOL_SIZE]


def _memory_gb(samples: int) -> float:
    wanted = BASE_GB + COPIES * samples * SAMPLE_BYTES / 1e9
    return -(-wanted // ROUND_GB) * ROUND_GB
