"""The pass of the loop as a table: facts, jobs and results on one side, states and jobs on the other."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from ringrift.cluster.jobs import job_of
from ringrift.core.settings.configurations import CONFIGURATIONS
from ringrift.loop.actions import Decide, FirstChampion, RollBack, Supersede
from ringrift.loop.facts import GateFacts, PlayFacts
from ringrift.loop.job_specs import checked
from ringrift.loop.plan import STAGES, JobsSeen

from .rules_scene import (
    CONFIG,
    FIRST,
    GOOD,
    NOW,
    SECOND,
    THIRD,
    begun,
    conditions,
    decision,
    facts,
    kinds,
    match,
    model,
    named_result,
    rated,
    result,
    run,
    samples,
    seen,
    settings,
    tournament,
    unborn,
    with_candidate,
)

FULL = facts(new_games=234)
PLAY = ["selfplay"] * 4
OPEN_TEST = match(games=80, missing=range(16, 80))
ACCEPTED = match(complete=True, verdict="accept")
REJECTED = match(complete=True, verdict="reject")
READY = with_candidate(matches=(ACCEPTED,), ready_to_decide=True)
TRAIN_JOB = run(FULL, seen(samples())).jobs[0]
DATASET_JOB = run(FULL).jobs[0]
INIT_JOB = run(unborn()).jobs[0]
CHUNKS = run(with_candidate(matches=(OPEN_TEST,))).jobs[:3]
WEAKER = (
    tournament(SECOND, FIRST, ago=90, champion_elo=500, before_elo=600),
    tournament(SECOND, FIRST, ago=50, champion_elo=505, before_elo=600),
)
REGRESSED = facts(
    champion=SECOND,
    decisions=(begun(), decision("promoted", SECOND, ago=200)),
    models=(model(FIRST, random=True), model(SECOND, ago=300)),
    tournaments=WEAKER,
    ratings=(rated(FIRST, 600.0), rated(SECOND, 500.0)),
)


def gated(**changes):
    return facts(new_games=234, gates=replace(GOOD, **changes))


def when(**changes):
    return conditions(**changes)


def without(*stages):
    return conditions(stages=STAGES - set(stages))


TIGHT = settings(training={"min_interval_seconds": 600})
COOL = settings(promotion={"cooldown_seconds": 900})
TRAINED_LATELY = facts(
    new_games=234,
    models=(model(FIRST, random=True), model(SECOND, ago=100.0, seconds=50.0)),
    decisions=(begun(), decision("rejected", SECOND, ago=50)),
)

# facts, jobs seen, settings, conditions -> state, part of the reason, kinds of jobs without self-play,
# kinds of actions
ROWS = {
    "nothing at all": (unborn(), None, None, None, "unborn", "random weights", ["train"], []),
    "init is open": (
        unborn(),
        seen(waiting=[INIT_JOB]),
        None,
        None,
        "unborn",
        "being made",
        [],
        [],
    ),
    "init is done, its model not seen yet": (
        unborn(),
        seen(result(INIT_JOB, model_id=FIRST)),
        None,
        None,
        "unborn",
        "random weights",
        [],
        [],
    ),
    "init is done, its model is gone": (
        unborn(),
        seen(result(INIT_JOB, model_id=FIRST, ended=500)),
        None,
        None,
        "unborn",
        "random weights",
        ["train"],
        [],
    ),
    "init is done": (
        replace(unborn(), models=(model(SECOND, random=True), model(FIRST, random=True))),
        seen(result(INIT_JOB, model_id=SECOND)),
        None,
        None,
        "unborn",
        SECOND[:12],
        [],
        [FirstChampion],
    ),
    "a random model of another kind": (
        replace(unborn(), models=(model(FIRST, random=True, kind="cnn"),)),
        None,
        None,
        None,
        "unborn",
        "random weights",
        ["train"],
        [],
    ),
    "a random model where nothing is trained or promoted": (
        replace(unborn(), models=(model(FIRST, random=True),)),
        None,
        None,
        without("train", "promote"),
        "unborn",
        "off",
        [],
        [],
    ),
    "no model and training is off": (
        unborn(),
        None,
        None,
        without("train"),
        "unborn",
        "off",
        [],
        [],
    ),
    "too few games": (facts(new_games=134), None, None, None, "collecting", "134/200", [], []),
    "one game too few": (facts(new_games=199), None, None, None, "collecting", "199/200", [], []),
    "enough games": (
        facts(new_games=200),
        None,
        None,
        None,
        "ready",
        "200/200",
        ["dataset"],
        [],
    ),
    "export is open": (FULL, seen(waiting=[DATASET_JOB]), None, None, "ready", "samples", [], []),
    "export is done": (FULL, seen(samples()), None, None, "ready", "begins", ["train"], []),
    "training is open": (
        FULL,
        seen(samples(), waiting=[TRAIN_JOB]),
        None,
        None,
        "training",
        "training from",
        [],
        [],
    ),
    "training is done, its model not seen yet": (
        FULL,
        seen(samples(ended=60), result(TRAIN_JOB, model_id=SECOND)),
        None,
        None,
        "training",
        "registry",
        [],
        [],
    ),
    "training was cancelled": (
        FULL,
        seen(samples(ended=60), result(TRAIN_JOB, status="cancelled")),
        None,
        None,
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "training failed for good": (
        FULL,
        seen(samples(), named_result("t", "train", status="failed")),
        None,
        None,
        "held",
        "train failed 3 times in a row: it broke",
        [],
        [],
    ),
    "training failed, a person let it go on": (
        FULL,
        seen(samples(), named_result("t", "train", status="failed")),
        None,
        when(resumed={CONFIG: NOW - 5}),
        "ready",
        "begins",
        ["train"],
        [],
    ),
    "failed, resumed before the failure": (
        FULL,
        seen(samples(), named_result("t", "train", status="failed")),
        None,
        when(resumed={"all": NOW - 500}),
        "held",
        "it broke",
        [],
        [],
    ),
    "failed, then succeeded": (
        FULL,
        seen(
            samples(ended=1),
            named_result("t", "train", status="failed", ended=60),
            named_result("u", "train", ended=30),
        ),
        None,
        None,
        "ready",
        "begins",
        ["train"],
        [],
    ),
    "dataset of another parent": (
        FULL,
        seen(samples(parent=THIRD)),
        None,
        None,
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "dataset is used up": (
        replace(FULL, models=(*FULL.models, model(SECOND, dataset="d1" * 32))),
        seen(samples()),
        None,
        None,
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "dataset with faults": (
        FULL,
        seen(samples(preflight=["split: leaked"])),
        None,
        None,
        "blocked",
        "leaked",
        [],
        [],
    ),
    "dataset with faults, new games since": (
        replace(FULL, max_seq=900),
        seen(samples(preflight=["split: leaked"], ended=700)),
        None,
        None,
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "quality unknown": (
        gated(quality=None),
        None,
        None,
        None,
        "blocked",
        "quality unknown",
        [],
        [],
    ),
    "quality low": (gated(quality=0.69), None, None, None, "blocked", "quality 0.690", [], []),
    "failures unknown": (gated(failure_rate=None), None, None, None, "blocked", "unknown", [], []),
    "failures high": (gated(failure_rate=0.11), None, None, None, "blocked", "0.110", [], []),
    "policy targets missing": (
        gated(policy_share=0.94),
        None,
        None,
        None,
        "blocked",
        "policy targets 0.940",
        [],
        [],
    ),
    "policy targets unknown": (
        gated(policy_share=None),
        None,
        None,
        None,
        "blocked",
        "policy targets unknown",
        [],
        [],
    ),
    "no engine with a policy": (
        gated(policy_share=None, needs_policy=False),
        None,
        None,
        None,
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "seats unknown": (gated(seat_wins=()), None, None, None, "blocked", "seat balance", [], []),
    "a seat never wins": (
        gated(seat_wins=(500, 0)),
        None,
        None,
        None,
        "blocked",
        "won 0 of 500",
        [],
        [],
    ),
    "a seat has not won in few games": (
        gated(seat_wins=(20, 0), seat_games=20),
        None,
        None,
        None,
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "preflight has faults": (
        gated(preflight=("disk: full",)),
        None,
        None,
        None,
        "blocked",
        "disk: full",
        [],
        [],
    ),
    "least time is not over": (
        TRAINED_LATELY,
        None,
        TIGHT,
        None,
        "blocked",
        "150 of 600 s",
        [],
        [],
    ),
    "least time is over": (
        replace(TRAINED_LATELY, models=(model(FIRST, random=True), model(SECOND, ago=700.0))),
        None,
        TIGHT,
        None,
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "least time counts a failed training": (
        FULL,
        seen(named_result("t", "train", status="cancelled", ended=50, took=10)),
        TIGHT,
        None,
        "blocked",
        "60 of 600 s",
        [],
        [],
    ),
    "guard critical": (
        FULL,
        None,
        None,
        when(guard="critical", guard_reasons=("disk is full",)),
        "blocked",
        "disk is full",
        [],
        [],
    ),
    "training is off": (
        FULL,
        None,
        None,
        without("train"),
        "collecting",
        "off",
        [],
        [],
    ),
    "candidate without a game": (
        with_candidate(matches=(match(missing=range(40)),)),
        None,
        None,
        None,
        "evaluating",
        "0 of 40 games",
        ["match"] * 2,
        [],
    ),
    "candidate with some games": (
        with_candidate(matches=(OPEN_TEST,)),
        None,
        None,
        None,
        "evaluating",
        "16 of 80 games",
        ["match"] * 3,
        [],
    ),
    "one block of the test is open": (
        with_candidate(matches=(OPEN_TEST,)),
        seen(waiting=CHUNKS[:1]),
        None,
        None,
        "evaluating",
        "16 of 80",
        ["match"] * 2,
        [],
    ),
    "games of a block are on their way": (
        with_candidate(matches=(OPEN_TEST,)),
        seen(result(CHUNKS[0], aborted=[], ended=5)),
        None,
        None,
        "evaluating",
        "16 of 80",
        ["match"] * 2,
        [],
    ),
    "games of a block got lost": (
        with_candidate(matches=(OPEN_TEST,)),
        seen(result(CHUNKS[0], aborted=[], ended=700)),
        None,
        None,
        "evaluating",
        "16 of 80",
        ["match"] * 3,
        [],
    ),
    "a candidate while games are enough": (
        with_candidate(matches=(OPEN_TEST,), new_games=900),
        None,
        None,
        None,
        "evaluating",
        "16 of 80",
        ["match"] * 3,
        [],
    ),
    "hold-out is missing": (
        with_candidate(matches=(ACCEPTED,), holdout_missing=(SECOND, FIRST)),
        None,
        None,
        None,
        "evaluating",
        "hold-out",
        ["verify"],
        [],
    ),
    "nothing is missing and nothing is ready": (
        with_candidate(matches=(ACCEPTED,)),
        None,
        None,
        None,
        "evaluating",
        "waits",
        [],
        [],
    ),
    "all results are there": (READY, None, None, None, "deciding", "all results", [], [Decide]),
    "deciding is off": (READY, None, None, without("promote"), "deciding", "off", [], []),
    "measuring is off": (
        with_candidate(matches=(OPEN_TEST,), new_games=234),
        None,
        None,
        without("evaluate"),
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "a promotion just now": (
        replace(READY, decisions=(begun(), decision("promoted", SECOND, ago=100))),
        None,
        COOL,
        None,
        "deciding",
        "800 s until the next promotion",
        [],
        [],
    ),
    "a promotion just now, a rejection to write": (
        replace(
            READY,
            matches=(REJECTED,),
            decisions=(begun(), decision("promoted", THIRD, ago=100)),
        ),
        None,
        COOL,
        None,
        "deciding",
        "all results",
        [],
        [Decide],
    ),
    "enough promotions for a day": (
        replace(
            READY,
            decisions=(begun(), *(decision("promoted", THIRD, ago=9000 + i) for i in range(3))),
        ),
        None,
        settings(promotion={"max_promotions_per_day": 3}),
        None,
        "deciding",
        "3 promotions in a day",
        [],
        [],
    ),
    "an older model without a match": (
        with_candidate(matches=(OPEN_TEST,), undecided=((THIRD, False), (SECOND, True))),
        None,
        None,
        None,
        "evaluating",
        "16 of 80",
        ["match"] * 3,
        [Supersede],
    ),
    "an older model whose matches began": (
        with_candidate(matches=(OPEN_TEST,), undecided=((THIRD, True), (SECOND, True))),
        None,
        None,
        None,
        "evaluating",
        "16 of 80",
        ["match"] * 3,
        [],
    ),
    "halted": (FULL, None, None, when(held={CONFIG: "by hand"}), "held", "by hand", [], []),
    "all halted": (READY, None, None, when(held={"all": "stop"}), "held", "stop", [], []),
    "another one halted": (
        FULL,
        None,
        None,
        when(held={"hex8_2p": "no"}),
        "ready",
        "begins",
        ["dataset"],
        [],
    ),
    "facts cannot be read": (
        replace(READY, error="the champion has no model file"),
        None,
        None,
        None,
        "held",
        "no model file",
        [],
        [],
    ),
    "a champion that got weaker": (
        REGRESSED,
        None,
        None,
        None,
        "collecting",
        "0/200",
        [],
        [RollBack],
    ),
    "a weaker champion, going back by itself is off": (
        REGRESSED,
        None,
        settings(regression={"auto_rollback": False}),
        None,
        "collecting",
        "0/200",
        [],
        [],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_states_jobs_and_actions(name):
    given, known, chosen, moment, state, reason, jobs, actions = ROWS[name]
    plan = run(given, known, chosen, moment)
    (found,) = plan.configs
    assert (found.state, [type(action) for action in plan.actions]) == (state, actions)
    assert reason in found.reason
    assert [kind for kind in kinds(plan) if kind != "selfplay"] == jobs


def test_the_table_is_long_enough():
    assert len(ROWS) >= 40


@pytest.mark.parametrize("name", ROWS)
def test_every_job_is_what_its_kind_takes(name):
    given, known, chosen, moment, *_ = ROWS[name]
    for job in run(given, known, chosen, moment).jobs:
        checked(job.kind, job.spec)


def test_the_same_plan_a_hundred_times_is_one_job_per_id():
    later = [run(FULL, when=conditions(now=NOW + i)) for i in range(100)]
    assert {tuple(job.id for job in plan.jobs) for plan in later} == {
        tuple(job.id for job in later[0].jobs)
    }
    assert len({job.id for job in later[0].jobs}) == len(later[0].jobs) == 5


def test_another_term_files_the_same_jobs():
    one, other = run(FULL), run(FULL, when=conditions(term=None))
    assert [job.id for job in one.jobs] == [job.id for job in other.jobs]


def test_a_candidate_with_no_game_is_never_decided():
    for plan in (
        run(with_candidate()),
        run(with_candidate(matches=(match(missing=range(40)),))),
        run(with_candidate(matches=(match(missing=range(40)),)), when=without("evaluate")),
    ):
        assert not any(isinstance(action, Decide) for action in plan.actions)


def test_self_play_goes_on_beside_everything_but_a_hold():
    for given, known in (
        (FULL, None),
        (FULL, seen(samples(), waiting=[TRAIN_JOB])),
        (with_candidate(matches=(OPEN_TEST,)), None),
        (READY, None),
    ):
        assert kinds(run(given, known))[-4:] == PLAY
    assert "selfplay" not in kinds(run(FULL, when=when(held={CONFIG: "no"})))
    alone = settings(pipeline={"overlapped_selfplay": False})
    assert "selfplay" not in kinds(run(READY, chosen=alone))
    assert "selfplay" in kinds(run(facts(), chosen=alone))


def test_self_play_pauses_above_ten_times_the_trigger():
    plan = run(facts(new_games=2001, gates=GateFacts()))
    assert kinds(plan) == []
    assert plan.configs[0].state == "blocked"
    assert "self-play pauses: 2001" in plan.configs[0].warnings[0]
    assert kinds(run(facts(new_games=2000, gates=GateFacts()))) == PLAY


@pytest.mark.parametrize(
    ("guard", "expected"),
    [("ok", ["dataset", *PLAY]), ("warning", ["dataset"]), ("critical", [])],
)
def test_the_guard_stops_self_play_first_and_then_all(guard, expected):
    plan = run(FULL, when=when(guard=guard, guard_reasons=("disk 99 %",)))
    assert kinds(plan) == expected
    if guard != "ok":
        assert "disk 99 %" in plan.warnings[0]


def test_at_most_two_self_play_jobs_a_slot_are_open():
    first = run(facts())
    assert kinds(first) == PLAY
    again = run(facts(), JobsSeen(open=first.jobs))
    assert kinds(again) == []
    done = seen(*[result(job) for job in first.jobs[:3]], waiting=first.jobs[3:])
    assert [job.spec["first"] for job in run(facts(), done).jobs] == [128, 160, 192]
    assert kinds(run(facts(), when=conditions(slots=0))) == []


def test_self_play_goes_on_where_the_stored_games_end():
    name = run(facts()).jobs[0].spec["run"]
    stored = facts(play=PlayFacts(next_index={name: 75}))
    assert [job.spec["first"] for job in run(stored).jobs] == [64, 96, 128, 160]
    assert {job.spec["seed"] for job in run(stored).jobs} == {run(facts()).jobs[0].spec["seed"]}


def test_a_new_champion_or_preset_begins_a_new_run():
    names = {
        run(given).jobs[0].spec["run"]
        for given in (
            facts(),
            facts(champion=SECOND),
            facts(play=PlayFacts(distinct_openings=0.4)),
        )
    }
    assert len(names) == 3
    assert any(name.endswith("-aggressive_exploration") for name in names)


def test_aborted_games_are_filed_three_times_and_then_hold_the_configuration():
    known, plan = [], None
    for attempt in (1, 2, 3):
        plan = run(with_candidate(matches=(OPEN_TEST,)), seen(*known))
        job = plan.jobs[0]
        assert (job.kind, job.spec["attempt"], job.spec["games"]) == (
            "match",
            attempt,
            [*range(32)],
        )
        known.append(result(job, aborted=[{"game": 9, "ply": 4, "reason": "NaN"}]))
    held = run(with_candidate(matches=(OPEN_TEST,)), seen(*known))
    assert held.configs[0].state == "held"
    assert "aborted" in held.configs[0].reason
    assert "NaN" in held.configs[0].reason
    assert kinds(held) == []
    again = run(with_candidate(matches=(OPEN_TEST,)), seen(*known), when=when(resumed={"all": NOW}))
    assert again.jobs[0].spec["attempt"] == 4


@pytest.mark.parametrize(("ended", "expected"), [(5, True), (700, False)])
def test_a_plan_says_that_games_are_on_their_way(ended, expected):
    beside = facts(side_matches=(match("calibration", games=16, missing=range(16)),))
    (job,) = [job for job in run(beside).jobs if job.kind == "match"]
    assert not run(beside).awaited
    assert run(beside, seen(result(job, ended=ended))).awaited is expected


def test_games_that_never_arrive_hold_the_configuration_in_the_end():
    known = []
    for at in (1, 2, 3):
        job = run(with_candidate(matches=(OPEN_TEST,)), seen(*known)).jobs[0]
        assert job.spec["attempt"] == at
        known.append(result(job, aborted=[], ended=3000 - 700 * at))
    held = run(with_candidate(matches=(OPEN_TEST,)), seen(*known)).configs[0]
    assert held.state == "held"
    assert "never came into the store, 3 times" in held.reason


def test_hold_out_numbers_are_made_again_only_when_they_do_not_appear():
    given = with_candidate(matches=(ACCEPTED,), holdout_missing=(SECOND,))
    job = run(given).jobs[0]
    assert job.spec == {"config": CONFIG, "model": SECOND, "champion": FIRST}
    assert "verify" not in kinds(run(given, seen(waiting=[job])))
    assert "verify" not in kinds(run(given, seen(result(job, ended=100))))
    again = run(given, seen(result(job, ended=130)))
    assert (kinds(again)[0], again.forget) == ("verify", {job.id})


def test_a_failed_job_is_filed_again_after_a_person_said_so():
    failed = seen(samples(), result(TRAIN_JOB, status="failed", attempts=3))
    assert run(FULL, failed).configs[0].state == "held"
    plan = run(FULL, failed, when=when(resumed={CONFIG: NOW - 1}))
    assert plan.jobs[0].id == TRAIN_JOB.id
    assert plan.forget == {TRAIN_JOB.id}


def test_blocks_of_a_test_that_is_over_are_cancelled():
    open_jobs = JobsSeen(open=CHUNKS)
    assert run(with_candidate(matches=(OPEN_TEST,)), open_jobs).cancel == ()
    over = run(with_candidate(matches=(REJECTED,)), open_jobs)
    assert over.cancel == tuple(job.id for job in CHUNKS)
    assert run(facts(), open_jobs).cancel == over.cancel
    cancelled = seen(result(CHUNKS[0], status="cancelled"))
    again = run(with_candidate(matches=(OPEN_TEST,)), cancelled)
    assert again.jobs[0].id == CHUNKS[0].id
    assert again.forget == {CHUNKS[0].id}


def test_four_blocks_of_tests_are_open_on_two_slots():
    long = match(games=800, missing=range(800))
    plan = run(with_candidate(matches=(long,)))
    assert kinds(plan)[:5] == ["match"] * 4 + ["selfplay"]
    assert all(job.prio == 0 for job in plan.jobs[:4])
    again = run(with_candidate(matches=(long,)), JobsSeen(open=plan.jobs[:3]))
    assert [job.spec["games"][0] for job in again.jobs if job.kind == "match"] == [96]


@pytest.mark.parametrize(("block", "size"), [(2, 32), (3, 33), (4, 32), (5, 35)])
def test_the_jobs_of_a_match_are_whole_blocks(block, size):
    long = match(games=10 * size, missing=range(10 * size), block=block)
    games = [job.spec["games"] for job in run(with_candidate(matches=(long,))).jobs[:2]]
    assert [len(found) for found in games] == [size, size]


def test_one_training_at_a_time_over_all_configurations():
    both = [FULL, replace(FULL, config="hex8_2p")]
    plan = run(both)
    assert [found.state for found in plan.configs] == ["ready", "blocked"]
    assert "1 of 1 trainings" in plan.configs[1].reason
    more = settings(training={"max_concurrent_jobs": 2})
    assert [found.state for found in run(both, chosen=more).configs] == ["ready", "ready"]
    running = seen(samples(), waiting=[TRAIN_JOB])
    assert [found.state for found in run(both, running).configs] == ["training", "blocked"]


def test_the_training_slot_goes_to_the_fullest_configuration():
    both = [FULL, replace(FULL, config="hex8_2p", new_games=900)]
    assert [found.state for found in run(both).configs] == ["blocked", "ready"]
    few = when(mode="balance")
    assert [found.state for found in run(both, when=few).configs] == ["ready", "blocked"]


def test_one_broken_configuration_does_not_hide_the_others():
    plan = run([replace(FULL, error="unreadable"), replace(FULL, config="hex8_2p")])
    assert [found.state for found in plan.configs] == ["held", "ready"]
    assert {job.config for job in plan.jobs} == {"hex8_2p"}


PARENTS = {
    "the first": ((begun(),), FIRST),
    "after a promotion": ((begun(), decision("promoted", SECOND)), SECOND),
    "after one rejection": ((begun(), decision("rejected", SECOND)), SECOND),
    "after two rejections": (
        (begun(), decision("rejected", SECOND), decision("rejected", THIRD)),
        THIRD,
    ),
    "after three": (
        (begun(), *(decision("rejected", found) for found in (SECOND, THIRD, SECOND))),
        FIRST,
    ),
    "after three and one passed over": (
        (
            begun(),
            *(decision("rejected", found) for found in (SECOND, THIRD, SECOND)),
            decision("superseded", THIRD),
        ),
        FIRST,
    ),
    "after four": (
        (begun(), *(decision("rejected", found) for found in (SECOND, SECOND, SECOND, THIRD))),
        THIRD,
    ),
    "inconclusive ones go on": (
        (begun(), *(decision("inconclusive", SECOND) for _ in range(3))),
        SECOND,
    ),
    "after a rollback": (
        (
            begun(),
            decision("promoted", SECOND),
            decision("rolled_back", SECOND, before=SECOND, champion=FIRST),
        ),
        FIRST,
    ),
    "the candidate's file is gone": ((begun(), decision("rejected", "f" * 64)), FIRST),
}


@pytest.mark.parametrize("name", PARENTS)
def test_where_the_next_training_starts(name):
    decisions, parent = PARENTS[name]
    champion = decisions[-1].champion
    models = (model(FIRST, random=True), model(SECOND, ago=9), model(THIRD, ago=8))
    given = facts(decisions=decisions, champion=champion, models=models, new_games=900)
    plan = run(given)
    assert plan.jobs[0].kind == "dataset"
    assert plan.jobs[0].spec["parent"] == parent
    cold = run(given, chosen=settings(training={"warm_start": False}))
    assert cold.jobs[0].spec["parent"] is None


@pytest.mark.parametrize(
    ("training", "kind"),
    [
        ({"nets": ["nnue"]}, "nnue-policy"),
        ({"nets": ["cnn", "nnue"]}, "cnn"),
        ({"nets": ["nnue"], "policy": {"enabled": False}}, "nnue"),
        ({}, "nnue-policy"),
    ],
)
def test_the_kind_of_the_net(training, kind):
    assert run(unborn(), chosen=settings(training=training)).jobs[0].spec["kind"] == kind


def test_a_training_on_a_gpu_asks_for_one():
    job = run(FULL, seen(samples()), when=when(device="cuda", threads=4)).jobs[0]
    assert (job.needs.gpu, job.needs.cpu, job.needs.size) == (1, 4, "gpu")
    assert job.spec["values"]["options"]["device"] == "cuda"


def test_matches_beside_wait_for_their_tenth_of_the_time():
    shadow = match("shadow", games=16, missing=range(16))
    given = facts(side_matches=(shadow,))
    played = [named_result(str(i), "selfplay", took=10, ended=100 + i) for i in range(10)]
    looked = named_result("m", "match", took=6, ended=60, capped=True)
    assert "match" in kinds(run(given, seen(*played)))
    assert "match" not in kinds(run(given, seen(*played, looked)))
    old = [named_result(f"o{i}", "selfplay", took=10, ended=1000) for i in range(10)]
    assert "match" in kinds(run(given, seen(*played, *old, looked)))
    only = when(stages=frozenset({"evaluate"}))
    assert kinds(run(given, seen(*played, looked), when=only)) == ["match"]


def test_a_milestone_against_random_waits_for_no_tenth():
    looked = named_result("m", "match", took=60, capped=True)
    for opponent, expected in (("random", 1), ("heuristic", 1), ("mcts:sims=100", 0)):
        beside = match("milestone", games=16, missing=range(16), opponent=opponent)
        plan = run(facts(side_matches=(beside,)), seen(looked))
        assert kinds(plan).count("match") == expected


@pytest.mark.parametrize(
    ("key", "expected"), [("shadow", 0), ("full", 0), ("calibration", 1), ("milestone", 1)]
)
def test_nothing_comes_by_the_clock_where_that_is_off(key, expected):
    given = facts(side_matches=(match(key, games=16, missing=range(16)),))
    assert kinds(run(given)).count("match") == 1
    assert kinds(run(given, when=when(timed=False))).count("match") == expected


def test_at_most_one_match_beside_a_slot_is_open():
    beside = match("milestone", games=160, missing=range(160), opponent="heuristic")
    plan = run(facts(side_matches=(beside,)))
    assert kinds(plan).count("match") == 2
    again = run(facts(side_matches=(beside,)), JobsSeen(open=plan.jobs[:1]))
    assert kinds(again).count("match") == 1


def test_jobs_come_in_the_order_of_the_slots():
    given = [
        with_candidate(matches=(OPEN_TEST,), holdout_missing=(SECOND,)),
        replace(FULL, config="hex8_2p", side_matches=(match("full", games=4, missing=range(4)),)),
    ]
    plan = run(given)
    assert kinds(plan) == ["match"] * 3 + ["dataset", "verify", "match"] + PLAY
    assert [job.prio for job in plan.jobs] == [0] * 5 + [1] * 5


def twelve(results=0):
    given = [
        facts(
            config=name,
            decisions=(begun(), *(decision("rejected", SECOND, ago=3000 - i) for i in range(200))),
            models=(model(FIRST, random=True), *(model(SECOND, ago=i) for i in range(200, 1, -1))),
            ratings=tuple(rated(FIRST, 500.0 + i) for i in range(20)),
            undecided=((SECOND, True),),
            matches=(match(games=800, missing=range(512)),),
            side_matches=(match("full", games=400, missing=range(400)),),
        )
        for name in CONFIGURATIONS
    ]
    known = [
        named_result(f"{name} {i}", "selfplay", config=name, ended=i)
        for name in CONFIGURATIONS
        for i in range(results // 12)
    ]
    return given, seen(*known)


@pytest.mark.timed
@pytest.mark.parametrize(("results", "limit_s"), [(0, 0.02), (1200, 0.02), (43_200, 0.2)])
def test_a_pass_over_twelve_configurations_is_quick(results, limit_s):
    given, known = twelve(results)
    took = []
    for _ in range(5):
        begin = time.process_time()
        run(given, known)
        took.append(time.process_time() - begin)
    assert min(took) < limit_s


def test_the_rules_load_no_compiler():
    code = (
        "import sys; import ringrift.loop.reconciler\n"
        "print([name for name in ('numba', 'numpy', 'scipy', 'torch') if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ROWS)
def test_a_job_keeps_its_id_on_its_way(name):
    given, known, chosen, moment, *_ = ROWS[name]
    for job in run(given, known, chosen, moment).jobs:
        assert job_of(job.as_bytes()).id == job.id
