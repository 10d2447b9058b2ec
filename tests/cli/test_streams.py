"""Standard output carries only the result: pipes, colour, progress, signals, log files."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.cli import output
from ringrift.cli.output import Output, shown, wants_color

PROBE = f"""
import importlib.machinery, sys, types
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.cli import conftest
module = types.ModuleType("ringrift.cli.probe")
module.app = conftest.probe
module.__spec__ = importlib.machinery.ModuleSpec("ringrift.cli.probe", None)
sys.modules["ringrift.cli.probe"] = module
from ringrift.cli import main
main.GROUPS["probe"] = "Probe."
main.main()
"""


class FakeStream:
    def __init__(self, terminal):
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize(
    ("choice", "environ", "terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": ""}, True, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_who_decides_about_colour(choice, environ, terminal, wanted):
    assert wants_color(choice, FakeStream(terminal), environ) is wanted


@pytest.mark.parametrize("words", [["--help"], ["config", "show"], ["probe", "table"]])
def test_no_escape_codes_without_a_terminal_or_with_no_color(ringrift, words, monkeypatch):
    assert "\x1b" not in ringrift(*words)[1]
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" not in ringrift(*words)[1]


def test_always_colours_a_table_head(ringrift):
    assert "\x1b[" in ringrift("probe", "table", "--color", "always")[1]


def test_missing_values_are_shown_as_unknown(ringrift):
    assert "unknown" in ringrift("probe", "table")[1]
    assert [shown(value) for value in (None, True, 12345, 0.123456, "x")] == [
        "unknown",
        "yes",
        "12,345",
        "0.1235",
        "x",
    ]


def test_streams_are_one_object_a_line(ringrift):
    _, out, _ = ringrift("probe", "lines", 3, "--json")
    assert [json.loads(line) for line in out.splitlines()] == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize("arguments", [["probe", "lines", "200000"], ["config", "show", "--json"]])
def test_a_closed_pipe_ends_quietly_with_0(tmp_path, arguments):
    reader, writer = os.pipe()
    program = subprocess.Popen(
        [sys.executable, "-c", PROBE, *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    )
    os.close(writer)
    if arguments[1] == "lines":
        os.read(reader, 10)
    os.close(reader)
    assert program.stderr is not None
    err = program.stderr.read()
    assert program.wait() == 0
    assert err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_bounded_command_with_its_code(tmp_path, number, code):
    program = subprocess.Popen(
        [sys.executable, "-c", PROBE, "probe", "work", "--seconds", "50", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    )
    time.sleep(1.5)
    program.send_signal(number)
    out, err = program.communicate(timeout=20)
    assert program.returncode == code
    assert json.loads(out)["error"]["code"] == code
    assert "kept" in err


def test_progress_without_a_terminal_is_a_line_each_10_s(ringrift, monkeypatch):
    assert ringrift("probe", "work") == (0, "done\n", "")
    monkeypatch.setattr(output, "LINE_EVERY_S", 0.0)
    code, out, err = ringrift("probe", "work")
    assert (code, out) == (0, "done\n")
    assert err.startswith("playing: 1/5 games")
    for quiet in ("-q", "--no-progress"):
        assert ringrift("probe", "work", quiet)[2] == ""


def test_progress_on_a_terminal_draws_bars_on_stderr_only(tmp_path):
    leader, follower = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", PROBE, "probe", "work", "--seconds", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=follower,
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(follower)
    drawn = b""
    try:
        while chunk := os.read(leader, 4096):
            drawn += chunk
    except OSError:  # Linux reports the closed terminal as an error
        pass
    assert program.stdout is not None
    assert json.loads(program.stdout.read())["done"] == 5
    assert program.wait() == 0
    assert b"playing" in drawn
    assert b"/5" in drawn


def test_the_log_file_gets_json_lines_and_verbose_leaves_stdout_alone(
    ringrift, tmp_path, monkeypatch
):
    monkeypatch.setenv("RINGRIFT_ROOTT", "x")
    code, out, err = ringrift("config", "show", "--json", "-v", "--log-file", "log.jsonl")
    assert code == 0
    assert json.loads(out)["ok"] is True
    assert "RINGRIFT_ROOTT" in err
    (event,) = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert event["level"] == "warning"
    assert event["component"] == "config"
    _, _, err = ringrift("config", "show", "--json", "--log-format", "json")
    assert json.loads(err)["level"] == "warning"
    assert ringrift("config", "show", "--json", "-q")[2] == ""


def test_result_prints_what_the_caller_hands_it(capsys):
    Output().result({}, human=lambda console: console.print("drawn"))
    Output().result({}, human=None)
    assert capsys.readouterr().out == "drawn\n"
