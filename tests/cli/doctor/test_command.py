"""The command `ringrift doctor`: its result, its exit code and its time."""

import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.core.paths import Paths

# The checks share the time a run has: on a busy machine those that are left get none.
pytestmark = pytest.mark.timed


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    paths = Paths(tmp_path / "root")
    paths.create()
    return paths.root


def run(spawn, *words, **popen):
    began_s = time.monotonic()
    process = spawn("doctor", *words, **popen)
    out, err = process.communicate(timeout=90)
    return process.returncode, out, err, time.monotonic() - began_s


def answer_of(out):
    answer = json.loads(out)
    assert answer["command"] == "doctor"
    assert set(answer) == {
        "schema",
        "command",
        "ok",
        "checks",
        "counts",
        "repaired",
        "quick",
        "left_out",
        "seconds",
    }
    for line in answer["checks"]:
        assert set(line) == {"check", "state", "seen", "remedy"}
        assert (line["remedy"] is None) == (line["state"] == "ok")
    return answer


def states(answer, state):
    return {line["check"] for line in answer["checks"] if line["state"] == state}


@pytest.mark.slow
def test_quick_takes_five_seconds_at_most_and_is_green_here(spawn, root):
    """The best of three, since other tests use the same cores."""
    times = []
    for _ in range(3):
        code, out, err, took_s = run(spawn, "--quick", "--root", str(root), "--json")
        answer = answer_of(out)
        assert (code, answer["ok"]) == (0, True), answer
        assert answer["seconds"] <= 4.7
        assert "Traceback" not in err
        assert {"wheel", "libraries", "numba", "torch", "jetstream"} == set(answer["left_out"])
        times.append(took_s)
        if took_s <= 5.0:
            break
    print(times)
    assert min(times) <= 5.0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_full_run_is_green_here_within_a_minute(spawn, root):
    code, out, err, took_s = run(spawn, "--root", str(root))
    print(out)
    assert code == 0, out
    assert took_s <= 60.0
    assert "Traceback" not in err
    for name in ("python", "libraries", "jetstream", "perft", "torch", "matrix-product"):
        assert re.search(rf"^ *ok +{name} ", out, re.MULTILINE), name
    assert re.search(r"^\d+ ok, \d+ warn, 0 fail in ", out, re.MULTILINE)


@pytest.mark.slow
def test_without_a_gpu_asking_for_one_is_exit_1(spawn, root):
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    code, out, _, _ = run(spawn, "--quick", "--gpu", "--root", str(root), "--json")
    answer = answer_of(out)
    assert (code, answer["ok"]) == (1, False)
    assert states(answer, "fail") == {"gpu"}
    (line,) = [line for line in answer["checks"] if line["check"] == "gpu"]
    assert "no CUDA device" in line["seen"]


@pytest.mark.slow
def test_a_low_limit_of_open_files_is_seen_through_the_real_one(spawn, root):
    code, out, _, _ = run(
        spawn,
        "--quick",
        "--root",
        str(root),
        "--json",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512)),
    )
    answer = answer_of(out)
    assert code == 0
    assert "open-files" in states(answer, "warn")
    assert "512; 4,096 wanted" in out


@pytest.mark.slow
def test_without_a_root_it_warns_and_still_looks_at_the_machine(spawn, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    code, out, _, _ = run(spawn, "--quick", "--fix", "--json")
    answer = answer_of(out)
    assert code == 0
    assert "root" in states(answer, "warn")
    assert {"python", "perft", "clock"} <= states(answer, "ok")
    assert {path.name for path in tmp_path.iterdir()} <= {"ringrift"}


@pytest.mark.slow
def test_invalid_settings_are_lines_and_not_the_end(spawn, root):
    (root / "config" / "unified_loop.yaml").write_text("training:\n  batch_sise: 3\n")
    code, out, _, _ = run(spawn, "--quick", "--root", str(root), "--json")
    answer = answer_of(out)
    assert code == 1
    assert states(answer, "fail") == {"settings"}
    (line,) = [line for line in answer["checks"] if line["check"] == "settings"]
    assert "unified_loop.yaml:2" in line["seen"]
    assert line["remedy"] == "batch_size"


@pytest.mark.slow
def test_a_secret_address_is_nowhere_in_the_output(spawn, root):
    url = "http://user:p4ssw0rd@127.0.0.1:1/hooks/t0ken-of-ours"
    code, out, err, _ = run(
        spawn, "--quick", "-vv", "--root", str(root), env={"RINGRIFT_WEBHOOK_URL": url}
    )
    assert code == 1
    assert "RINGRIFT_WEBHOOK_URL: Connection refused" in out
    for secret in ("p4ssw0rd", "t0ken-of-ours", "127.0.0.1:1/"):
        assert secret not in out + err


def test_help_and_the_lightness_of_the_command(ringrift):
    code, out, _ = ringrift("doctor", "--help")
    assert code == 0
    assert "--gpu" in out
    script = (
        "import sys, ringrift.cli.doctor, ringrift.cli.checks.table\n"
        "print({'torch', 'numba', 'nats', 'psutil'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
