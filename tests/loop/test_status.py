"""The status of a loop: as published, told from plan and facts, written whole."""

import json
import sys
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.errors import DataError
from ringrift.loop.status import STATUS_FILE, Moment, Resources, StatusFile, read_status, status_of

from . import status_scene as scene

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from json_schema import problems

sys.path.pop(0)


def status(plan=None, facts=None, jobs=(), **conditions):
    return status_of(
        plan or scene.plan(),
        facts or (scene.config_facts(), scene.bare_facts()),
        jobs,
        Resources(cpu=0.71, memory=0.42, disk=0.38),
        scene.conditions(**conditions),
        Moment(
            profile="quick",
            first_started_at=scene.NOW - 1200,
            since={scene.CONFIG: scene.NOW - 30},
            games_per_hour={scene.CONFIG: 5210.0},
            matches=7,
        ),
    )


def faults(tree):
    """What is wrong with a status by the schema of `loop status`."""
    own = {name: value for name, value in tree.items() if name != "schema"}
    head = {"schema": 1, "command": "loop status", "ok": True, "running": True, "age_s": 0.1}
    return problems(schema_of("loop status"), {**head, **own})


def test_it_is_as_published_with_everything_known_and_with_nothing():
    assert faults(status(jobs=[scene.Running(), scene.Running(progress={})])) == []
    bare = status(scene.plan(scene.bare_plan()), (scene.bare_facts(),))
    assert faults(bare) == []
    assert faults({**bare, "health": "fine"}) != []


def test_it_tells_what_plan_and_facts_say():
    found = status(jobs=[scene.Running()])
    each = found["configs"][scene.CONFIG]
    assert (each["state"], each["reason"], each["generation"]) == ("collecting", "134/200 games", 1)
    assert (each["elo"], each["elo_ci95"]) == (512.3, [480.1, 544.5])
    assert each["test"]["llr"] == 0.81
    assert (each["test"]["wins"], each["test"]["losses"], each["test"]["capped"]) == (12, 8, 1)
    assert each["last_decision"]["kind"] == "promoted"
    assert each["last_decision"]["ci95"] == [41.0, 88.0]
    assert each["milestones"] == {"beats_random": 10.0}
    assert each["calibration"] == {"ece": 0.031, "temperature": 1.08}
    assert found["totals"] == {
        "games": 9120,
        "training_runs": 1,
        "matches": 7,
        "promotions": 1,
        "rejections": 0,
    }
    (job,) = found["jobs"]
    assert (job["progress"], job["eta_s"], job["seconds"]) == (0.3, 31.0, 40.0)


def test_the_first_start_unknown_leaves_milestones_out():
    found = status_of(
        scene.plan(scene.config_plan()),
        (scene.config_facts(),),
        (),
        Resources(),
        scene.conditions(),
        Moment(profile="quick"),
    )
    assert found["configs"][scene.CONFIG]["milestones"] == {}
    assert found["configs"][scene.CONFIG]["since"] is None


@pytest.mark.parametrize(
    ("plan", "conditions", "health"),
    [
        (None, {}, "healthy"),
        (None, {"held": {"all": "by hand"}}, "degraded"),
        (None, {"guard": "warning", "guard_reasons": ("memory",)}, "degraded"),
        (scene.plan(scene.config_plan(state="held")), {}, "degraded"),
        (scene.plan(warnings=("slow self-play",)), {}, "degraded"),
        (scene.plan(scene.config_plan(warnings=("seat 2 never wins",))), {}, "degraded"),
    ],
)
def test_what_is_not_well_is_degraded(plan, conditions, health):
    found = status(plan, **conditions)
    assert found["health"] == health
    assert found["halted"] is ("held" in conditions)
    assert (health == "healthy") or found["warnings"] or conditions or plan is not None


def test_a_loss_that_is_not_finite_is_unknown():
    found = status(jobs=[scene.Running(progress={"loss": float("nan")})])
    assert found["jobs"][0]["numbers"] == {"loss": None}
    json.dumps(found, allow_nan=False)


def test_the_file_is_replaced_whole_at_most_every_five_seconds(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("ringrift.loop.status.time.monotonic", lambda: clock[0])
    file = StatusFile(tmp_path)
    assert read_status(tmp_path) is None
    for second in range(12):
        clock[0] = 100.0 + second
        file.write({"schema": 1, "second": second})
        assert read_status(tmp_path)["second"] == second - second % 5
    file.write({"schema": 1, "second": "last"}, now=True)
    assert read_status(tmp_path)["second"] == "last"
    assert [path.name for path in (tmp_path / STATUS_FILE).parent.iterdir()] == ["status.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 9}'])
def test_a_file_that_is_no_status_is_an_error_with_its_place(tmp_path, text):
    path = tmp_path / STATUS_FILE
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_status(tmp_path)
    assert caught.value.where == str(path)
