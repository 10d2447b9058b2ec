"""What the outside sees of a loop: counters from events, alerts once per change, health, status."""

import json
import urllib.error
import urllib.request
from contextlib import closing
from types import SimpleNamespace

import pytest

from ringrift.core import alerts
from ringrift.core.alerts import AlertBook
from ringrift.core.limits import State
from ringrift.core.metrics import Metrics
from ringrift.core.metrics_server import MetricsServer, Pages
from ringrift.loop.telemetry import STAGES, Telemetry

CONFIG = "square8_2p"


@pytest.fixture
def scene(tmp_path):
    scene = SimpleNamespace(now=0.0)
    scene.telemetry = Telemetry(
        config=CONFIG, training_timeout_s=3600, metrics=Metrics(), clock=lambda: scene.now
    )
    with closing(AlertBook(tmp_path / "alerts.db")) as scene.book:
        alerts.use_book(scene.book)
        yield scene
        alerts.use_book(None)


def event(kind, **data):
    return {"kind": kind, "cycle": 1, "data": data}


def verdict(state, used=81.0):
    return SimpleNamespace(
        name="memory", resource="memory", state=state, used=used, critical=80.0, reason="memory!"
    )


def states(book):
    return [(alert.kind, alert.state) for alert in book.alerts()]


def test_games_are_counted_by_kind_and_unknown_durations_are_absent(scene):
    def game(purpose, plies, ms):
        meta = SimpleNamespace(purpose=purpose, ms=ms)
        return SimpleNamespace(meta=meta, result=SimpleNamespace(plies=plies)), None

    scene.telemetry.games([game("selfplay", 100, 500), game("match", 80, None)], 2)
    value = scene.telemetry.metrics.value
    assert value("ringrift_games_total", config=CONFIG, kind="selfplay") == 1
    assert value("ringrift_games_total", config=CONFIG, kind="match") is None
    assert value("ringrift_loop_games_total", config=CONFIG, kind="match") == 1
    assert value("ringrift_plies_total", config=CONFIG) == 100
    assert value("ringrift_game_seconds", config=CONFIG) == 1
    assert scene.telemetry.status()["games"] == 2


def test_stages_decisions_and_losses_become_metrics(scene):
    tell = scene.telemetry.event
    tell(event("stage_started", stage="train"))
    scores = {"policy_loss": 2.5, "value_loss": 0.7}
    tell(event("training_finished", train=scores, validation=None))
    tell(event("stage_ended", stage="train", seconds=12.0))
    tell(event("promoted", candidate="x", reason="y"))
    tell(event("rejected", candidate="x", reason="y"))
    value = scene.telemetry.metrics.value
    assert value("ringrift_loss", config=CONFIG, kind="policy_loss") == 2.5
    assert value("ringrift_loop_training_loss", config=CONFIG, kind="policy_loss") is None
    assert value("ringrift_loop_job_seconds", config=CONFIG, kind="train") == 1
    assert value("ringrift_promotions_total", config=CONFIG) == 1
    assert value("ringrift_loop_rejections_total", config=CONFIG) == 1
    one_hot = [value("ringrift_loop_state", config=CONFIG, status=stage) for stage in STAGES]
    assert sum(one_hot) == 1
    assert scene.telemetry.status()["stage"] == "train"


def test_a_limit_is_alerted_after_five_minutes_once_and_resolved(scene):
    for minute in range(10):
        scene.now = minute * 60.0
        scene.telemetry.look([verdict(State.CRITICAL)])
        assert states(scene.book) == ([("limit_critical", "firing")] if minute > 5 else [])
    scene.telemetry.look([verdict(State.UNKNOWN, None)])
    assert states(scene.book) == [("limit_critical", "firing")]
    scene.telemetry.look([verdict(State.OK, 50.0)])
    assert states(scene.book) == [("limit_critical", "resolved")]


def test_a_long_training_is_alerted_and_its_end_resolves(scene):
    scene.telemetry.event(event("stage_started", stage="train"))
    scene.now = 3500
    scene.telemetry.look([])
    assert states(scene.book) == []
    scene.now = 3700
    scene.telemetry.look([])
    assert states(scene.book) == [("training_timeout", "firing")]
    scene.telemetry.event(event("stage_ended", stage="train", seconds=3800.0))
    assert states(scene.book) == [("training_timeout", "resolved")]


def test_quarantined_games_of_our_own_are_an_alert(scene):
    scene.telemetry.event(event("games_quarantined", games=2, reasons={"illegal_move": 2}))
    assert states(scene.book) == [("verification", "firing")]


def test_the_server_answers_with_metrics_status_and_what_holds_the_loop(scene):
    telemetry = scene.telemetry
    telemetry.look([verdict(State.WARNING, 71.0)])
    pages = Pages(
        metrics=telemetry.metrics,
        health=telemetry.health,
        ready=telemetry.health,
        status=telemetry.status,
    )
    with MetricsServer(pages, port=0) as server:

        def get(path):
            try:
                with urllib.request.urlopen(server.url + path, timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        code, text = get("/metrics")
        assert (code, 'ringrift_resource_percent{resource="memory"} 71.0' in text) == (200, True)
        assert get("/health")[0] == 200
        telemetry.event(event("guard_level", held=True, reasons=["memory!"]))
        code, text = get("/health")
        assert code == 503
        assert "memory!" in text
        assert json.loads(get("/status.json")[1])["reasons"] == ["memory!"]
        telemetry.event(event("guard_level", held=False, reasons=[]))
        assert get("/health")[0] == 200
