"""What a self-play job is told of planned games: all that decides them, and nothing that is not checked."""

import json
from dataclasses import fields, replace

import pytest

from ringrift.cluster.jobs import Job, Needs, job_of
from ringrift.core.errors import RefusedError, UsageError
from ringrift.loop.distributed_selfplay import HubPool, named_nodes
from ringrift.loop.job_specs import ControlSpec, GameSpec, ResignSpec, checked
from ringrift.loop.planned_games import game_plans, play_job, written
from ringrift.rules import BoardSpec
from ringrift.selfplay.control import Resignation, SearchControl
from ringrift.selfplay.modes import seating_of_specs
from ringrift.selfplay.openings import Opening, Openings
from ringrift.selfplay.plans import GamePlan
from ringrift.selfplay.run_plan import RunPlan

SPEC = BoardSpec.create("hex8", 2, swap_rule=True, lps_rounds=5, rings_per_player=12)
PLAN = RunPlan(
    spec=SPEC,
    seed=5,
    seating=seating_of_specs(("random", "heuristic:mode=light"), 2),
    max_plies=77,
    control=SearchControl(
        cheap_sims=9, temperature_value=0.5, swap_probability=0.25, resign=Resignation(mode="soft")
    ),
    openings=Openings(choices=(1, 5), book=(Opening(moves=(3, 4), tag="book:a"),)),
    tau_mix="random",
    purpose="soak",
    tags=("t",),
    check_invariants=True,
)


def spec_of(games=range(4), plan=PLAN):
    spec = written(plan.job("r"), plan.games(games))
    return json.loads(json.dumps(spec.model_dump(mode="json", exclude_defaults=True)))


def test_job_and_games_come_back_as_they_were_planned():
    asked = checked("selfplay", spec_of())
    job = PLAN.job("r")
    assert play_job(asked, {}, device="cpu") == job
    assert game_plans(asked) == PLAN.games(range(4))
    named = replace(PLAN, tau_mix=None, control=SearchControl(temperature="default"))
    assert play_job(checked("selfplay", spec_of(plan=named)), {}, device="cpu") == named.job("r")


def test_a_spec_names_every_field_that_decides_games():
    for spec, kind in (
        (ControlSpec, SearchControl),
        (ResignSpec, Resignation),
        (GameSpec, GamePlan),
    ):
        assert set(spec.model_fields) == {each.name for each in fields(kind)}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"bogus": 1}, "spec.bogus"),
        ({"control": {"bogus": 1}}, "spec.control.bogus"),
        ({"games": [{"index": -1, "seed": 1, "seats": [0, 0]}]}, "spec.games.0.index"),
        ({"games": []}, "spec.games"),
        ({"purpose": "match"}, "spec.purpose"),
    ],
)
def test_an_unknown_or_wrong_key_is_named(change, path):
    with pytest.raises(UsageError, match=path.replace(".", r"\.")):
        checked("selfplay", {**spec_of(), **change})


def test_an_agent_that_is_another_here_is_refused():
    told = spec_of()
    told["hashes"][1] = "0" * 64
    with pytest.raises(RefusedError, match=r"heuristic:mode=light.* planned was 000000000000"):
        play_job(checked("selfplay", told), {}, device="cpu")


def pool(**changes):
    given = {"filing": None, "store": None, "plan": PLAN, "games": 40}
    return HubPool(**{**given, "job_games": 16, "job_timeout_s": 60.0, **changes})


def parts(missing, **changes):
    return list(pool(**changes)._parts(PLAN.job("r"), set(missing)))


def test_ranges_are_fixed_so_that_the_same_run_is_the_same_jobs():
    whole = parts(range(40))
    assert [part.games for part in whole] == [
        tuple(range(16)), tuple(range(16, 32)), tuple(range(32, 40)),
    ]  # fmt: skip
    (rest,) = parts({17, 20})
    assert (rest.job.id, rest.missing) == (whole[1].job.id, {17, 20})
    other = replace(PLAN, seed=6)
    assert parts({17}, plan=other)[0].job.id != rest.job.id
    rest.renew()
    assert rest.job.id != whole[1].job.id


def test_named_nodes_get_the_ranges_in_turn():
    found = parts(range(40), nodes=("a", "b"))
    assert [part.job.node for part in found] == ["a", "b", "a"]
    assert job_of(found[0].job.as_bytes()) == found[0].job
    assert {part.job.node for part in parts(range(40))} == {""}


def test_a_device_asks_for_a_gpu():
    job = replace(PLAN, device="cuda").job("r")
    (part,) = pool()._parts(job, {1})
    assert part.job.needs == Needs(gpu=1, gpu_mem_gb=8.0)


def test_only_nodes_that_are_known_can_be_named():
    assert named_nodes("all", set()) == ()
    assert named_nodes("b, a,b", {"a", "b"}) == ("b", "a")
    with pytest.raises(UsageError, match="no node 'c' is connected; there are a, b"):
        named_nodes("a,c", {"a", "b"})
    with pytest.raises(UsageError, match="no node is named"):
        named_nodes(",", {"a"})


def test_a_job_for_any_node_is_named_as_before():
    job = Job(kind="selfplay", config="square8_2p", spec={}, timeout_s=1.0, rules_hash="0")
    assert "node" not in job.as_tree()
    assert replace(job, node="a").id != job.id
