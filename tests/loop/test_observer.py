"""A pass told to all who watch: log, metrics, status file, page, screen."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from ringrift.cli.loop.screen import Screen
from ringrift.cluster.jobs import Job
from ringrift.core.metrics import Metrics
from ringrift.core.settings import Settings
from ringrift.loop.control import Pass
from ringrift.loop.events import Events, read_events
from ringrift.loop.history import History
from ringrift.loop.keeper import Collected, Gathered
from ringrift.loop.observer import Observer
from ringrift.loop.plan import JobsSeen
from ringrift.loop.status import read_status
from ringrift.loop.telemetry import Telemetry
from ringrift.loop.watching import LoopAlerts

from . import status_scene as scene
from .test_status import faults

SELFPLAY = Job(kind="selfplay", config=scene.CONFIG, spec={}, timeout_s=60.0, rules_hash="0" * 16)


@pytest.fixture
def observer(tmp_path):
    said = io.StringIO()
    screen = Screen(Console(file=said, width=160), live=False)
    telemetry = Telemetry(metrics=Metrics(), began_at=scene.NOW - 900)
    settings = Settings()

    def told(event):
        telemetry.event(event)
        screen.event(event)

    history = History(Events(tmp_path / "log", on_event=told))
    history.began(scene.NOW)
    made = Observer(
        root=tmp_path,
        profile="quick",
        settings=settings,
        history=history,
        telemetry=telemetry,
        alerts=LoopAlerts(settings=settings.alerting),
        screen=screen,
        jobs=lambda: [scene.Running()],
        verdicts=tuple,
    )
    return made, said


def a_pass(later=0.0, facts=None, **more):
    return Pass(
        conditions=scene.conditions(now=scene.NOW + later),
        gathered=Gathered(
            facts=(facts or scene.config_facts(), scene.bare_facts()),
            collected=Collected(**more),
            seconds=0.01,
        ),
        seen=JobsSeen(results={"2" * 64: scene.result()}),
        plan=scene.plan(),
        seconds=0.001,
    )


def test_a_pass_becomes_status_metrics_and_lines(observer, tmp_path):
    made, said = observer
    made.on_pass(a_pass())
    status = read_status(tmp_path)
    assert faults(status) == []
    assert status == made.telemetry.status()
    assert status["profile"] == "quick"
    assert made.telemetry.metrics.value("ringrift_loop_elo", config=scene.CONFIG) == 512.3
    decisions = (*scene.config_facts().decisions, scene.REJECTED)
    made.on_pass(a_pass(5.0, scene.config_facts(decisions=decisions)))
    assert "rejected: cccccc" in said.getvalue()
    value = made.telemetry.metrics.value
    assert value("ringrift_loop_rejections_total", config=scene.CONFIG) == 1
    assert value("ringrift_loop_control_lag_seconds") == 3.0
    made.end()
    assert read_status(tmp_path)["configs"][scene.CONFIG]["last_decision"]["kind"] == "rejected"


def test_refused_games_and_a_collector_that_fails_are_seen(observer, tmp_path):
    made, _ = observer
    made.on_pass(a_pass(quarantined=2, reasons={"illegal_move": 2}, error="hub gone"))
    kinds = [event["kind"] for event in read_events(tmp_path / "log")]
    assert "games_quarantined" in kinds
    collect = made.telemetry.health.components()["collect"]
    assert (collect["status"], collect["words"]) == ("degraded", "hub gone")


def test_a_disk_that_takes_no_status_ends_no_loop(observer, tmp_path):
    made, _ = observer
    (tmp_path / "data").write_text("in the way")
    made.on_pass(a_pass())
    json.dumps(made.telemetry.status())
    assert made.telemetry.status()["pid"] > 0


def warnings(made, passes):
    for made_pass in passes:
        made.on_pass(made_pass)
    return " ".join(made.telemetry.status()["warnings"])


def with_games(games, later, **conditions):
    found = a_pass(later, scene.config_facts(games=games))
    return dataclasses.replace(
        found,
        conditions=dataclasses.replace(found.conditions, **conditions),
        seen=JobsSeen(open=(SELFPLAY,)),
    )


@pytest.mark.parametrize(("games", "slow"), [(100, True), (1_000, False)])
def test_slow_selfplay_is_said_with_the_time_shares(observer, games, slow):
    made, _ = observer
    found = warnings(made, [with_games(0, 0.0), with_games(games, 60.0)])
    assert ("slow self-play, 1.7 games/s; job seconds:" in found) == slow
    assert ("slow self-play" in found) == slow


def test_slow_selfplay_is_no_news_on_a_held_machine(observer):
    made, _ = observer
    passes = [with_games(0, 0.0), with_games(100, 60.0, guard="warning")]
    assert "slow self-play" not in warnings(made, passes)


def test_a_host_without_workers_says_so_once_a_minute(observer):
    made, said = observer
    passes = [with_games(0, later, slots=0) for later in (0.0, 5.0, 61.0)]
    assert "no worker here" in warnings(made, passes)
    assert made.telemetry.status()["health"] == "degraded"
    assert said.getvalue().count("no worker here") == 2
