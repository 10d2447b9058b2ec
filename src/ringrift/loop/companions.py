"""Nets of further kinds, which learn from the lineage's games beside it (`loop.md` 8, `training.nets`).

The first of `training.nets` is the kind of the lineage: its models play, are tested and promoted. Of
each other kind one net learns from the dataset of the lineage's newest model, from the weights of the
last one of its kind; a NNUE once there are as many games as `training` asks for one beside a CNN. It
is rated as any model of the registry, and no champion. One that fails comes again with the next
dataset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.loop.feedback import newest_trained

if TYPE_CHECKING:
    from ringrift.cluster.jobs import Job
    from ringrift.loop.facts import ConfigFacts
    from ringrift.loop.feedback import Effects
    from ringrift.loop.jobs_of import Filing
    from ringrift.loop.seen import Jobs


def companion_due(facts: ConfigFacts, jobs: Jobs, filing: Filing, effects: Effects) -> Job | None:
    """Return the next training of a companion, None where all have learned from the newest dataset."""
    newest = newest_trained(facts)
    if newest is None or newest.dataset is None or newest.kind != filing.kind():
        return None
    lineage = {model.dataset for model in facts.models if model.kind == newest.kind}
    training = filing.settings.training
    least = {"nnue": training.nnue_min_games, "nnue-policy": training.nnue_policy_min_games}
    for kind in filing.kinds()[1:]:
        if facts.games < least.get(kind, 0):
            continue
        own = [model for model in facts.models if model.kind == kind and model.dataset in lineage]
        if any(model.dataset == newest.dataset for model in own):
            continue
        parent = own[-1].id if own and training.warm_start else None
        values = filing.values(facts.config, effects, kind=kind)
        job = filing.companion(facts, kind, parent, newest, values)
        if not jobs.is_open(job) and not jobs.has_result(job):
            return job
    return None
