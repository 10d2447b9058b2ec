"""Delivery to real servers: once per change, through failures, by one process, killed or not."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import pytest

from ringrift.core import alerts, hidden
from ringrift.core.alert_outbox import backoff_s
from ringrift.core.alert_rules import elo_dropped
from ringrift.core.alert_sender import AlertSender, alerting
from ringrift.core.alert_sinks import Sink
from ringrift.core.alerts import AlertBook
from ringrift.core.files import lock
from ringrift.core.paths import Paths
from ringrift.core.settings.control import Alerting
from ringrift.core.settings.secrets import Secret

from .alert_receiver import Clock, receiving, wait_for

SETTINGS = Alerting(webhook_url=Secret("env:RINGRIFT_WEBHOOK_URL"))


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(tmp_path, clock):
    made = AlertBook(tmp_path / "alerts.db", sinks=["webhook"], clock=clock, node="n1")
    yield made
    made.close()


def sender_to(book, receiver, **options):
    return AlertSender(book, [Sink(name="webhook", url=receiver.url)], **options)


def changes(receiver):
    return [(body["kind"], body["subject"], body["state"]) for body in receiver.accepted]


def test_a_drop_of_120_elo_is_one_post_none_in_the_next_cycle_and_one_resolved(tmp_path, receiver):
    """The acceptance of core.md 10, over the functions that the loop calls."""
    paths = Paths(tmp_path)
    environ = {"RINGRIFT_WEBHOOK_URL": receiver.url}

    def cycle(elo):
        drop = 1500.0 - elo
        if elo_dropped(drop, 20.0, threshold_elo=50):
            values = {"config": "square8_2p", "model_id": "abc123", "drop": drop, "se": 20.0}
            alerts.alert("elo_drop", "square8_2p", None, f"abc123 fell by {drop:g} Elo", values)
        else:
            alerts.resolve("elo_drop", "square8_2p")

    with alerting(paths, SETTINGS, environ=environ) as book:
        cycle(1500.0)
        cycle(1380.0)
        wait_for(lambda: receiver.posts and not book.pending())
        cycle(1381.0)
        time.sleep(0.3)
        (body,) = receiver.accepted
        assert body["values"] == {
            "config": "square8_2p",
            "model_id": "abc123",
            "drop": 120.0,
            "se": 20.0,
        }
        assert (body["kind"], body["severity"], body["state"]) == ("elo_drop", "critical", "firing")
        cycle(1490.0)
        cycle(1495.0)
        wait_for(lambda: len(receiver.posts) == 2 and not book.pending())
    assert changes(receiver)[1:] == [("elo_drop", "square8_2p", "resolved")]
    assert len(receiver.posts) == 2
    assert alerts.resolve("elo_drop", "square8_2p") is False  # nobody's book any more


def test_errors_and_slow_answers_delay_a_change_and_never_double_it(book, clock, receiver):
    plan = {0: (500, 0), 1: (200, 2.0), 2: (503, 0), 3: (0, 0), 4: (500, 2.0)}
    receiver.behave = lambda number: plan.get(number, (200, 0))
    sender = sender_to(book, receiver, timeout_s=0.2)
    book.alert("conflict", "game-1")
    book.alert("budget", "vast")
    book.resolve("conflict", "game-1")
    for _ in range(12):
        sender.deliver()
        clock.advance(61)
    # The second attempt was accepted too late to be known: it came again under the same id.
    in_time = [body for number, (_, body, _) in enumerate(receiver.posts) if number > 4]
    assert [(body["kind"], body["state"]) for body in in_time] == [
        ("conflict", "firing"),
        ("budget", "firing"),
        ("conflict", "resolved"),
    ]
    assert len({body["id"] for body in in_time}) == 3
    assert {body["id"] for _, body, _ in receiver.posts[:5]} == {in_time[0]["id"]}
    assert book.pending() == []
    assert len(receiver.posts) == 8


@pytest.mark.timed
def test_a_sink_that_is_down_for_ten_minutes_loses_and_doubles_nothing(book, clock):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sink = Sink(name="webhook", url=f"http://127.0.0.1:{port}/hook")
    sender = AlertSender(book, [sink])
    started_s, attempts = clock(), []
    for number in range(120):  # 10 min
        if number % 10 == 0:
            book.alert("conflict", f"game-{number}")
        sender.deliver()
        clock.advance(5)
        attempts.append(book.pending()[0].attempts)
    assert book.pending()[0].last_error == "connection refused"
    assert 8 <= attempts[-1] <= 20  # it was given rests
    with receiving(port) as receiver:
        while book.pending():
            sender.deliver()
            clock.advance(5)
        assert clock() - started_s < 600 + 70
        expected = [("conflict", f"game-{number}", "firing") for number in range(0, 120, 10)]
        assert changes(receiver) == expected
        assert len(receiver.posts) == 12


def test_a_message_that_a_sink_refuses_does_not_block_the_others(book, clock, receiver):
    receiver.behave = lambda number: (400 if number == 0 else 200, 0)
    sender = sender_to(book, receiver)
    book.alert("conflict", "game-1")
    book.alert("conflict", "game-2")
    sender.deliver()
    assert [subject for _, subject, _ in changes(receiver)] == ["game-2"]
    (left,) = book.pending()
    assert (left.subject, left.attempts, left.last_error) == ("game-1", 1, "answered 400")
    clock.advance(3)
    sender.deliver()
    assert book.pending() == []


def test_a_sink_may_say_when_to_come_again(book, clock, receiver):
    receiver.behave = lambda number: (429 if number == 0 else 200, 0)
    receiver.headers = {"Retry-After": "300"}
    sender = sender_to(book, receiver)
    book.alert("conflict", "game-1")
    sender.deliver()
    clock.advance(299)
    assert sender.deliver() == 0
    clock.advance(2)
    assert sender.deliver() == 1


@pytest.mark.timed
def test_a_slow_sink_stops_neither_the_caller_nor_the_other_sink(tmp_path, receiver):
    with receiving() as slow:
        slow.behave = lambda _: (200, 3.0)
        book = AlertBook(tmp_path / "alerts.db", sinks=["webhook", "slack"])
        sinks = [
            Sink(name="webhook", url=slow.url),
            Sink(name="slack", url=receiver.url, as_text=True),
        ]
        sender = AlertSender(book, sinks, timeout_s=0.5)
        sender.start()
        longest_s = 0.0
        for number in range(10):
            started_s = time.monotonic()
            alerts_now = book.alert("conflict", f"game-{number}")
            longest_s = max(longest_s, time.monotonic() - started_s)
            assert alerts_now
        wait_for(lambda: len(receiver.posts) == 10)
        sender.stop(flush_s=0.2)
        assert longest_s < 0.4
        assert all(list(body) == ["text"] for body in receiver.accepted)
        assert {message.sink for message in book.pending()} == {"webhook"}
        book.close()


def test_stop_sends_what_was_just_queued(tmp_path, receiver):
    book = AlertBook(tmp_path / "alerts.db", sinks=["webhook"])
    sender = sender_to(book, receiver, poll_s=30.0)
    sender.start()
    sender.start()  # once is enough
    book.alert("conflict", "game-1")
    sender.stop()
    sender.stop()
    assert changes(receiver) == [("conflict", "game-1", "firing")]
    book.close()


def test_only_one_process_delivers_and_another_takes_over(book, receiver):
    book.alert("conflict", "game-1")
    sender = sender_to(book, receiver)
    with lock(book.path.with_name("alerts.lock")):
        assert sender.deliver() == 0
    assert sender.deliver() == 1


def test_alerts_of_a_process_without_sinks_are_sent_by_one_that_has_them(tmp_path, clock, receiver):
    quiet = AlertBook(tmp_path / "alerts.db", clock=clock)
    quiet.alert("conflict", "game-1")
    assert AlertSender(quiet, ()).deliver() == 0
    loud = AlertBook(tmp_path / "alerts.db", sinks=["webhook"], clock=clock)
    assert sender_to(loud, receiver).deliver() == 1
    assert sender_to(loud, receiver).deliver() == 0
    quiet.close()
    loud.close()


def test_the_digest_goes_out_as_one_message(book, clock, receiver):
    sender = sender_to(book, receiver)
    for number in range(40):
        book.alert("dead_letter", f"batch-{number}")
    sender.deliver()
    assert len(receiver.posts) == 30
    clock.advance(3601)
    sender.deliver()
    sender.deliver()
    (digest,) = receiver.accepted[30:]
    assert digest["kind"] == "digest"
    assert digest["values"]["count"] == 10
    told = {body["subject"] for body in receiver.accepted[:30]}
    told |= {change["subject"] for change in digest["values"]["changes"]}
    assert told == {f"batch-{number}" for number in range(40)}


def test_waits_double_to_a_minute():
    for failures, least in enumerate((1, 2, 4, 8, 16, 32, 60, 60, 60), start=1):
        assert least <= backoff_s(failures) <= min(least + 1, 60)
    assert backoff_s(100_000) == 60


def test_a_defect_does_not_end_the_thread(tmp_path, receiver, monkeypatch, capsys):
    book = AlertBook(tmp_path / "alerts.db", sinks=["webhook"])
    sender = sender_to(book, receiver, poll_s=0.05)
    calls = []
    whole = book.refresh

    def broken():
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        whole()

    monkeypatch.setattr(book, "refresh", broken)
    sender.start()
    book.alert("conflict", "game-1")
    wait_for(lambda: receiver.posts)
    sender.stop()
    assert "alerts could not be delivered" in capsys.readouterr().err
    book.close()


WORKER = """
import sys, time
from pathlib import Path
from ringrift.core import alerts, hidden
from ringrift.core.alert_sender import alerting
from ringrift.core.paths import Paths
from ringrift.core.settings_loader import load_settings
root, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with alerting(Paths(root), load_settings().values.alerting) as book:
    for number in range(count):
        alerts.alert("conflict", f"{name}-{number}", None, "they differ", {"n": number})
        alerts.alert("budget", "shared")
        time.sleep(0.01)
    print("queued", flush=True)
    while book.pending():
        time.sleep(0.02)
