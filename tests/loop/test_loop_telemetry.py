"""Metrics, health and alerts of a loop: what is known, by its name, each alert once."""

import json
import re
import urllib.error
import urllib.request
from contextlib import closing
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ringrift.core import alerts
from ringrift.core.alerts import AlertBook
from ringrift.core.limits import Resource, State
from ringrift.core.metrics import Metrics
from ringrift.core.metrics_table import TABLE
from ringrift.core.paths import Paths
from ringrift.core.settings import Settings
from ringrift.core.settings.control import Alerting
from ringrift.loop.facts import RatedModel, TournamentFacts
from ringrift.loop.health import COMPONENTS, HealthBook
from ringrift.loop.telemetry import ADDRESS_FILE, STATES, Telemetry, serving
from ringrift.loop.watching import LoopAlerts

from . import status_scene as scene


@pytest.fixture
def telemetry():
    return Telemetry(metrics=Metrics(), began_at=scene.NOW - 100)


def look(telemetry, jobs=(), **facts):
    telemetry.look(
        scene.plan(),
        (scene.config_facts(**facts), scene.bare_facts()),
        jobs,
        pass_seconds=0.01,
        lag_s=0.2,
        games_per_hour={scene.CONFIG: 5210.0},
    )


def verdict(state, used=81.0):
    return SimpleNamespace(
        name="memory",
        resource=Resource.MEMORY,
        state=state,
        used=used,
        critical=80.0,
        reason="memory!",
    )


# --- metrics


def fill(telemetry):
    look(telemetry)
    look(telemetry, jobs=[scene.Running()], games=9200)
    numbers = {"games": 32, "plies": 4000, "inference_share": 0.6}
    results = [
        scene.result("train", "1" * 64),
        scene.result("selfplay", "2" * 64, numbers=numbers),
        scene.result("match", "3" * 64, status="failed", error={"message": "no"}),
    ]
    telemetry.results({each.job_id: each for each in results})
    telemetry.machine([verdict(State.WARNING)], "warning", ["memory!"])
    for kind, data in (
        ("training_finished", {}),
        ("promoted", {}),
        ("rejected", {}),
        ("games_quarantined", {"games": 2}),
    ):
        telemetry.event({"kind": kind, "config": scene.CONFIG, "data": data})


def test_every_metric_of_the_loop_is_exported_by_its_name(telemetry):
    fill(telemetry)
    look(telemetry, jobs=[scene.Running()])
    text = telemetry.metrics.text().decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    wanted = {name.removesuffix("_total") for name in TABLE if name.startswith("ringrift_loop_")}
    assert wanted - families == {"ringrift_loop_lag_seconds"}


