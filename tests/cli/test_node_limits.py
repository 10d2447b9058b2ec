"""`ringrift node limits`: codes for scripts, every value shown, a stream that ends in order."""

import json
import signal
import time

import pytest

from ringrift.core import readings
from ringrift.core.cgroups import available_cpus
from ringrift.core.limits import thread_budget


@pytest.fixture
def limits(ringrift, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    # Whoever else works on this machine must not decide these tests.
    for name in ("DISK", "MEMORY", "CPU", "GPU"):
        monkeypatch.setenv(f"RINGRIFT_LIMITS__{name}_WARNING", "99")
        monkeypatch.setenv(f"RINGRIFT_LIMITS__{name}_CRITICAL", "100")
    monkeypatch.setenv("RINGRIFT_LIMITS__LOAD_CRITICAL_MULTIPLIER", "10000")
    readings._machine.begin()
    return lambda *arguments: ringrift("node", "limits", *arguments)


def by_resource(out: str) -> dict:
    return {each["resource"]: each for each in json.loads(out)["limits"]}


def test_below_all_limits_it_ends_with_0_and_shows_all(limits, tmp_path):
    code, out, err = limits("--json")
    assert (code, err) == (0, "")
    shown = json.loads(out)
    assert (shown["ok"], shown["state"], shown["command"]) == (True, "ok", "node limits")
    assert shown["cpus"] == available_cpus()
    assert shown["thread_budget"] == thread_budget()
    rows = by_resource(out)
    assert {"disk", "memory", "cpu", "load"} <= set(rows)
    assert rows["disk"]["path"] == str(tmp_path)
    assert rows["disk"]["total_bytes"] > rows["disk"]["available_bytes"] > 0
    assert 0 < rows["memory"]["used"] < 100
    assert rows["cpu"]["used"] is not None
    assert rows["load"]["unit"] == "threads"
    assert rows["load"]["warning"] is None
    assert rows["load"]["critical"] == pytest.approx(10_000 * shown["cpus"])


def test_a_warning_is_1_and_a_critical_75(limits, monkeypatch):
    monkeypatch.setenv("RINGRIFT_LIMITS__MEMORY_WARNING", "1")
    code, out, _ = limits("--json")
    assert code == 1
    assert by_resource(out)["memory"]["state"] == "warning"
    assert json.loads(out)["ok"] is False
    monkeypatch.setenv("RINGRIFT_LIMITS__DISK_WARNING", "1")
    monkeypatch.setenv("RINGRIFT_LIMITS__DISK_CRITICAL", "1.5")
    code, out, _ = limits("--json")
    assert code == 75
    assert json.loads(out)["state"] == "critical"
    assert by_resource(out)["disk"]["key"] == "limits.disk_critical"


def test_the_table_marks_what_was_raised(limits, monkeypatch):
    monkeypatch.setenv("RINGRIFT_LIMITS__CPU_CRITICAL", "80")
    monkeypatch.setenv("RINGRIFT_LIMITS__CPU_WARNING", "70")
    code, out, _ = limits()
    assert code in (0, 1, 75)  # others may fill the CPUs just now
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "raised above the default 70" in lines["disk"]
    assert "raised above the default 80" in lines["memory"]
    assert "raised above the default 150" in lines["load"]
    assert "raised" not in lines["cpu"]
    assert "GiB free" in lines["disk"]
    assert "critical %" in out


def test_it_writes_nothing(limits, tmp_path):
    limits()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timed
@pytest.mark.slow
def test_watching_streams_a_line_each_5_s_until_ctrl_c(spawn, tmp_path):
    watching = spawn("node", "limits", "--watch", "--json", env={"XDG_RUNTIME_DIR": str(tmp_path)})
    began_s = time.monotonic()
    first = json.loads(watching.stdout.readline())
    second = json.loads(watching.stdout.readline())
    assert 4.5 < time.monotonic() - began_s < 20
    assert first["at"] < second["at"]
    assert {row["resource"] for row in second["limits"]} >= {"disk", "memory", "cpu", "load"}
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=10)
    assert (watching.returncode, err) == (0, "")


@pytest.mark.slow
def test_watching_ends_in_order_on_sigterm(spawn, tmp_path):
    watching = spawn("node", "limits", "--watch", env={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert any("memory" in watching.stdout.readline() for _ in range(8))
    watching.terminate()
    _, err = watching.communicate(timeout=10)
    assert (watching.returncode, err) == (0, "")
