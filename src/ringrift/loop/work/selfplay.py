"""Self-play games of one job: those of its run's indices that the store has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ringrift.cluster.batches import BatchWriter
from ringrift.cluster.job_child import Outcome
from ringrift.core.paths import Paths
from ringrift.loop.job_specs import checked
from ringrift.loop.work.playing import Clock, play, stored_indices

if TYPE_CHECKING:
    from ringrift.cluster.job_child import JobContext
    from ringrift.loop.job_specs import SelfplaySpec
    from ringrift.rules import BoardSpec
    from ringrift.selfplay.plans import PlayJob
    from ringrift.selfplay.tally import Tally

OWN_EXPLORATION = "default"
"""The preset that leaves the agent's spec as it is; any other is a schedule of `agents.temperature`."""


def run(context: JobContext) -> Outcome:
    """Play the games of a `SelfplaySpec` into the spool.

    Numbers: `games` played and `present` ones, `plies`, `choices` that were searched and `full` ones
    of them, `aborted`, `move_limit` games, `seconds`, `cpu_seconds`. An aborted game goes to the
    store too, whose gate keeps it out and says why.
    """
    from ringrift.rules import BoardSpec, parse_config
    from ringrift.selfplay.generator import selfplay_plans
    from ringrift.selfplay.openings import Openings
    from ringrift.selfplay.tally import Tally

    clock = Clock()
    asked = cast("SelfplaySpec", checked("selfplay", context.job.spec))
    spec = BoardSpec.create(*parse_config(asked.config))
    wanted = range(asked.first, asked.first + asked.games)
    store = Paths(context.root).game_store
    known = stored_indices(store, asked.run, "selfplay").intersection(wanted)
    plans = selfplay_plans(
        spec,
        [index for index in wanted if index not in known],
        asked.seed,
        openings=Openings(choices=(0, asked.random_choices)),
    )
    tally = Tally(players=spec.players)
    job = play_job(asked, spec, context)
    with BatchWriter(context.spool(), context.subject, stop=context.stop) as out:
        for record, analyses in play(context, job, plans, out):
            out.game(record, *analyses)
            tally.add((record, analyses))
            context.report(done=len(known) + tally.games, total=asked.games)
    return Outcome(
        numbers={**_numbers(tally), "present": len(known), **clock.numbers()},
        complete=tally.games == len(plans),
    )


def play_job(asked: SelfplaySpec, spec: BoardSpec, context: JobContext) -> PlayJob:
    """Return what all games of a spec share; raises what is wrong with its agent or model."""
    from ringrift.models.registry import find_model
    from ringrift.records.record import default_max_plies
    from ringrift.selfplay.control import SearchControl
    from ringrift.selfplay.plans import PlayJob

    objects = Paths(context.root).model_objects
    by_schedule = asked.tau is None and asked.preset != OWN_EXPLORATION
    return PlayJob(
        spec=spec,
        agents=(asked.agent,),
        max_plies=default_max_plies(spec),
        models={} if asked.model is None else {asked.model: str(find_model(objects, asked.model))},
        purpose="selfplay",
        run=asked.run,
        control=SearchControl(
            full_fraction=asked.full_fraction,
            cheap_sims=asked.cheap_sims,
            temperature=asked.preset if by_schedule else None,
            temperature_value=asked.tau,
        ),
        device="cuda" if context.job.needs.gpu else "cpu",
    )


def _numbers(tally: Tally) -> dict[str, Any]:
    return {
        "games": tally.games,
        "plies": tally.plies,
        "choices": tally.searched,
        "full": tally.full,
        "aborted": tally.ends["aborted"],
        "move_limit": tally.ends["max_plies"],
    }