def test_the_text_has_help_and_type_once_and_no_series_twice(telemetry):
    fill(telemetry)
    lines = telemetry.metrics.text().decode().splitlines()
    helps = [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert len(helps) == len(set(helps))
    assert helps == [line.split()[2] for line in lines if line.startswith("# TYPE")]
    series = [line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert all(re.fullmatch(r"ringrift_[a-z_]+(\{.*\})?", name) for name in series)


def test_numbers_stand_for_what_happened(telemetry):
    fill(telemetry)
    value, config = telemetry.metrics.value, scene.CONFIG
    assert value("ringrift_loop_elo", config=config) == 512.3
    assert value("ringrift_loop_elo", config="hex8_2p") is None
    assert value("ringrift_loop_games_total", config=config, kind="stored") == 80
    assert value("ringrift_games_total", config=config, kind="selfplay") == 32
    assert value("ringrift_loop_training_seconds", config=config) == 1
    assert value("ringrift_loop_job_failures_total", config=config, kind="match") == 1
    assert value("ringrift_loop_test_llr", config=config) == 0.81
    assert value("ringrift_loop_jobs_running", kind="train") == 1
    one_hot = {state: value("ringrift_loop_state", config=config, status=state) for state in STATES}
    assert one_hot == {state: float(state == "collecting") for state in STATES}
    look(telemetry)
    assert value("ringrift_loop_jobs_running", kind="train") == 0


def test_results_count_once_and_not_from_before_this_process(telemetry):
    old = scene.result("train", "4" * 64, ended_at=scene.NOW - 5000)
    for _ in range(3):
        telemetry.results({each.job_id: each for each in (old, scene.result())})
    assert telemetry.metrics.value("ringrift_loop_training_seconds", config=scene.CONFIG) == 1


# --- health


def test_parts_are_unknown_then_healthy_degraded_unhealthy_and_back():
    book = HealthBook(clock=lambda: 10.0)
    assert {part["status"] for part in book.components().values()} == {"unknown"}
    assert tuple(book.components()) == COMPONENTS
    book.works("train")
    assert book.answer().fields["status"] == "healthy"
    words = []
    for _ in range(3):
        book.fails("train", "no memory")
        words.append(book.components()["train"]["status"])
    assert words == ["degraded", "degraded", "unhealthy"]
    assert book.components()["train"]["failures"] == 3
    assert not book.answer().ok
    book.works("train")
    assert book.answer().ok


def test_a_bus_that_says_nothing_is_degraded_a_quiet_training_is_not():
    now = [10.0]
    book = HealthBook(clock=lambda: now[0])
    for part in ("bus", "train"):
        book.works(part)
    now[0] = 100.0
    found = book.components()
    assert (found["bus"]["status"], found["train"]["status"]) == ("degraded", "healthy")
    assert found["bus"]["age_s"] == 90.0
    assert book.answer().ok


@pytest.fixture
def served(telemetry, tmp_path):
    paths = Paths(tmp_path)
    paths.create()
    with serving(telemetry, Settings(), paths, port=0) as server:
        yield paths, server


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_pages_answer_and_their_address_is_known_while_they_do(served, telemetry):
    paths, server = served
    assert json.loads((paths.root / ADDRESS_FILE).read_text())["url"] == server.url
    assert get(f"{server.url}/status.json")[0] == 503
    telemetry.publish({"schema": 1})
    assert get(f"{server.url}/status.json") == (200, {"schema": 1})
    telemetry.machine([], "ok", [])
    assert get(f"{server.url}/health")[0] == 200
    telemetry.machine([verdict(State.CRITICAL)], "critical", ["memory!"])
    code, found = get(f"{server.url}/health")
    assert (code, found["components"]["guard"]["status"]) == (503, "unhealthy")
    assert found["components"]["guard"]["words"] == "memory!"


def test_the_address_goes_with_the_server(telemetry, tmp_path):
    paths = Paths(tmp_path)
    paths.create()
    with serving(telemetry, Settings(), paths, port=0):
        pass
    assert not (tmp_path / ADDRESS_FILE).exists()


# --- alerts


@pytest.fixture
def watched(tmp_path):
    watched = SimpleNamespace(now=0.0)
    watched.alerts = LoopAlerts(settings=Alerting(), clock=lambda: watched.now)
    with closing(AlertBook(tmp_path / "alerts.db")) as watched.book:
        alerts.use_book(watched.book)
        yield watched
        alerts.use_book(None)


def states(watched):
    return [(alert.kind, alert.state) for alert in watched.book.alerts()]


def test_a_limit_is_alerted_after_five_minutes_once_and_resolved(watched):
    for minute in range(10):
        watched.now = minute * 60.0
        watched.alerts.machine([verdict(State.CRITICAL)])
        assert states(watched) == ([("limit_critical", "firing")] if minute > 5 else [])
    watched.alerts.machine([verdict(State.UNKNOWN, None)])
    assert states(watched) == [("limit_critical", "firing")]
    watched.alerts.machine([verdict(State.OK, 50.0)])
    assert states(watched) == [("limit_critical", "resolved")]


def test_a_long_training_is_alerted_and_its_end_resolves(watched):
    job = scene.Running(started_at=scene.NOW)
    watched.alerts.trainings([job], [scene.CONFIG], scene.NOW + 3.9 * 3600)
    assert states(watched) == []
    watched.alerts.trainings([job], [scene.CONFIG], scene.NOW + 4.1 * 3600)
    assert states(watched) == [("training_timeout", "firing")]
    watched.alerts.trainings([], [scene.CONFIG], scene.NOW + 4.2 * 3600)
    assert states(watched) == [("training_timeout", "resolved")]


def test_low_production_for_an_hour_is_alerted_but_not_while_paused(watched):
    for minute in range(0, 200, 10):
        watched.now = minute * 60.0
        watched.alerts.production(50.0, paused=minute < 100)
    assert states(watched) == [("low_production", "firing")]
    watched.alerts.production(None, paused=False)
    assert states(watched) == [("low_production", "firing")]
    watched.alerts.production(5000.0, paused=False)
    assert states(watched) == [("low_production", "resolved")]


@pytest.mark.parametrize(
    ("ends", "fires"),
    [((-160.0, -40.0), True), ((-160.0, 20.0), False), ((-60.0, -20.0), False), (None, False)],
)
def test_a_sure_drop_of_more_than_the_threshold_is_alerted(watched, ends, fires):
    champion = RatedModel(model=scene.SECOND, elo=400.0, ci95=None, games=50)
    former = RatedModel(model=scene.FIRST, elo=500.0, ci95=None, games=50)
    tournament = TournamentFacts(
        at=scene.NOW, champion=champion, predecessor=former, difference_ci95=ends, games=50
    )
    for _ in range(2):
        watched.alerts.ratings([scene.config_facts(tournaments=(tournament,))])
    assert states(watched) == ([("elo_drop", "firing")] if fires else [])


def test_games_that_fail_and_a_spool_that_waits_are_alerted(watched):
    watched.alerts.collected(1000, 5, {"illegal_move": 5})
    watched.alerts.spool(None)
    assert states(watched) == []
    watched.alerts.collected(1000, 50, {"illegal_move": 50})
    watched.alerts.spool(31 * 60.0)
    assert sorted(states(watched)) == [("spool_age", "firing"), ("verification", "firing")]
