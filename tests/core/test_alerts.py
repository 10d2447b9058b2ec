"""The book: one firing and one resolved message per change, repeats, mutes, the hourly limit."""

import sqlite3
import subprocess
import sys

import pytest

from ringrift.core import alerts
from ringrift.core.alert_outbox import MESSAGES_AN_HOUR, next_due, route
from ringrift.core.alerts import AlertBook
from ringrift.core.errors import BusyError, DataError, UsageError
from ringrift.core.metrics import process_metrics

from .alert_receiver import Clock

HOUR_S = 3600


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(tmp_path, clock):
    made = AlertBook(tmp_path / "alerts.db", sinks=["webhook"], clock=clock, node="n1")
    yield made
    made.close()


def queued(book):
    """What the sink is still to get: (kind, subject, state)."""
    return [(message.kind, message.subject, message.state) for message in book.pending()]


def test_one_message_per_change_however_often_somebody_looks(book, clock):
    for _ in range(100):
        book.alert("elo_drop", "square8_2p", "critical", "fell", {"drop": 120})
        clock.advance(2)
    assert queued(book) == [("elo_drop", "square8_2p", "firing")]
    for _ in range(100):
        book.resolve("elo_drop", "square8_2p")
        clock.advance(2)
    assert queued(book)[1:] == [("elo_drop", "square8_2p", "resolved")]
    assert book.alert("elo_drop", "square8_2p") is True  # a new episode is a new change
    assert len(queued(book)) == 3
    ids = [message.id for message in book.pending()]
    assert len(set(ids)) == 3
    assert ids[0].partition("-")[0] == ids[1].partition("-")[0] != ids[2].partition("-")[0]


def test_a_message_has_exactly_the_documented_keys(book):
    book.alert("sync_failure", "host-a", None, "no answer\nfor 5 min", {"count": 5, "bad": 1e400})
    route(book.connection(), ["webhook"])
    message = next_due(book.connection(), "webhook", book.clock()).body
    assert list(message) == [
        *("kind", "subject", "severity", "text", "values", "node", "time", "state", "id")
    ]
    assert message["text"] == "no answer for 5 min"
    assert message["values"] == {"count": 5, "bad": None}
    assert message["severity"] == "warning"
    assert (message["node"], message["state"]) == ("n1", "firing")
    assert message["time"] == "2027-01-15T08:00:00.000Z"


def test_what_goes_on_is_told_again_after_six_hours_unless_acknowledged(book, clock):
    book.alert("budget", "vast", None, "80 %")
    book.alert("api_auth", "vast", None, "401")
    clock.advance(6 * HOUR_S - 1)
    book.refresh()
    assert len(queued(book)) == 2
    book.ack(book.pending()[1].id)
    clock.advance(1)
    book.refresh()
    book.refresh()
    assert queued(book)[2:] == [("budget", "vast", "firing")]
    clock.advance(6 * HOUR_S)
    book.refresh()
    assert len(queued(book)) == 4
    book.resolve("api_auth", "vast")
    assert queued(book)[4:] == [("api_auth", "vast", "resolved")]


def test_a_mute_holds_back_what_begins_and_never_what_ends(book, clock):
    book.alert("spool_age", "a")
    book.mute("spool_age", 2 * HOUR_S)
    book.alert("spool_age", "b")
    book.alert("spool_age", "c")
    book.resolve("spool_age", "a")
    book.resolve("spool_age", "c")
    book.refresh()
    assert queued(book) == [("spool_age", "a", "firing"), ("spool_age", "a", "resolved")]
    clock.advance(2 * HOUR_S + 1)
    book.refresh()
    assert queued(book)[2:] == [("spool_age", "b", "firing")]  # it still fires
    book.mute("spool_age", 100)
    assert book.mute("spool_age", 0) is None
    assert book.mutes() == {}


def test_changes_that_are_told_are_counted(book):
    labels = {"kind": "crash_loop", "status": "firing"}
    before = process_metrics().value("ringrift_alerts_total", **labels) or 0
    book.alert("crash_loop", "n1")
    book.alert("crash_loop", "n1")
    book.mute("crash_loop", 60)
    book.alert("crash_loop", "n2")
    assert process_metrics().value("ringrift_alerts_total", **labels) == before + 1


def test_a_node_that_is_back_is_one_node_up(book):
    assert book.alert("node_up", "gpu1") is False  # it was never down
    book.alert("node_down", "gpu1", None, "silent for 91 s")
    assert book.alert("node_up", "gpu1", None, "back") is True
    assert book.resolve("node_down", "gpu1") is False
    assert queued(book) == [("node_down", "gpu1", "firing"), ("node_up", "gpu1", "resolved")]


