"""`ringrift node alerts`: what it lists, whom it asks, and what it keeps to itself."""

import json

import pytest

from ringrift.core import hidden
from ringrift.core.alert_sender import AlertSender
from ringrift.core.alert_sinks import Sink
from ringrift.core.alerts import AlertBook

from ..core.alert_receiver import receiving


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch):
    monkeypatch.setattr(hidden, "_known", set())
    monkeypatch.setattr(hidden, "_ordered", ())


@pytest.fixture
def root(ringrift, tmp_path):
    assert ringrift("config", "init")[0] == 0
    return tmp_path


@pytest.fixture
def book(root):
    made = AlertBook(root / "data" / "coordination" / "alerts.db", sinks=["webhook"], node="n1")
    yield made
    made.close()


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


def answer(ringrift, *words, code=0):
    found, out, err = ringrift("node", "alerts", *words, "--json")
    assert found == code, err
    return json.loads(out)


def test_list_of_a_new_root_is_empty_and_makes_nothing(ringrift, root):
    assert answer(ringrift, "list")["alerts"] == []
    assert "no alerts so far" in ringrift("node", "alerts", "list")[1]
    assert not (root / "data" / "coordination" / "alerts.db").exists()


def test_list_shows_states_and_what_is_pending_without_an_address(ringrift, book, receiver):
    receiver.behave = lambda _: (500, 0)
    book.alert("elo_drop", "square8_2p", None, "fell by 120 Elo", {"drop": 120})
    book.alert("spool_age", "n1")
    book.alert("conflict", "game-1")
    book.resolve("conflict", "game-1")
    book.ack(next(alert.id for alert in book.alerts() if alert.kind == "elo_drop"))
    book.mute("spool_age", 7200)
    AlertSender(book, [Sink(name="webhook", url=receiver.url)]).deliver()
    found = answer(ringrift, "list")
    states = {alert["kind"]: alert for alert in found["alerts"]}
    assert states["elo_drop"]["acked_at"] is not None
    assert states["elo_drop"]["values"] == {"drop": 120}
    assert states["spool_age"]["muted_until"] is not None
    assert states["conflict"]["state"] == "resolved"
    assert [mute["kind"] for mute in found["mutes"]] == ["spool_age"]
    assert [message["attempts"] for message in found["pending"]] == [1, 0, 0, 0]
    assert found["pending"][0]["last_error"] == "answered 500"
    assert len(answer(ringrift, "list", "--firing")["alerts"]) == 2
    text = ringrift("node", "alerts", "list")[1]
    assert "firing, acked" in text
    assert "firing, muted" in text
    assert "answered 500" in text
    assert str(receiver.port) not in text + json.dumps(found)


def test_test_says_per_sink_who_accepted(ringrift, root, receiver, monkeypatch):
    monkeypatch.setenv("RINGRIFT_WEBHOOK_URL", f"{receiver.url}?key=tr0ub4dor")
    assert answer(ringrift, "test", "--dry-run")["sinks"][0]["accepted"] is None
    assert receiver.posts == []
    found = answer(ringrift, "test")
    assert [(sink["sink"], sink["accepted"]) for sink in found["sinks"]] == [("webhook", True)]
    (body,) = receiver.accepted
    assert (body["kind"], body["state"], body["id"]) == ("test", "firing", found["id"])
    monkeypatch.setenv("RINGRIFT_SLACK_WEBHOOK_URL", "http://127.0.0.1:9/tr0ub4dor")
    found = answer(ringrift, "test", code=1)
    assert found["ok"] is False
    assert [sink["reason"] for sink in found["sinks"]] == [None, "connection refused"]
    code, out, err = ringrift("node", "alerts", "test", "-vv")
    assert code == 1
    assert "failed: connection refused" in out
    assert "tr0ub4dor" not in out + err
    assert not (root / "data" / "coordination" / "alerts.db").exists()


def test_test_without_a_sink_has_nothing_to_do(ringrift, root):
    code, out, err = ringrift("node", "alerts", "test", "--json")
    assert (code, json.loads(out)["sinks"]) == (0, [])
    assert "RINGRIFT_WEBHOOK_URL" in err


def test_a_bad_address_is_78_and_not_shown(ringrift, root, monkeypatch):
    monkeypatch.setenv("RINGRIFT_WEBHOOK_URL", "ftp://host/tr0ub4dor")
    code, _, err = ringrift("node", "alerts", "test")
    assert code == 78
    assert "RINGRIFT_WEBHOOK_URL" in err
    assert "tr0ub4dor" not in err


def test_ack_takes_an_id_a_message_or_a_kind(ringrift, book):
    for subject in ("a", "b", "c"):
        book.alert("budget", subject)
    first, second, third = (alert.id for alert in book.alerts())
    assert answer(ringrift, "ack", first[:8], "--dry-run")["alerts"][0]["acked_at"] is None
    assert answer(ringrift, "ack", first[:8])["alerts"][0]["acked_at"] is not None
    assert answer(ringrift, "ack", f"{second}-1")["alerts"][0]["id"] == second
    assert len(answer(ringrift, "ack", "budget")["alerts"]) == 3
    assert next(alert for alert in book.alerts() if alert.id == third).acked_at_s is not None
    assert "nothing of conflict fires" in ringrift("node", "alerts", "ack", "conflict")[1]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["ack", "ffffffffffff"], "none starts with"),
        (["ack", "bugdet"], "budget"),
        (["mute", "elo_dorp", "--for", "2h"], "elo_drop"),
        (["mute", "elo_drop", "--for", "2 weeks"], "expected a time"),
        (["mute", "elo_drop", "--for", "31d"], "at most 30d"),
        (["mute", "elo_drop", "--for", ""], "expected a time"),
    ],
)
def test_unknown_ids_kinds_and_times_are_2(ringrift, book, words, named):
    book.alert("budget", "a")
    code, _, err = ringrift("node", "alerts", *words)
    assert code == 2
    assert named in err


def test_mute_begins_and_ends(ringrift, book):
    assert answer(ringrift, "mute", "budget", "--for", "1d12h30m5s", "--dry-run")["until"]
    assert book.mutes() == {}
    assert answer(ringrift, "mute", "budget", "--for", "2h")["until"].endswith("Z")
    assert 7190 < book.mutes()["budget"] - book.clock() <= 7200
    assert answer(ringrift, "mute", "budget", "--for", "0")["until"] is None
    assert book.mutes() == {}


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "--firing", "--json"],
        ["test"],
        ["test", "--dry-run"],
        ["ack", "spool_age"],
        ["ack", "elo_drop", "--dry-run"],
        ["mute", "spool_age", "--for", "2h"],
        ["mute", "spool_age", "--for", "0"],
    ],
)
def test_the_examples_of_the_help_run(ringrift, root, words):
    assert ringrift("node", "alerts", *words)[0] == 0
    code, out, _ = ringrift("node", "alerts", words[0], "--help")
    assert code == 0
    assert "Examples: ringrift node alerts" in out
