"""Secrets stay secret: planted in the environment, looked for in everything that is written."""

import json
import subprocess
import sys

import pytest
from tests.unhurried import without_settings

from .alert_receiver import receiving

# Each stands for one kind of secret, and none may be found anywhere, whole or in part.
PLANTED = {
    "webhook": "WHOOKT0K3N7f3a9",
    "slack": "SLACKT0K3N81bc2",
    "auth": "AUTHT0K3N44d0e1",
    "vast": "VASTK3Y90aa1cd5",
    "lambda": "LAMBDAK3Y6c11e7",
    "proxy": "PR0XYPASSW0RD12",
}

PROGRAM = "from ringrift.cli.main import main; main()"

# What a process does that alerts about its own troubles, as loops and agents do.
ALERTING = """
import sys, os
from pathlib import Path
from ringrift.core import alerts
from ringrift.core.alert_sender import alerting
from ringrift.core.log import get_logger, setup_logging
from ringrift.core.paths import Paths
from ringrift.core.settings_loader import load_settings
paths = Paths(Path(sys.argv[1]))
paths.create()
setup_logging("loop", level="debug", folder=paths.logs)
everything = " ".join(os.environ[name] for name in sys.argv[2:])
with alerting(paths, load_settings().values.alerting) as book:
    alerts.alert("api_auth", everything, None, f"refused {everything}", {"said": everything})
    get_logger("loop").error("could not call", url=everything, auth_token=everything)
    while not any(message.attempts for message in book.pending()):
        pass
"""

# A defect in the middle of a command, with the secret in the exception as libraries put it there.
CRASH = """
from ringrift.core import alert_sinks
def post(sink, message, **options):
    raise RuntimeError(f"cannot use {sink.url} or ~~~")
alert_sinks.post = post
from ringrift.cli.main import main; main()
"""


@pytest.fixture
def environ(tmp_path):
    with receiving() as receiver:
        receiver.behave = lambda _: (500, 0)
        (tmp_path / "tmp").mkdir()
        yield {
            **without_settings(),
            "TMPDIR": str(tmp_path / "tmp"),
            "RINGRIFT_ROOT": str(tmp_path / "root"),
            "RINGRIFT_WEBHOOK_URL": f"{receiver.url}/services/{PLANTED['webhook']}",
            "RINGRIFT_SLACK_WEBHOOK_URL": f"http://127.0.0.1:9/hook?token={PLANTED['slack']}",
            "RINGRIFT_CLUSTER_AUTH_TOKEN": PLANTED["auth"],
            "VAST_API_KEY": PLANTED["vast"],
            "LAMBDA_API_KEY": PLANTED["lambda"],
            "RINGRIFT_SOCKS_PROXY": f"socks5://user:{PLANTED['proxy']}@127.0.0.1:9",
        }


def run(environ, *arguments, code=PROGRAM):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_nowhere(done, folder):
    for name, secret in PLANTED.items():
        assert secret not in done.stdout, f"{name} on standard output"
        assert secret not in done.stderr, f"{name} on standard error"
        for path in folder.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), f"{name} in {path.name}"


@pytest.mark.parametrize(
    "words",
    [
        ["config", "show", "--json"],
        ["config", "show", "--origin", "-vv"],
        ["config", "env", "--all"],
        ["config", "env", "--all", "--json", "-v"],
        ["config", "validate", "-v"],
        ["--version", "--json"],
    ],
)
def test_no_command_shows_what_the_environment_hides(environ, tmp_path, words):
    done = run(environ, *words)
    assert done.returncode == 0, done.stderr
    assert_nowhere(done, tmp_path)


@pytest.mark.parametrize("words", [["-vv"], ["--json", "-v", "--log-format", "json"]])
def test_a_failing_sink_is_reported_without_its_address(environ, tmp_path, words):
    done = run(environ, "node", "alerts", "test", *words)
    assert done.returncode == 1, done.stderr
    assert "answered 500" in done.stdout
    assert "connection refused" in done.stdout
    assert_nowhere(done, tmp_path)


def test_alerts_and_logs_of_a_running_process_keep_no_secret(environ, tmp_path):
    names = [name for name, text in environ.items() if any(s in text for s in PLANTED.values())]
    assert len(names) == len(PLANTED)
    done = run(environ, environ["RINGRIFT_ROOT"], *names, code=ALERTING)
    assert done.returncode == 0, done.stderr
    assert "alert firing" in done.stderr
    assert_nowhere(done, tmp_path)
    listed = run(environ, "node", "alerts", "list", "--json")
    answer = json.loads(listed.stdout)
    assert {message["sink"] for message in answer["pending"]} == {"webhook", "slack"}
    assert {message["last_error"] for message in answer["pending"]} <= {
        "answered 500",
        "connection refused",
        None,
    }
    assert_nowhere(listed, tmp_path)
    assert_nowhere(run(environ, "node", "alerts", "list"), tmp_path)


@pytest.mark.parametrize("words", [[], ["-vv"], ["--json"]])
@pytest.mark.parametrize("with_root", [True, False])
def test_the_report_of_a_defect_keeps_no_secret(environ, tmp_path, words, with_root):
    if with_root:
        assert run(environ, "config", "init", environ["RINGRIFT_ROOT"]).returncode == 0
    code = CRASH.replace("~~~", " ".join(PLANTED.values()))
    environ = {**environ, "PYTHONSAFEPATH": "1"}
    done = run(environ, "node", "alerts", "test", *words, code=code)
    assert done.returncode == 70, done.stderr
    reports = list(tmp_path.rglob("ringrift-defect-*.log"))
    assert len(reports) == 1
    assert "RuntimeError: cannot use ***" in reports[0].read_text()
    assert_nowhere(done, tmp_path)
