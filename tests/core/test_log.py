"""Logs: keys, levels, rotation, and secrets that never reach a line."""

import json
import os
import subprocess
import sys

import pytest

from ringrift.core import hidden, log
from ringrift.core.log import JsonLines, bound, get_logger, hide_secret, setup_logging


@pytest.fixture(autouse=True)
def _restore(monkeypatch):
    monkeypatch.setattr(hidden, "_known", set())
    monkeypatch.setattr(hidden, "_ordered", ())
    yield
    setup_logging("ringrift", level="warning")


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_go_as_text_to_stderr_and_as_json_to_the_file(tmp_path, capsys):
    setup_logging("loop", level="info", folder=tmp_path, run="r1")
    logger = get_logger("ringrift.loop.control")
    logger.debug("hidden on stderr")
    logger.info("game finished", plies=12, winner=None, score=0.123456789)
    with bound(job="j7"):
        logger.warning("slow", seconds=3)
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert "info game finished" in first
    assert "plies=12" in first
    assert "0.123457" in first
    assert "job=j7" in second
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("loop-20")
    found = events(path)
    assert [event["level"] for event in found] == ["debug", "info", "warning"]
    assert {"ts", "level", "event", "component", "node", "run", "logger"} <= found[0].keys()
    assert found[0]["ts"].endswith("Z")
    assert "job" not in found[1]
    assert found[2]["job"] == "j7"


def test_json_format_writes_json_to_stderr(capsys):
    setup_logging("x", text=False)
    get_logger("a").info("hello", n=1)
    assert json.loads(capsys.readouterr().err)["n"] == 1


def test_exceptions_carry_their_traceback(capsys):
    setup_logging("x")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        get_logger("a").exception("failed")
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_secrets_are_replaced_by_value_and_by_key(capsys):
    setup_logging("x")
    hide_secret("tr0ub4dor")
    get_logger("a").bind(auth_token="zzz").info(
        "calling http://u:tr0ub4dor@h", nested={"api_key": "k", "list": ["tr0ub4dor!"]}
    )
    text = capsys.readouterr().err
    assert "tr0ub4dor" not in text
    assert "zzz" not in text
    assert "'k'" not in text
    assert text.count("***") == 4
    with pytest.raises(ValueError, match="fewer than"):
        hide_secret("abc")


class Failed(Exception):
    def __str__(self):
        return "no answer from http://h/x?token=tr0ub4dor"


def test_objects_and_tracebacks_are_searched_too(capsys, tmp_path):
    setup_logging("x", folder=tmp_path)
    hide_secret("tr0ub4dor")
    logger = get_logger("a")
    logger.info("lost", error=Failed(), path=tmp_path / "tr0ub4dor", several={Failed()})
    try:
        int("tr0ub4dor")
    except ValueError:
        logger.exception("failed")
    (path,) = tmp_path.iterdir()
    assert "tr0ub4dor" not in path.read_text() + capsys.readouterr().err
    assert "no answer from" in path.read_text()


def test_passwords_in_urls_are_hidden_though_nobody_announced_them(capsys):
    setup_logging("x")
    get_logger("a").info("via socks5h://user:p@ss@proxy:1080/x@y and http://plain/x@y")
    text = capsys.readouterr().err
    assert "via socks5h://***@proxy:1080/x@y and http://plain/x@y" in text


