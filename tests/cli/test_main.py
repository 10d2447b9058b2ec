"""The conventions of every command: exit codes, errors, global options, help."""

import json
import resource
import subprocess
import sys

import pytest

from ringrift.cli.main import GROUPS

CODES = {
    "negative": 1,
    "usage": 2,
    "not-running": 3,
    "refused": 4,
    "data": 6,
    "defect": 70,
    "busy": 75,
    "settings": 78,
    "interrupted": 130,
    "aborted": 130,
    "terminated": 143,
    "disk-full": 75,
    "forbidden": 2,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_each_error_ends_with_its_code_and_one_line(ringrift, name, code):
    found, out, err = ringrift("probe", "fail", name)
    assert found == code
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_in_json_mode_the_error_is_an_object_too(ringrift, name, code):
    found, out, err = ringrift("probe", "fail", name, "--json")
    assert found == code
    answer = json.loads(out)
    assert answer["ok"] is False
    assert answer["schema"] == 1
    assert answer["command"] == "probe fail"
    assert answer["error"].keys() >= {"code", "message", "where", "hint"}
    assert answer["error"]["code"] == code
    assert err.startswith("error: ")


def test_the_line_has_what_where_and_hint(ringrift):
    _, _, err = ringrift("probe", "fail", "data")
    assert err == "error: what went wrong (file:3 key); try something else\n"


@pytest.mark.parametrize("code", [0, 1, 5])
def test_a_command_may_print_its_result_and_choose_the_code(ringrift, code):
    found, out, err = ringrift("probe", "exit", code, "--json")
    assert found == code
    assert json.loads(out) == {
        "schema": 1,
        "command": "probe exit",
        "ok": code == 0,
        "code": code,
    }
    assert err == ""


def test_a_defect_leaves_a_log_with_the_traceback(ringrift, tmp_path):
    (tmp_path / ".ringrift-root").write_text("")
    (tmp_path / "logs").mkdir()
    code, _, err = ringrift("probe", "fail", "defect")
    assert code == 70
    (report,) = (tmp_path / "logs").glob("ringrift-defect-*.log")
    assert str(report) in err
    assert "ZeroDivisionError" in report.read_text()


def test_verbose_shows_the_traceback(ringrift):
    _, _, err = ringrift("probe", "fail", "data", "-v")
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["confg"], "config"),
        (["config", "shw"], "show"),
        (["config", "show", "--jsn"], "--json"),
        (["config", "show", "--section", "promtion"], "promotion"),
        (["probe", "table", "--rows", "many"], "--rows"),
        (["probe", "files"], "--jsonl"),
        (["probe", "table", "extra"], "extra"),
        (["--color", "blue", "config", "show"], "--color"),
    ],
)
def test_unknown_words_are_usage_errors_with_the_nearest_names(ringrift, arguments, wanted):
    code, out, err = ringrift(*arguments)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert wanted in line


