"""When the loop files a study of hyper-parameters, and what a study keeps waiting."""

from dataclasses import replace

import pytest

from ringrift.cluster.claims import Place, places
from ringrift.loop.facts import StudyFacts, TuningFacts
from ringrift.loop.job_specs import checked
from ringrift.loop.plan import STAGES

from .rules_scene import (
    CONFIG,
    FIRST,
    NOW,
    SECOND,
    begun,
    conditions,
    decision,
    facts,
    match,
    model,
    named_result,
    rated,
    run,
    seen,
    settings,
    unborn,
    with_candidate,
)

AUTO = settings(tuning={"auto": True})
HOUR_S = 3600.0
DUE = facts(games=500)
JOB = next(job for job in run(DUE, chosen=AUTO).jobs if job.kind == "tune")
TRAINING = next(job for job in run(facts(new_games=234)).jobs if job.kind == "dataset")
MEDIUM = TuningFacts(confidence="medium", trials=30)


def study(*, ago=30 * HOUR_S, trials=10, upto=400, written=False):
    return StudyFacts(
        job="j", at=NOW - ago, upto=upto, trials=trials, written=written, outcome="no"
    )


def stuck(**changes):
    """A history of four plateaus: twenty decisions that gained nothing."""
    decisions = [begun(ago=90_000)]
    decisions += [decision("rejected", SECOND, ago=80_000 - 100 * n, seq=n + 2) for n in range(20)]
    values = {"decisions": tuple(decisions), "ratings": (rated(FIRST, 500.0),), "tuning": MEDIUM}
    return facts(**{**values, **changes})


def tunes(plan):
    return [job for job in plan.jobs if job.kind == "tune"]


# facts, results and open jobs, settings, conditions -> whether a study is filed
ROWS = {
    "500 games, nothing tuned": (DUE, None, AUTO, {}, True),
    "tuned with low confidence": (
        facts(games=900, tuning=TuningFacts(confidence="low", trials=10)), None, AUTO, {}, True,
    ),
    "not switched on": (DUE, None, settings(), {}, False),
    "too few games": (facts(games=499), None, AUTO, {}, False),
    "confidence medium": (facts(games=900, tuning=MEDIUM), None, AUTO, {}, False),
    "confidence high": (
        facts(games=900, tuning=TuningFacts(confidence="high")), None, AUTO, {}, False,
    ),
    "confidence unknown": (
        facts(games=900, tuning=TuningFacts(confidence=None, error="no JSON")),
        None, AUTO, {}, False,
    ),
    "four plateaus": (stuck(), None, AUTO, {}, True),
    "four plateaus, not switched on": (stuck(), None, settings(), {}, False),
    "four plateaus, a study an hour ago": (
        stuck(tuning=replace(MEDIUM, study=study(ago=HOUR_S))), None, AUTO, {}, False,
    ),
    "three plateaus": (stuck(decisions=stuck().decisions[:16]), None, AUTO, {}, False),
    "a study that ended an hour ago": (
        DUE, seen(named_result("t", "tune", ended=HOUR_S)), AUTO, {}, False,
    ),
    "a study that failed an hour ago": (
        DUE, seen(named_result("t", "tune", ended=HOUR_S, status="failed")), AUTO, {}, False,
    ),
    "a study that failed before a person let it go on": (
        DUE, seen(named_result("t", "tune", ended=HOUR_S, status="failed")), AUTO,
        {"resumed": {CONFIG: NOW - 60}}, True,
    ),
    "a study that its report says was a day ago": (
        facts(games=500, tuning=TuningFacts(study=study(ago=25 * HOUR_S))), None, AUTO, {}, True,
    ),
    "a study that its report says was an hour ago": (
        facts(games=500, tuning=TuningFacts(study=study(ago=HOUR_S))), None, AUTO, {}, False,
    ),
    "a study is open": (DUE, seen(waiting=[JOB]), AUTO, {}, False),
    "a training has the slot": (DUE, seen(waiting=[TRAINING]), AUTO, {}, False),
    "a candidate is measured": (with_candidate(games=900), None, AUTO, {}, False),
    "no champion": (replace(unborn(), games=900), None, AUTO, {}, False),
    "trainings are off": (DUE, None, AUTO, {"stages": STAGES - {"train"}}, False),
    "halted": (DUE, None, AUTO, {"held": {CONFIG: "a person"}}, False),
    "critical": (DUE, None, AUTO, {"guard": "critical"}, False),
    "facts that cannot be read": (facts(games=900, error="broken"), None, AUTO, {}, False),
}  # fmt: skip