@pytest.mark.parametrize(
    ("name", "value", "quoted"),
    [
        ("RINGRIFT_CLUSTER_AUTH_TOKEN", "tok-4711-abc", "tok-4711-abc"),
        ("VAST_API_KEY", "k3y-4711", "k3y-4711"),
        ("SOMEONES_PASSWORD", "correct horse", "correct horse"),
        ("RINGRIFT_P2P__AUTH_TOKEN", "long-name-1", "long-name-1"),
        ("RINGRIFT_SOCKS_PROXY", "socks5://user:hunter2@h:1", "hunter2"),
        ("RINGRIFT_SOCKS_PROXY", "socks5://user:hunter%40@h:1", "hunter@"),
        ("HTTPS_PROXY", "http://user:hunter2@h:1", "user:hunter2"),
        ("RINGRIFT_WEBHOOK_URL", "https://h/hooks/T0K3NT0K3N", "POST /hooks/T0K3NT0K3N"),
        ("RINGRIFT_WEBHOOK_URL", "https://h/hooks/T0K3NT0K3N", "T0K3NT0K3N"),
        ("RINGRIFT_WEBHOOK_URL", "https://h/hooks?key=s3cr%20t", "key=s3cr%20t"),
        ("RINGRIFT_SLACK_WEBHOOK_URL", "https://h/hooks?key=s3cr%20t", "s3cr t"),
    ],
)
def test_secrets_of_the_environment_are_known_whole_and_in_parts(
    capsys, monkeypatch, name, value, quoted
):
    monkeypatch.setenv(name, value)
    setup_logging("x")
    get_logger("a").info(f"it said: {quoted}", whole=value)
    text = capsys.readouterr().err
    assert quoted not in text
    assert value not in text
    assert "***" in text


def test_words_of_a_url_without_a_token_stay_readable(capsys, monkeypatch):
    monkeypatch.setenv("RINGRIFT_WEBHOOK_URL", "http://127.0.0.1:9/alerts")
    setup_logging("x")
    get_logger("a").info("wrote data/coordination/alerts.db")
    assert "data/coordination/alerts.db" in capsys.readouterr().err


@pytest.mark.parametrize("third_party", [True, False])
def test_other_libraries_lines_lose_their_secrets_too(third_party):
    code = (
        "import logging; from ringrift.core.log import get_logger, setup_logging\n"
        f"setup_logging('x', level='debug', third_party={third_party})\n"
        "get_logger('a').info('begin')\n"
        "try: raise OSError('cannot reach h/T0K3NT0K3N')\n"
        "except OSError: logging.getLogger('lib').warning('to %s', 'T0K3NT0K3N', exc_info=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "RINGRIFT_CLUSTER_AUTH_TOKEN": "T0K3NT0K3N"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "to ***" in done.stderr
    assert "cannot reach h/***" in done.stderr
    assert "T0K3N" not in done.stderr


def test_files_rotate_by_size_and_old_ones_go(tmp_path):
    sink = JsonLines(tmp_path, "c", rotate_bytes=200)
    for number in range(400):
        sink.write({"event": "x" * 50, "n": number})
    sink.close()
    files = list(tmp_path.iterdir())
    assert 2 <= len(files) <= log.KEEP_FILES
    assert all(path.stat().st_size <= 400 for path in files)
    last = max(event["n"] for path in files for event in events(path))
    assert last == 399


def test_files_older_than_two_weeks_go_at_rotation(tmp_path):
    old = tmp_path / "c-20200101.jsonl"
    old.write_text("{}\n")
    os.utime(old, (0, 0))
    sink = JsonLines(tmp_path, "c", rotate_bytes=10)
    sink.write({"n": 1})
    sink.write({"n": 2})
    sink.write({"n": 3})
    assert not old.exists()


def test_two_processes_share_a_file_without_torn_lines(tmp_path):
    code = (
        "import sys; from pathlib import Path; from ringrift.core.log import JsonLines\n"
        "sink = JsonLines(Path(sys.argv[1]), 'c')\n"
        "for n in range(300): sink.write({'n': n, 'pad': 'y' * 500})"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    (path,) = tmp_path.iterdir()
    assert sorted(event["n"] for event in events(path)) == sorted([*range(300)] * 2)


def test_a_logger_costs_nothing_before_its_first_event():
    code = (
        "import sys; from ringrift.core.log import get_logger; get_logger('x').debug('no'); "
        "assert 'structlog' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
