"""Events from differences: each thing is told once, in its order, also after a restart."""

from dataclasses import replace

import pytest

from ringrift.cluster.attempts import FailedAttempt
from ringrift.loop.events import Events, read_events
from ringrift.loop.history import History

from . import status_scene as scene


@pytest.fixture
def log(tmp_path):
    """A loop that has begun, and what it told since; `look` makes a pass."""
    return Log(tmp_path)


class Log:
    def __init__(self, folder):
        self.folder = folder
        self.now = scene.NOW
        self.restart()

    def restart(self):
        self.history = History(Events(self.folder))
        self.history.began(self.now)

    def look(self, facts, plan=None, results=(), jobs=(), later=1.0, **conditions):
        self.now += later
        self.history.look(
            scene.plan(plan or scene.config_plan()),
            (facts,),
            {each.job_id: each for each in results},
            jobs,
            scene.conditions(now=self.now, **conditions),
        )

    def told(self):
        return [e for e in read_events(self.folder) if e["kind"] != "loop_started"]

    def kinds(self):
        return [event["kind"] for event in self.told()]


def facts(**more):
    bare = {"models": (), "decisions": (), "champion": None, "games": 0, "milestones": {}}
    return replace(scene.config_facts(), **{**bare, **more})


def a_cycle(log):
    """Pass by pass what a first cycle looks like."""
    first = scene.model(scene.FIRST, made_at=scene.NOW, random=True)
    second = scene.config_facts().models[1]
    begun = {"models": (first,), "champion": scene.FIRST, "decisions": (scene.FIRST_DECISION,)}
    training = scene.Running()
    done = scene.result(
        job_id=training.id, numbers={"model_id": scene.SECOND, "losses": [1.82, 1.71]}
    )
    made = scene.result(job_id="0" * 64, numbers={"init": "random"})
    log.look(facts(), jobs=[scene.Running(id="0" * 64, progress={})])
    log.look(facts(**begun), results=[made])
    log.look(facts(**begun, games=64), later=11)
    log.look(facts(**begun, games=200), later=11)
    log.look(facts(**begun, games=230), jobs=[training])
    begun["models"] = (first, second)
    log.look(facts(**begun, games=240), results=[made, done])
    log.look(facts(**begun, games=240, matches=(scene.match(),)), results=[made, done])
    finished = scene.match(complete=True, played=118, verdict="accept")
    log.look(facts(**begun, games=240, matches=(finished,)), results=[made, done])
    begun |= {"decisions": (scene.FIRST_DECISION, scene.PROMOTED), "champion": scene.SECOND}
    reached = {"first_cycle": log.now, "beats_random": log.now + 1}
    last = facts(**begun, games=240, milestones=reached, ratings=scene.config_facts().ratings)
    log.look(last, results=[made, done])
    return last, [made, done]


CYCLE = [
    "model_initialised",
    "games_ingested",
    "games_ingested",
    "games_ingested",
    "training_started",
    "training_progress",
    "games_ingested",
    "training_finished",
    "calibration",
    "match_finished",
    "promoted",
    "milestone",
    "milestone",
]


def test_a_cycle_is_told_in_its_order(log):
    a_cycle(log)
    assert log.kinds() == CYCLE
    events = {event["kind"]: event for event in log.told()}
    promoted = events["promoted"]
    assert (promoted["cycle"], promoted["config"]) == (1, scene.CONFIG)
    assert promoted["data"]["losses"] == [1.82, 1.71]
    assert promoted["data"]["champion_elo"] == 512.3
    assert promoted["data"]["seconds"] == 100.0
    assert events["training_finished"]["data"]["seconds"] == 40.0
    assert [e["data"]["name"] for e in log.told()[-2:]] == ["first_cycle", "beats_random"]
    assert events["match_finished"]["data"]["key"] == "against_champion"


def test_nothing_is_told_twice_in_a_pass_or_after_a_restart(log):
    last, results = a_cycle(log)
    log.look(last, results=results)
    log.restart()
    log.look(last, results=results)
    log.look(last, results=results)
    assert log.kinds() == CYCLE


def test_what_a_kill_kept_from_the_log_is_told_by_the_next(log):
    last, results = a_cycle(log)
    log.restart()
    more = replace(last, decisions=(*last.decisions, scene.REJECTED))
    log.look(more, results=results)
    log.look(more, results=results)
    assert log.kinds() == [*CYCLE, "rejected"]
    assert log.told()[-1]["cycle"] == 2


