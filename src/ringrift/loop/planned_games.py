"""Games of self-play as a job tells them: written where they are planned, read where they are played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import RefusedError, UsageError
from ringrift.core.ids import short
from ringrift.loop.job_specs import BoardOptions, ControlSpec, GameSpec, PlannedSelfplaySpec
from ringrift.rules import BoardSpec, parse_config
from ringrift.selfplay.agents_of import models_of, resolved_agents
from ringrift.selfplay.control import Resignation, SearchControl
from ringrift.selfplay.plans import GamePlan, PlayJob

if TYPE_CHECKING:
    from pathlib import Path


def written(job: PlayJob, plans: Sequence[GamePlan]) -> PlannedSelfplaySpec:
    """Return what a job is told of games; raises `UsageError` for what it cannot carry."""
    spec = job.spec
    if BoardSpec.create(spec.board, spec.players, **_options(spec)) != spec:
        raise UsageError(f"a job cannot carry the rules of {spec.config} that were recorded")
    if job.purpose == "match" or job.run is None:
        raise UsageError("a self-play job needs a run and is no match")
    return PlannedSelfplaySpec(
        config=spec.config,
        options=BoardOptions(**_options(spec)),
        agents=job.agents,
        hashes=tuple(agent.agent_hash for agent in resolved_agents(job)),
        models=tuple(sorted(models_played(job))),
        max_plies=job.max_plies,
        run=job.run,
        purpose=job.purpose,
        tags=job.tags,
        control=ControlSpec.model_validate(asdict(job.control)),
        check_invariants=job.check_invariants,
        games=tuple(GameSpec(**_fields(plan)) for plan in plans),
    )


def models_played(job: PlayJob) -> set[str]:
    """Return the ids of the models that the agents of a job name."""
    return {model for text in job.agents for model in models_of(text, job.spec.config)}


def play_job(asked: PlannedSelfplaySpec, files: Mapping[str, Path], *, device: str) -> PlayJob:
    """Return what the games of a job share; `files` are those of its models.

    Raises `RefusedError` for an agent that is another here than planned, and what is wrong with it.
    """
    control = asked.control
    found = control.model_dump(exclude={"resign"})
    resign = Resignation(**control.resign.model_dump())
    job = PlayJob(
        spec=BoardSpec.create(*parse_config(asked.config), **asked.options.model_dump()),
        agents=asked.agents,
        max_plies=asked.max_plies,
        models={name: str(path) for name, path in files.items()},
        purpose=asked.purpose,
        run=asked.run,
        tags=asked.tags,
        control=SearchControl(**found, resign=resign),
        check_invariants=asked.check_invariants,
        device=device,
    )
    for agent, wanted in zip(resolved_agents(job), asked.hashes, strict=True):
        if agent.agent_hash != wanted:
            raise RefusedError(
                f"{agent.text} is {short(agent.agent_hash)} here; planned was {short(wanted)}",
                where="spec.agents",
            )
    return job


def game_plans(asked: PlannedSelfplaySpec) -> list[GamePlan]:
    """Return the games of a job."""
    return [GamePlan(**game.model_dump()) for game in asked.games]


def _options(spec: BoardSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in BoardOptions.model_fields}


def _fields(plan: GamePlan) -> dict[str, Any]:
    return {each.name: getattr(plan, each.name) for each in fields(plan)}
