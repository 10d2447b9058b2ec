"""Self-play games of one job: those of its run's indices that the store has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.cluster.batches import BatchWriter
from ringrift.cluster.job_child import Outcome
from ringrift.core.ids import short
from ringrift.core.paths import Paths
from ringrift.loop.job_specs import PlannedSelfplaySpec, SelfplaySpec, checked
from ringrift.loop.work.playing import Clock, device_of, files_of, play, stored_indices

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.cluster.job_child import JobContext
    from ringrift.rules import BoardSpec
    from ringrift.selfplay.modes import Seating
    from ringrift.selfplay.plans import GamePlan, PlayJob
    from ringrift.selfplay.run_plan import RunPlan
    from ringrift.selfplay.tally import Tally

OWN_EXPLORATION = "default"
"""The preset that leaves the agent's spec as it is; any other is a schedule of `agents.temperature`."""


def run(context: JobContext) -> Outcome:
    """Play the games of a `SelfplaySpec` or `PlannedSelfplaySpec` into the spool.

    Numbers: `games` played and `present` ones, `plies`, `choices` that were searched and `full` ones
    of them, `aborted`, `move_limit` games, `seconds`, `cpu_seconds`; of planned games also `ids`, by
    index, of those played. An aborted game goes to the store too, whose gate keeps it out and says
    why.
    """
    from ringrift.selfplay.tally import Tally

    clock = Clock()
    asked = checked("selfplay", context.job.spec)
    assert isinstance(asked, SelfplaySpec | PlannedSelfplaySpec)
    if isinstance(asked, SelfplaySpec):
        job, plans = _numbered(asked, context)
    else:
        job, plans = _planned(asked, context)
    known = stored_indices(Paths(context.root).game_store, asked.run, job.purpose).intersection(
        plan.index for plan in plans
    )
    left = [plan for plan in plans if plan.index not in known]
    tally = Tally(players=job.spec.players)
    ids: dict[str, str] = {}
    with BatchWriter(context.spool(), context.subject, stop=context.stop) as out:
        for record, analyses in play(context, job, left, out):
            out.game(record, *analyses)
            tally.add((record, analyses))
            ids[str(record.meta.index)] = record.id
            context.report(done=len(known) + tally.games, total=len(plans))
    return Outcome(
        numbers={
            **_numbers(tally),
            "present": len(known),
            **({"ids": ids} if isinstance(asked, PlannedSelfplaySpec) else {}),
            **clock.numbers(),
        },
        complete=tally.games == len(left),
    )


def _numbered(asked: SelfplaySpec, context: JobContext) -> tuple[PlayJob, list[GamePlan]]:
    """Return the games of a run of the loop."""
    plan = run_plan(asked, context)
    return plan.job(asked.run), plan.games(range(asked.first, asked.first + asked.games))


def _planned(asked: PlannedSelfplaySpec, context: JobContext) -> tuple[PlayJob, list[GamePlan]]:
    """Return the games that somebody has planned."""
    from ringrift.loop import planned_games

    files = files_of(asked.models, context)
    job = planned_games.play_job(asked, files, device=device_of(context))
    return job, planned_games.game_plans(asked)


def run_plan(asked: SelfplaySpec, context: JobContext) -> RunPlan:
    """Return what decides the games of a spec; raises what is wrong with its agents or models."""
    from ringrift.records.record import default_max_plies
    from ringrift.rules import BoardSpec, parse_config
    from ringrift.selfplay.control import SearchControl
    from ringrift.selfplay.openings import Openings
    from ringrift.selfplay.run_plan import RunPlan

    spec = BoardSpec.create(*parse_config(asked.config))
    named = [] if asked.model is None else [asked.model]
    files = files_of((*named, *(asked.mode.pool if asked.mode is not None else ())), context)
    by_schedule = asked.tau is None and asked.preset != OWN_EXPLORATION
    return RunPlan(
        spec=spec,
        seed=asked.seed,
        seating=_seating(asked, spec, files),
        max_plies=asked.max_plies or default_max_plies(spec),
        control=SearchControl(
            full_fraction=asked.full_fraction,
            cheap_sims=asked.cheap_sims,
            temperature=asked.preset if by_schedule else None,
            temperature_value=asked.tau,
        ),
        openings=Openings(choices=(0, asked.random_choices)),
        models={model: str(path) for model, path in files.items()},
        device=device_of(context),
    )


def _seating(asked: SelfplaySpec, spec: BoardSpec, files: Mapping[str, Path]) -> Seating:
    from ringrift.nets.container import read_card
    from ringrift.selfplay.modes import (
        WITH_POLICY,
        ModelSet,
        ModeOptions,
        seating,
        seating_of_specs,
    )

    mode = asked.mode
    if mode is None:
        assert asked.agent is not None
        return seating_of_specs((asked.agent,), spec.players)
    kind = "" if asked.model is None else str(read_card(files[asked.model])[1]["kind"])
    models = ModelSet(
        best=asked.model,
        nnue=asked.model if kind.startswith("nnue") else None,
        pool=mode.pool,
        policy=kind in WITH_POLICY,
        known=tuple(map(short, files)),
    )
    options = ModeOptions(
        sims=mode.sims, band=mode.band, pool_size=len(mode.pool), weights=mode.weights
    )
    return seating(mode.name, spec, models, options)


def _numbers(tally: Tally) -> dict[str, Any]:
    return {
        "games": tally.games,
        "plies": tally.plies,
        "choices": tally.searched,
        "full": tally.full,
        "aborted": tally.ends["aborted"],
        "move_limit": tally.ends["max_plies"],
    }