def test_beyond_thirty_an_hour_changes_wait_for_one_digest(book, clock):
    for number in range(45):
        book.alert("dead_letter", f"batch-{number}")
        clock.advance(10)
    book.resolve("dead_letter", "batch-44")
    book.refresh()
    assert len(queued(book)) == MESSAGES_AN_HOUR
    assert book.held() == 16
    clock.advance(HOUR_S - 460)  # the first of the 30 is one hour old now
    book.refresh()
    assert len(queued(book)) == MESSAGES_AN_HOUR
    clock.advance(11)
    book.refresh()
    book.refresh()
    assert queued(book)[30:] == [("digest", "n1", "firing")]
    assert book.held() == 0
    digest = [row for (row,) in book.connection().execute("SELECT body FROM messages")][-1]
    for number in range(30, 45):
        assert f'"batch-{number}"' in digest
    assert digest.count('"resolved"') == 1
    book.alert("dead_letter", "later")  # the digest took the only free place of the hour
    assert book.held() == 1


def test_a_clock_set_back_blocks_nothing(book, clock):
    for number in range(30):
        book.alert("dead_letter", f"batch-{number}")
    clock.advance(-7 * 86_400)
    book.alert("conflict", "game-1")
    assert book.held() == 0
    assert queued(book)[-1] == ("conflict", "game-1", "firing")


def test_old_alerts_and_accepted_messages_go(book, clock):
    book.alert("conflict", "game-1")
    book.resolve("conflict", "game-1")
    book.connection().execute("DELETE FROM deliveries")
    clock.advance(15 * 86_400)
    book.refresh()
    assert book.alerts() == []
    assert book.connection().execute("SELECT count(*) FROM messages").fetchone() == (0,)


def test_ack_of_an_unknown_id_names_the_nearest(book):
    book.alert("conflict", "game-1")
    identity = book.alerts()[0].id
    wrong = identity[:-1] + ("0" if identity[-1] != "0" else "1")
    with pytest.raises(UsageError, match=identity):
        book.ack(wrong)
    assert book.ack(identity[:6]).acked_at_s == book.clock()


def test_another_schema_is_refused(tmp_path):
    path = tmp_path / "alerts.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(DataError, match="found schema 9"):
        AlertBook(path).alerts()


def test_the_functions_never_stop_their_caller(tmp_path, capsys):
    alerts.use_book(None)
    assert alerts.alert("conflict", "game-1", None, "only logged") is True
    assert alerts.resolve("conflict", "game-1") is False
    path = tmp_path / "alerts.db"
    path.write_bytes(b"no database at all" * 100)
    alerts.use_book(AlertBook(path))
    try:
        assert alerts.alert("conflict", "game-1", None, "text", {"n": 1}) is False
        assert alerts.resolve("conflict", "game-1") is False
    finally:
        alerts.use_book(None)
    assert "alert not kept" in capsys.readouterr().err


def test_a_database_that_another_process_is_just_making_is_waited_for(tmp_path, monkeypatch):
    whole, calls = alerts.open_sqlite, []

    def busy_twice(*words, **options):
        calls.append(1)
        if len(calls) < 3:
            raise BusyError("the database is busy")
        return whole(*words, **options)

    monkeypatch.setattr(alerts, "open_sqlite", busy_twice)
    book = AlertBook(tmp_path / "alerts.db")
    assert book.alerts() == []
    book.close()


TWENTY = """
import sys
from pathlib import Path
from ringrift.core.alerts import AlertBook
book = AlertBook(Path(sys.argv[1]), sinks=["webhook"])
for number in range(20):
    book.alert("conflict", f"game-{number}")
"""


def test_processes_that_see_the_same_make_one_message(tmp_path):
    path = tmp_path / "alerts.db"
    started = [
        subprocess.Popen([sys.executable, "-c", TWENTY, str(path)], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in started:
        assert process.communicate(timeout=60)[1].count(b"Traceback") == 0
        assert process.returncode == 0
    book = AlertBook(path)
    assert sorted(queued(book)) == sorted(
        ("conflict", f"game-{number}", "firing") for number in range(20)
    )
    book.close()


def test_importing_the_core_of_alerts_is_light():
    code = (
        "import sys, ringrift.core.alerts, ringrift.core.alert_sender\n"
        "heavy = {'torch', 'numba', 'structlog', 'psutil', 'pydantic', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