def test_what_was_there_before_the_first_start_is_no_news(tmp_path):
    log = Log.__new__(Log)
    log.folder, log.now = tmp_path, scene.NOW
    log.history = History(Events(tmp_path))
    log.look(scene.config_facts(matches=(scene.match(complete=True),)), results=[scene.result()])
    assert log.kinds() == []
    log.look(scene.config_facts(decisions=(*scene.config_facts().decisions, scene.REJECTED)))
    assert log.kinds() == ["rejected"]


def test_a_deleted_log_changes_nothing_but_history(log):
    last, results = a_cycle(log)
    (log.folder / "events.jsonl").unlink()
    log.look(last, results=results)
    assert log.told() == []


def test_failed_jobs_are_told_with_what_they_said_last(log):
    error = {"type": "DataError", "message": "no such file", "tail": "x" * 5000}
    log.look(facts())
    log.look(facts(), results=[scene.result("match", status="failed", error=error)])
    (event,) = log.told()
    assert event["kind"] == "job_failed"
    assert event["data"]["error"] == "DataError: no such file"
    assert event["data"]["job_kind"] == "match"
    assert len(event["data"]["tail"]) < 1000


def test_presets_weights_signals_and_plateaus_are_told_when_they_change(log):
    quiet = scene.config_plan(signals=(), plateau=replace(scene.config_plan().plateau, count=0))
    log.look(facts(), quiet)
    assert log.kinds() == []
    changed = replace(
        scene.config_plan(), weight=1.2, preset="aggressive_exploration", preset_reason="plateau"
    )
    log.look(facts(), changed)
    log.look(facts(), changed)
    assert log.kinds() == ["curriculum_rebalanced", "preset_changed", "signal", "plateau"]
    assert log.told()[1]["data"]["former"] == "default"


def test_halts_and_the_guard_are_told_when_they_come_and_go(log):
    log.look(facts(), held={"all": "by hand", scene.CONFIG: "3 failures"})
    log.look(facts(), held={scene.CONFIG: "3 failures"}, guard="critical", guard_reasons=("disk",))
    log.look(facts())
    told = [(event["kind"], event["config"]) for event in log.told()]
    assert told[:4] == [
        ("halted", None),
        ("halted", scene.CONFIG),
        ("resumed", None),
        ("guard_level", None),
    ]
    assert told[4:] == [("resumed", scene.CONFIG), ("guard_level", None)]


def test_refused_games_are_told_by_what_is_new(log):
    log.history.quarantined(2, {"illegal_move": 2})
    log.history.quarantined(2, {"illegal_move": 2})
    log.history.quarantined(5, {"illegal_move": 5})
    assert [event["data"]["games"] for event in log.told()] == [2, 3]


def test_the_rate_is_that_of_the_last_ten_minutes(log):
    for games in range(0, 3000, 100):
        log.look(facts(games=games), later=60)
    assert log.history.games_per_hour()[scene.CONFIG] == pytest.approx(6000)
    assert log.history.since[scene.CONFIG] == scene.NOW + 60
    log.look(facts(games=2900), later=3600)
    assert log.history.games_per_hour() == {}


def test_an_old_rejection_keeps_the_number_of_its_cycle(log):
    rejected = replace(scene.REJECTED, sequence=4)
    superseded = replace(scene.REJECTED, kind="superseded")
    log.look(facts())
    models = scene.config_facts().models
    decisions = (scene.FIRST_DECISION, scene.PROMOTED, superseded, rejected)
    log.look(facts(models=models, decisions=decisions))
    told = [(e["kind"], e["cycle"]) for e in log.told() if e["data"].get("sequence")]
    assert told == [("promoted", 1), ("superseded", 1), ("rejected", 2)]


def test_a_model_that_is_there_before_its_job_ends_is_a_finished_training_once(log):
    first, second = scene.config_facts().models
    job = scene.Running()
    log.look(facts(models=(first,)))
    log.look(facts(models=(first,)), jobs=[job])
    log.look(facts(models=(first, second)), jobs=[job])
    done = scene.result(job_id=job.id, numbers={"model_id": scene.SECOND, "losses": [1.82, 1.71]})
    log.look(facts(models=(first, second)), results=[done])
    told = [event for event in log.told() if event["kind"] == "training_finished"]
    assert [(each["job"], each["data"]["model"]) for each in told] == [(job.id, scene.SECOND)]


def test_a_failed_attempt_is_told_once(log):
    attempt = FailedAttempt(
        job_id="1" * 64,
        kind="match",
        config=scene.CONFIG,
        node="here",
        attempt=1,
        at=scene.NOW,
        error={"type": "DataError", "message": "no such file", "tail": ""},
    )
    for found in ([attempt], [attempt, replace(attempt, attempt=2)]):
        log.history.failed_attempts(found)
    assert [(e["kind"], e["data"]["attempt"]) for e in log.told()] == [
        ("job_retried", 1),
        ("job_retried", 2),
    ]