"""


def worker(root, receiver, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root), name, str(count)],
        env={**os.environ, "RINGRIFT_WEBHOOK_URL": receiver.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_two_processes_alerting_at_once_are_one_sender(tmp_path, receiver):
    receiver.behave = lambda _: (200, 0.03)
    started = [worker(tmp_path, receiver, name, 12) for name in ("a", "b")]
    assert [process.wait(60) for process in started] == [0, 0]
    expected = [f"{name}-{number}" for name in ("a", "b") for number in range(12)]
    assert sorted(body["subject"] for body in receiver.accepted) == sorted([*expected, "shared"])
    assert receiver.most_busy == 1


@pytest.mark.slow
def test_a_sender_killed_at_twenty_random_instants_loses_nothing(tmp_path, receiver):
    random_number = random.Random(20)
    receiver.behave = lambda _: (200, random_number.uniform(0, 0.05))
    kills = 0
    book = AlertBook(tmp_path / "data" / "coordination" / "alerts.db", sinks=["webhook"])
    noted = []
    for number in range(20):
        # Each sender finds what the killed ones left and more; the hourly limit is not the subject.
        subjects = [f"r{number}-{index}" for index in range(6)]
        noted += subjects
        for subject in subjects:
            book.alert("conflict", subject)
        with_room(book)
        process = worker(tmp_path, receiver, "unused", 0)
        before, delay_s = len(receiver.posts), random_number.uniform(0.0, 0.25)
        while len(receiver.posts) == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(delay_s)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    with_room(book)
    assert worker(tmp_path, receiver, "unused", 0).wait(60) == 0
    counts = Counter(body["subject"] for body in receiver.accepted)
    assert set(counts) == set(noted)
    doubled = {subject for subject, count in counts.items() if count > 1}
    assert sum(counts.values()) - len(noted) <= kills  # only what was in the air
    for subject in doubled:
        assert len({body["id"] for body in receiver.accepted if body["subject"] == subject}) == 1
    assert kills >= 10
    print(f"{kills} kills of a working sender, {len(noted)} messages, {len(doubled)} seen twice")
    book.close()


def with_room(book):
    """Make what was queued look older than an hour, so that nothing is held for a digest."""
    connection = book.connection()
    connection.execute("UPDATE messages SET created_at = created_at - 3700 WHERE held = 0")
    assert book.held() == 0


def test_nothing_that_is_kept_names_the_address(book, receiver, monkeypatch):
    monkeypatch.setattr(hidden, "_known", set())
    monkeypatch.setattr(hidden, "_ordered", ())
    receiver.behave = lambda _: (500, 0)
    url = f"http://127.0.0.1:{receiver.port}/services/T0K3NT0K3N"
    hidden.hide_secret(url)
    book.alert("conflict", f"at {url}", None, f"cannot post to {url}", {"url": f"{url}?x=1"})
    AlertSender(book, [Sink(name="webhook", url=url)]).deliver()
    (alert,) = book.alerts()
    assert (alert.subject, alert.text) == ("at ***", "cannot post to ***")
    assert alert.values == {"url": "***?x=1"}
    assert book.pending()[0].last_error == "answered 500"
    book.close()
    assert all(b"T0K3N" not in path.read_bytes() for path in book.path.parent.iterdir())