def test_usage_errors_are_json_objects_even_before_options_are_parsed(ringrift):
    code, out, _ = ringrift("config", "--nope", "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == 2


@pytest.mark.parametrize("place", [0, 1, 2])
def test_global_options_stand_before_the_group_or_after_the_command(ringrift, place):
    words = ["probe", "table"]
    words.insert(place, "--json")
    code, out, _ = ringrift(*words)
    assert code == 0
    assert json.loads(out)["rows"] == 3


def test_root_comes_from_every_level(ringrift, tmp_path):
    for words in (["--root", "r1", "probe", "root"], ["probe", "root", "--ringrift-path", "r1"]):
        code, out, _ = ringrift("--json", *words)
        assert code == 0
        assert json.loads(out)["root"] == str(tmp_path / "r1")
    assert (tmp_path / "r1" / ".ringrift-root").is_file()


def test_without_root_terminal_and_yes_the_exit_is_2_and_says_so(ringrift, tmp_path):
    code, _, err = ringrift("probe", "root")
    assert code == 2
    assert "--yes" in err
    assert list(tmp_path.iterdir()) == []
    assert ringrift("probe", "root", "--yes")[0] == 0
    assert (tmp_path / ".ringrift-root").is_file()


def test_a_confirmation_without_a_terminal_names_yes(ringrift):
    code, _, err = ringrift("probe", "ask")
    assert code == 2
    assert "--yes" in err
    assert json.loads(ringrift("probe", "ask", "--yes", "--json")[1])["answer"] is True


def test_bad_settings_exit_78_with_every_problem(ringrift, tmp_path):
    (tmp_path / "bad.yaml").write_text("training:\n  batch_sze: 3\n  max_reuse: x\n")
    code, out, err = ringrift("config", "show", "--config", "bad.yaml", "--json")
    assert code == 78
    lines = err.splitlines()
    assert len(lines) == 2
    assert "bad.yaml:2" in lines[0]
    assert lines[0].endswith("try batch_size")
    problems = json.loads(out)["error"]["problems"]
    assert [problem["code"] for problem in problems] == [78, 78]


@pytest.mark.parametrize("name", ["RINGRIFT_LOG_LEVEL", "RINGRIFT_LOG_FORMAT"])
def test_bad_log_variables_exit_78(ringrift, monkeypatch, name):
    monkeypatch.setenv(name, "loud")
    code, _, err = ringrift("probe", "table")
    assert code == 78
    assert name in err


@pytest.mark.parametrize("words", [[], ["config"], ["config", "show"], ["probe", "files"]])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_everywhere(ringrift, words, option):
    code, out, err = ringrift(*words, option)
    assert code == 0
    assert "Usage: ringrift" in out
    assert err == ""
    assert max(len(line) for line in out.splitlines()) <= 100


def test_the_program_alone_prints_its_help_as_a_usage_error(ringrift):
    code, out, err = ringrift()
    assert code == 2
    assert "Usage: ringrift" in out + err


def test_first_lines_of_help_are_short_and_end_with_a_point(ringrift):
    del ringrift
    assert all(len(text) <= 72 and text.endswith(".") for text in GROUPS.values())


def test_version_names_the_parts(ringrift):
    assert ringrift("--version")[1].startswith("ringrift ")
    answer = json.loads(ringrift("--version", "--json")[1])
    assert answer.keys() >= {"version", "rules_hash", "python", "torch", "cuda", "commit"}


LIGHT = """
import sys
{code}
heavy = sorted({{"torch", "numba", "scipy", "numpy"}} & set(sys.modules))
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "code",
    [
        "import ringrift.cli.main",
        "from ringrift.cli.main import run; assert run(['--help']) == 0",
        "from ringrift.cli.main import run; assert run(['--version', '--json']) == 0",
        "from ringrift.cli.main import run; assert run(['config', 'show']) == 0",
    ],
)
def test_the_command_line_loads_nothing_heavy(code, tmp_path):
    subprocess.run(
        [sys.executable, "-c", LIGHT.format(code=code)],
        check=True,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )


def processor_s(words, folder):
    """Return the processor seconds of a program: a busy machine makes the clock run on, not these."""

    def children_s():
        use = resource.getrusage(resource.RUSAGE_CHILDREN)
        return use.ru_utime + use.ru_stime

    before_s = children_s()
    subprocess.run([sys.executable, *words], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return children_s() - before_s


@pytest.mark.timed
def test_help_is_quick(tmp_path):
    """0.25 s where what lays it out loads in 0.14 s: a slower machine takes longer for both."""
    ours, theirs = [], []
    for _ in range(8):
        theirs.append(processor_s(["-c", "import typer.rich_utils"], tmp_path))
        ours.append(
            processor_s(["-c", "from ringrift.cli.main import main; main()", "--help"], tmp_path)
        )
    assert min(ours) < 0.25 / 0.14 * min(theirs), (ours, theirs)


@pytest.mark.timed
@pytest.mark.parametrize("module", ["errors", "paths", "files", "ids", "log", "interrupt"])
def test_core_modules_import_in_80_ms(module):
    code = (
        "import time; start = time.process_time(); "
        f"import ringrift.core.{module}; print(time.process_time() - start)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(6)
    ]
    assert min(seconds) < 0.08, seconds
