"""Games of a match: those numbers of its plan that the store has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ringrift.cluster.batches import BatchWriter
from ringrift.cluster.job_child import Outcome
from ringrift.core.errors import DataError
from ringrift.core.paths import Paths
from ringrift.loop.job_specs import checked
from ringrift.loop.work.playing import Clock, device_of, files_of, play, stored_indices

if TYPE_CHECKING:
    from ringrift.cluster.job_child import JobContext
    from ringrift.evaluation.plans import MatchPlan
    from ringrift.loop.job_specs import MatchSpec


def run(context: JobContext) -> Outcome:
    """Play the games of a `MatchSpec` into the spool, their plan before them.

    A game that is aborted is played once more. Numbers: `games` played and `present` ones,
    `seconds`, `cpu_seconds`, `capped` as asked, and `aborted`: of each game that was aborted twice
    its number, ply and reason. Raises `DataError` for a plan that cannot be played here, `RefusedError` for an agent
    that is another than planned.
    """
    from ringrift.evaluation.plans import plan_of_text
    from ringrift.evaluation.players import game_plan, games_at_once, match_job, same_agents

    clock = Clock()
    asked = cast("MatchSpec", checked("match", context.job.spec))
    paths = Paths(context.root)
    plan = plan_of_text(asked.plan)
    _check(plan, asked)
    known = stored_indices(paths.game_store, plan.hash, "match").intersection(asked.games)
    left = [index for index in asked.games if index not in known]
    models = {agent.model_id for agent in plan.participants if agent.model_id is not None}
    job = match_job(plan, files_of(models, context), device=device_of(context))
    done: set[int] = set()
    aborted: list[dict[str, object]] = []
    with BatchWriter(context.spool(), context.subject, stop=context.stop) as out:
        if left:
            out.plan(plan.text)
        for _ in range(2):
            games = [game_plan(plan.game(index)) for index in left if index not in done]
            aborted.clear()
            for record, _analyses in play(context, job, games, out, most=games_at_once(plan)):
                same_agents(record, plan)
                if record.result.end == "aborted":
                    ply, why = record.result.plies, record.result.reason
                    aborted.append({"game": record.meta.index, "ply": ply, "reason": why})
                    continue
                out.game(record)
                done.add(cast("int", record.meta.index))
                context.report(done=len(known) + len(done), total=len(asked.games))
    return Outcome(
        numbers={
            "games": len(done),
            "present": len(known),
            "aborted": aborted,
            "capped": asked.capped,
            **clock.numbers(),
        },
        complete=len(done) + len(aborted) == len(left),
    )


def _check(plan: MatchPlan, asked: MatchSpec) -> None:
    """Raise `DataError` for a plan of another configuration, or a game that it does not have."""
    if plan.spec.config != asked.config:
        raise DataError(f"a plan of {plan.spec.config}; the job is of {asked.config}", where="plan")
    beyond = [index for index in asked.games if index >= plan.games]
    if beyond:
        raise DataError(f"game {beyond[0]} of a match of {plan.games} games", where="spec.games")