@pytest.mark.parametrize(("found", "known", "chosen", "when", "filed"), ROWS.values(), ids=ROWS)
def test_a_study_is_filed_when_it_is_due(found, known, chosen, when, filed):
    plan = run(found, known, chosen, conditions(**when))
    assert len(tunes(plan)) == filed
    assert run(found, known, chosen, conditions(**when)).jobs == plan.jobs


def test_a_study_takes_the_slot_of_a_training():
    plan = run(replace(DUE, new_games=234), chosen=AUTO)
    assert [job.kind for job in plan.jobs[:2]] == ["tune", "selfplay"]
    assert plan.configs[0].state == "blocked"
    assert "1 of 1 trainings run" in plan.configs[0].reason
    while_open = run(replace(DUE, new_games=234), seen(waiting=[JOB]), AUTO)
    assert {job.kind for job in while_open.jobs} == {"selfplay"}
    other = replace(DUE, config="hex8_2p", new_games=234)
    kinds = [(job.config, job.kind) for job in run([DUE, other], chosen=AUTO).jobs]
    assert [kind for _, kind in kinds if kind != "selfplay"] == ["tune"]


def test_a_study_comes_after_tests_and_before_self_play():
    test = match(missing=range(8, 40))
    measured = with_candidate(config="hex8_2p", games=900, matches=(test,))
    plan = run([DUE, measured], chosen=AUTO)
    kinds = [job.kind for job in plan.jobs]
    assert kinds.index("match") < kinds.index("tune") < kinds.index("selfplay")
    order = places(("match", "tune", "selfplay"))
    where = {job.kind: order.index(Place(job.kind, job.needs.size, job.prio)) for job in plan.jobs}
    assert where["match"] < where["tune"] < where["selfplay"]


def test_the_job_follows_from_what_it_is_made_of():
    assert checked("tune", JOB.spec)
    assert (JOB.spec["trials"], JOB.spec["epochs"], JOB.spec["upto"]) == (10, 10, 500)
    assert tunes(run(DUE, chosen=AUTO, when=conditions(now=NOW + 60)))[0].id == JOB.id
    for other in (
        run(replace(DUE, max_seq=501), chosen=AUTO),
        run(DUE, chosen=AUTO, when=conditions(hyperparameters={CONFIG: {"learning_rate": 0.1}})),
    ):
        assert tunes(other)[0].id != JOB.id


def test_a_study_of_too_few_trials_goes_on_over_the_same_games():
    known = TuningFacts(confidence="low", trials=10, study=study(trials=10, upto=400))
    spec = tunes(run(facts(games=900, max_seq=900, tuning=known), chosen=AUTO))[0].spec
    assert (spec["upto"], spec["trials"]) == (400, 20)
    done = replace(known, study=study(trials=30, upto=400))
    spec = tunes(run(facts(games=900, max_seq=900, tuning=done), chosen=AUTO))[0].spec
    assert (spec["upto"], spec["trials"]) == (900, 10)


def test_a_study_that_fails_holds_nothing_and_is_told():
    failed = seen(named_result("t", "tune", ended=HOUR_S, status="failed"))
    plan = run(replace(DUE, new_games=234), failed, AUTO)
    assert plan.configs[0].state == "ready"
    assert any("the last study" in words and "it broke" in words
               for words in plan.configs[0].warnings)  # fmt: skip
    unknown = facts(tuning=TuningFacts(confidence=None, error="no JSON"))
    assert any("no JSON" in words for words in run(unknown, chosen=AUTO).configs[0].warnings)
    assert not run(unknown).configs[0].warnings


def test_the_way_of_the_model_does_not_matter_to_a_running_study():
    trained = facts(games=900, models=(model(FIRST, random=True), model(SECOND, ago=100)))
    assert not tunes(run(trained, seen(waiting=[JOB]), AUTO))
