"""What the settings behind `loop iterate` change in a plan, and that without them nothing changes."""

from dataclasses import replace

import pytest

from ringrift.core.errors import UsageError
from ringrift.loop.job_specs import checked
from ringrift.loop.work.training_request import selection_of
from ringrift.selfplay.modes import POOL_SIZE

from .rules_scene import (
    FIRST,
    SECOND,
    begun,
    conditions,
    decision,
    facts,
    kinds,
    match,
    mid,
    model,
    result,
    run,
    samples,
    seen,
    settings,
)

FULL = facts(new_games=234)
TOURNAMENT = match("tournament", games=16, missing=range(16))
AFTER_CYCLES = facts(new_games=234, side_matches=(TOURNAMENT,))


def plays(given=None, **selfplay):
    """The spec of the next self-play job."""
    jobs = run(given or facts(), chosen=settings(selfplay=selfplay)).jobs
    return next(job.spec for job in jobs if job.kind == "selfplay")


def learns(known=None, **policy):
    """The first job of a training."""
    return run(FULL, known, settings(training={"policy": policy})).jobs[0]


def gate(plan, name="tournament"):
    return next((gate for gate in plan.configs[0].gates if gate.name == name), None)


# --- self-play


def test_without_settings_of_its_own_a_job_says_nothing_of_them():
    assert not {"mode", "max_plies"} & plays().keys()
    assert plays(difficulty_band="light") == plays()
    assert "policy_target" not in learns().spec["values"]["options"]


PAUSING = {"pipeline": {"overlapped_selfplay": False}, "training": {"trigger_threshold_games": 50}}


@pytest.mark.parametrize(("new", "jobs"), [(0, 2), (24, 2), (25, 1), (49, 1)])
def test_where_play_pauses_for_trainings_only_the_games_of_one_are_filed(new, jobs):
    given = facts(new_games=new)
    plan = run(given, chosen=settings(**PAUSING), when=conditions(slots=2))
    filed = [job for job in plan.jobs if job.kind == "selfplay"]
    assert [job.spec["games"] for job in filed] == [25] * jobs
    waiting = seen(waiting=filed)
    again = run(given, waiting, settings(**PAUSING), conditions(slots=2))
    assert "selfplay" not in kinds(again)


def test_the_ply_limit_is_carried_by_self_play():
    spec = plays(max_moves=10_000)
    assert checked("selfplay", spec).max_plies == 10_000
    assert spec["run"] != plays()["run"] != plays(max_moves=9)["run"]


@pytest.mark.parametrize("name", ["heuristic-only", "heuristic_only"])
def test_an_engine_mode_plays_instead_of_the_champion_s_search(name):
    spec = plays(engine_mode=name)
    asked = checked("selfplay", spec)
    assert (asked.agent, asked.model) == (None, FIRST)
    assert (asked.mode.name, asked.mode.sims) == ("heuristic-only", 32)
    assert spec["run"] != plays()["run"]


def test_the_band_and_the_weights_go_with_the_modes_that_have_them():
    runs = set()
    for band in ("canonical", "light"):
        spec = plays(engine_mode="mixed", difficulty_band=band)
        assert checked("selfplay", spec).mode.band == band
        runs.add(spec["run"])
    assert len(runs) == 2
    weights = plays(engine_mode="diverse")["mode"]["weights"]
    assert weights["gumbel_mcts"] == settings().selfplay.ai_type_weights.gumbel_mcts
    assert plays(engine_mode="mixed")["mode"]["weights"] is None


def test_the_pool_is_the_former_champions_that_are_here_newest_first():
    names = [mid(letter) for letter in "abcdef123"]
    given = facts(
        champion=names[-1],
        decisions=(begun(), *(decision("promoted", name) for name in names[1:])),
        models=tuple(model(name) for name in names if name != names[-2]),
    )
    spec = plays(given, engine_mode="best-vs-pool")
    assert checked("selfplay", spec).mode.pool == tuple(names[-3::-1][:POOL_SIZE])
    first = plays(engine_mode="best-vs-pool")  # nobody is in the pool yet
    assert first == plays()


def test_an_unknown_mode_is_an_error_that_names_its_setting():
    with pytest.raises(UsageError, match="unknown engine mode 'wild'") as error:
        plays(engine_mode="wild")
    assert error.value.where == "selfplay.engine_mode"


def test_a_job_names_an_agent_or_a_mode():
    spec = plays(engine_mode="heuristic-only")
    with pytest.raises(UsageError, match="one of agent and mode"):
        checked("selfplay", {**spec, "agent": "random"})
    with pytest.raises(UsageError, match="one of agent and mode"):
        checked("selfplay", {**spec, "mode": None})


# --- what is learned


@pytest.mark.parametrize("target", ["played", "mcts_visits", "descent_softmax"])
def test_the_policy_target_is_carried_by_dataset_and_training(target):
    for kind, known in (("dataset", None), ("train", seen(samples()))):
        job = learns(known, target=target)
        assert job.kind == kind
        asked = checked(kind, job.spec)
        options = selection_of(asked.kind, asked.values).export_options()
        assert options.policy_target == target
        assert job.id != learns(known).id
    plain = checked("dataset", learns().spec)
    assert selection_of(plain.kind, plain.values).export_options().policy_target == "auto"


# --- tournaments


def test_the_next_training_waits_for_the_tournament_after_a_cycle():
    plan = run(AFTER_CYCLES)
    assert gate(run(FULL)) is None
    assert (gate(plan).passed, gate(plan).value) == (False, 16)
    assert (plan.configs[0].state, plan.configs[0].tournament_left) == ("blocked", 16)
    assert "dataset" not in kinds(plan)
    assert kinds(plan).count("match") == 1


def test_a_tournament_after_a_cycle_is_played_without_a_clock_and_in_full():
    job = next(job for job in run(AFTER_CYCLES).jobs if job.kind == "match")
    assert not job.spec["capped"]
    untimed = run(AFTER_CYCLES, when=conditions(timed=False))
    assert job.id in {each.id for each in untimed.jobs}
    played = result(job)
    assert run(AFTER_CYCLES, seen(played)).configs[0].tournament_left == 16  # on their way
    over = replace(AFTER_CYCLES, side_matches=())
    assert "dataset" in kinds(run(over, seen(played)))


def test_nobody_waits_for_a_tournament_that_will_not_be_played():
    job = next(job for job in run(AFTER_CYCLES).jobs if job.kind == "match")
    failed = result(job, status="failed", error={"type": "X", "message": "broke", "tail": ""})
    broken = run(AFTER_CYCLES, seen(failed)).configs[0]
    assert (broken.state, broken.tournament_left) == ("held", 0)
    aborted = result(job, ended=900, aborted=["late"])
    assert run(AFTER_CYCLES, seen(aborted)).configs[0].tournament_left == 16  # filed again
    unmeasured = run(AFTER_CYCLES, when=conditions(stages=frozenset({"selfplay", "train"})))
    assert unmeasured.configs[0].tournament_left == 0
    assert "dataset" in kinds(unmeasured)


def test_a_candidate_is_measured_beside_the_tournament():
    test = match(games=80, missing=range(16, 80))
    given = replace(AFTER_CYCLES, undecided=((SECOND, True),), matches=(test,))
    assert run(given).configs[0].state == "evaluating"
    assert kinds(run(given)).count("match") == 4
