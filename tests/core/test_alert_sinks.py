"""One POST to a real server: what counts as accepted, what is said of a failure, and no address."""

import http.client
import socket
import threading
import time

import pytest

from ringrift.core import hidden
from ringrift.core.alert_sinks import DeliveryFailed, Sink, as_text, configured_sinks, post
from ringrift.core.errors import SettingsError
from ringrift.core.settings.control import Alerting
from ringrift.core.settings.secrets import Secret
from ringrift.core.settings_loader import load_settings

from .alert_receiver import receiving

MESSAGE = {
    "kind": "elo_drop",
    "subject": "square8_2p",
    "severity": "critical",
    "text": "a < b & c",
    "values": {"drop": 120.0},
    "node": "n1",
    "time": "2027-01-15T08:00:00.000Z",
    "state": "firing",
    "id": "0123456789ab-1",
}


def failure(url, **options):
    with pytest.raises(DeliveryFailed) as caught:
        post(Sink(name="webhook", url=url), MESSAGE, **options)
    error = caught.value
    assert error.__cause__ is None  # the libraries' errors quote the address
    assert error.__context__ is None
    return error


def sinks_of(**addresses):
    """The sinks of an environment, by way of the settings as commands read them."""
    names = {"webhook": "RINGRIFT_WEBHOOK_URL", "slack": "RINGRIFT_SLACK_WEBHOOK_URL"}
    environ = {names[name]: url for name, url in addresses.items()}
    settings = load_settings(environ=environ).values.alerting
    return configured_sinks(settings, environ=environ)


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch):
    monkeypatch.setattr(hidden, "_known", set())
    monkeypatch.setattr(hidden, "_ordered", ())


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


def test_the_webhook_gets_the_object_and_slack_a_text(receiver):
    for sink in sinks_of(
        webhook=f"{receiver.url}?key=abc", slack=f"http://127.0.0.1:{receiver.port}/slack "
    ):
        post(sink, MESSAGE)
    (path, body, _), (slack_path, slack, _) = receiver.posts
    assert (path, body) == ("/hook?key=abc", MESSAGE)
    assert slack_path == "/slack"
    assert slack == {"text": as_text(MESSAGE)}
    assert "[firing] critical elo_drop square8_2p: a &lt; b &amp; c" in slack["text"]


@pytest.mark.parametrize(
    ("status", "this_message"),
    [(500, False), (503, False), (404, False), (429, False), (400, True), (413, True)],
)
def test_every_other_answer_is_a_failure(receiver, status, this_message):
    receiver.behave = lambda _: (status, 0)
    receiver.headers = {"Retry-After": "7"}
    error = failure(receiver.url)
    assert error.reason == f"answered {status}"
    assert error.this_message is this_message
    assert error.retry_after_s == 7.0


def test_redirects_are_not_followed(receiver):
    receiver.behave = lambda _: (302, 0)
    receiver.headers = {"Location": receiver.url}
    assert "redirects are not followed" in failure(receiver.url).reason
    assert len(receiver.posts) == 1


@pytest.mark.timed
def test_a_slow_answer_ends_at_the_timeout(receiver):
    receiver.behave = lambda _: (200, 5)
    started_s = time.monotonic()
    assert failure(receiver.url, timeout_s=0.3).reason in {
        "no answer within 0.3 s",
        "no answer in time",
    }
    assert time.monotonic() - started_s < 2


@pytest.mark.timed
def test_an_answer_that_drips_ends_at_the_timeout_too():
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip():
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.05):
                try:
                    connection.sendall(b"H" if ended.is_set() else b"X")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    started_s = time.monotonic()
    error = failure(f"http://127.0.0.1:{listener.getsockname()[1]}/x", timeout_s=0.5)
    assert error.reason == "no answer within 0.5 s"
    assert time.monotonic() - started_s < 3
    ended.set()
    thread.join(5)
    listener.close()


def test_who_is_not_there_and_who_hangs_up(receiver):
    receiver.behave = lambda _: (0, 0)
    assert failure(receiver.url).reason == "hung up without an answer"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(f"http://127.0.0.1:{port}/tok3n").reason == "connection refused"
    assert "TLS" in failure(f"https://127.0.0.1:{receiver.port}/x").reason


def test_a_password_in_the_address_is_sent_as_basic_authorization(receiver, monkeypatch):
    seen = []
    whole = http.client.HTTPConnection.request
    monkeypatch.setattr(
        http.client.HTTPConnection,
        "request",
        lambda self, *words: (seen.append(words[3]), whole(self, *words))[1],
    )
    url = f"http://us%40er:pw@127.0.0.1:{receiver.port}/hook"
    post(Sink(name="webhook", url=url), MESSAGE)
    assert seen[0]["Authorization"] == "Basic dXNAZXI6cHc="


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/s3cret",
        "s3cret",
        "http://",
        "http://host:99999/s3cret",
        "http://host/s3 cret",
        "http://host/s3cret\u00e9",
        "http://[s3cret",
    ],
)
def test_a_bad_address_is_a_settings_error_that_does_not_show_it(url):
    with pytest.raises(SettingsError) as caught:
        sinks_of(webhook=url)
    assert "RINGRIFT_WEBHOOK_URL" in str(caught.value)
    assert "s3" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_empty_variable_is_no_sink_and_no_object_shows_its_address():
    assert sinks_of(webhook=" ") == ()
    (sink,) = sinks_of(webhook="https://h/s3cret")
    assert "s3cret" not in repr(sink)


def test_an_address_may_stand_in_a_file_of_its_owner(tmp_path):
    (tmp_path / "hook").write_text("https://h/s3cret\n")
    settings = Alerting(webhook_url=Secret("file:hook"))
    with pytest.raises(SettingsError, match="0600"):
        configured_sinks(settings, root=tmp_path)
    (tmp_path / "hook").chmod(0o600)
    assert configured_sinks(settings, root=tmp_path)[0].url == "https://h/s3cret"
