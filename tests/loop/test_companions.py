"""When nets of further kinds learn beside the lineage, and that they hold nothing up."""

from dataclasses import replace

import pytest

from ringrift.loop.job_specs import checked
from ringrift.loop.plan import STAGES

from .rules_scene import (
    CONFIG,
    FIRST,
    NOW,
    SECOND,
    conditions,
    facts,
    match,
    mid,
    model,
    named_result,
    run,
    seen,
    settings,
    unborn,
    with_candidate,
)

BOTH = settings(training={"nets": ("nnue", "cnn")})
CNN_FIRST = settings(training={"nets": ("cnn", "nnue")})
D1, D2 = "1" * 64, "2" * 64
LATER = mid("f")


def lineage(*further, dataset=D1, **changes):
    """A configuration whose candidate learned from `dataset`; `further` are models beside it."""
    found = with_candidate(**changes)
    first, candidate = found.models
    return replace(found, models=(first, replace(candidate, dataset=dataset), *further))


def companion(identity, dataset, *, kind="cnn", **more):
    return model(identity, kind=kind, dataset=dataset, ago=50.0, **more)


def companions(plan):
    return [job for job in plan.jobs if job.kind == "companion"]


JOB = companions(run(lineage(), chosen=BOTH))[0]
TRAINING = next(job for job in run(facts(new_games=234)).jobs if job.kind == "dataset")

ROWS = {
    "the candidate has learned": (lineage(), None, BOTH, {}, True),
    "one kind alone": (lineage(), None, settings(), {}, False),
    "the companion has learned too": (lineage(companion(mid("c"), D1)), None, BOTH, {}, False),
    "the companion is a dataset behind": (
        lineage(model(SECOND, dataset=D1), companion(mid("c"), D1), model(LATER, dataset=D2, ago=20)),
        None, BOTH, {}, True,
    ),
    "it is open": (lineage(), seen(waiting=[JOB]), BOTH, {}, False),
    "it failed": (
        lineage(), seen(replace(named_result(JOB.id, "companion", status="failed"))), BOTH, {}, False,
    ),
    "random weights alone": (facts(), None, BOTH, {}, False),
    "no champion": (unborn(), None, BOTH, {}, False),
    "a training has the slot": (lineage(), seen(waiting=[TRAINING]), BOTH, {}, False),
    "trainings are off": (lineage(), None, BOTH, {"stages": STAGES - {"train"}}, False),
    "halted": (lineage(), None, BOTH, {"held": {CONFIG: "a person"}}, False),
    "critical": (lineage(), None, BOTH, {"guard": "critical"}, False),
    "a lineage of another kind than asked for": (lineage(), None, CNN_FIRST, {}, False),
}  # fmt: skip


@pytest.mark.parametrize(("found", "known", "chosen", "when", "filed"), ROWS.values(), ids=ROWS)
def test_a_companion_learns_when_the_lineage_has(found, known, chosen, when, filed):
    plan = run(found, known, chosen, conditions(**when))
    assert len(companions(plan)) == filed
    assert run(found, known, chosen, conditions(**when)).jobs == plan.jobs


def test_its_training_is_over_the_same_samples_from_the_last_of_its_kind():
    first = checked("companion", JOB.spec)
    assert (first.kind, first.dataset, first.parent) == ("cnn", D1, None)
    before = lineage(companion(mid("c"), D1), model(LATER, dataset=D2, ago=20))
    (job,) = companions(run(before, chosen=BOTH))
    assert (job.spec["dataset"], job.spec["parent"]) == (D2, mid("c"))
    stranger = lineage(companion(mid("c"), "9" * 64))  # somebody trained it by hand
    assert companions(run(stranger, chosen=BOTH))[0].spec["parent"] is None
    anew = settings(training={"nets": ("nnue", "cnn"), "warm_start": False})
    assert companions(run(before, chosen=anew))[0].spec["parent"] is None


def test_a_lineage_of_convolutional_nets_has_a_nnue_beside_it():
    first = model(FIRST, ago=5000.0, random=True, kind="cnn")
    found = facts(models=(first, model(SECOND, kind="cnn", dataset=D1)), games=4_999)
    assert not companions(run(found, chosen=CNN_FIRST))  # a NNUE waits for more games
    (job,) = companions(run(replace(found, games=5_000), chosen=CNN_FIRST))
    assert job.spec["kind"] == "nnue-policy"
    assert job.needs == JOB.needs
    without = settings(training={"nets": ("cnn", "nnue"), "policy": {"enabled": False}})
    assert not companions(run(replace(found, games=9_999), chosen=without))
    (job,) = companions(run(replace(found, games=10_000), chosen=without))
    assert job.spec["kind"] == "nnue"


def test_the_lineage_goes_on_without_it():
    """Neither its model nor its failures are the learner's; it waits for tests."""
    failed = [named_result(f"c{n}", "companion", status="failed", ended=n) for n in range(5)]
    plan = run(lineage(), seen(*failed), BOTH)
    assert plan.configs[0].state == "evaluating"
    test = match(missing=range(8, 40))
    kinds = [job.kind for job in run(lineage(matches=(test,)), chosen=BOTH).jobs]
    assert kinds.index("match") < kinds.index("companion") < kinds.index("selfplay")
    falling = companion(LATER, D1, losses=(2.0, 1.0))
    found = run(lineage(falling), chosen=BOTH).configs[0].signals
    assert "EXTEND_TRAINING" not in {signal.kind for signal in found}


def test_it_counts_as_a_training_that_runs():
    other = facts(config="hex8_2p", new_games=234)
    plan = run([lineage(), other], chosen=BOTH)
    trainings = [job for job in plan.jobs if job.kind in ("companion", "dataset")]
    assert len(trainings) == 1
    waits = run(other, seen(waiting=[replace(JOB, config="hex8_2p")]), BOTH, conditions(now=NOW))
    assert {job.kind for job in waits.jobs} == {"selfplay"}
