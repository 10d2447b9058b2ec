"""What heavy commands do before they start: end at once, wait, or go on; and write nothing."""

import importlib.machinery
import json
import sys
import time
import types
from pathlib import Path

import pytest
import typer

from ringrift.cli import heavy
from ringrift.cli import main as program
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.core import readings
from ringrift.core.paths import Paths

app = typer.Typer(add_completion=False)


@app.command("work")
def work(
    no_wait: NoWait = False, gpu: bool = False, read_only: bool = False, memory: float = 0.1
) -> None:
    """Work hard."""
    invocation = current()
    ready_for(
        invocation,
        producing=not read_only,
        gpu=gpu,
        memory_gb=memory,
        disk_gb=0.1,
        wait=not no_wait,
        config="square8_2p",
    )
    invocation.paths()
    invocation.out.result({"worked": True}, human="worked")


@app.command("rest")
def rest() -> None:
    """Do nothing."""


@pytest.fixture
def run(ringrift, monkeypatch, tmp_path):
    """Run the heavy command in an empty data root; returns (code, stdout, stderr, seconds)."""
    module = types.ModuleType("ringrift.cli.hard")
    module.app = app
    module.__spec__ = importlib.machinery.ModuleSpec("ringrift.cli.hard", None)
    monkeypatch.setitem(sys.modules, "ringrift.cli.hard", module)
    monkeypatch.setitem(program.GROUPS, "hard", "Work hard.")
    (tmp_path / "host").mkdir()
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "host"))
    monkeypatch.setenv("RINGRIFT_ROOT", str(tmp_path / "root"))
    readings._machine.begin()

    def call(*arguments):
        began_s = time.monotonic()
        code, out, err = ringrift("hard", "work", *arguments)
        return code, out, err, time.monotonic() - began_s

    return call


def untouched(tmp_path) -> bool:
    return not list((tmp_path / "root").iterdir()) and not list((tmp_path / "host").iterdir())


def test_with_room_it_works(run, tmp_path):
    code, out, err, _ = run()
    assert (code, out, err) == (0, "worked\n", "")
    assert (tmp_path / "root" / ".ringrift-root").is_file()


@pytest.mark.timed
@pytest.mark.parametrize(
    ("variable", "resource"),
    [("DISK_CRITICAL", "disk"), ("MEMORY_CRITICAL", "memory")],
)
def test_a_full_resource_ends_it_within_2_s_having_written_nothing(
    run, tmp_path, monkeypatch, variable, resource
):
    monkeypatch.setenv(f"RINGRIFT_LIMITS__{variable}", "1")
    code, out, err, seconds = run()
    assert (code, out) == (75, "")
    assert seconds <= 2
    assert untouched(tmp_path)
    assert err.startswith(f"error: {resource}: ")
    assert "limit 1 %" in err
    assert f"limits.{resource}_critical" in err
    assert f"RINGRIFT_LIMITS__{variable}" in err
    assert (str(tmp_path / "root") in err) == (resource == "disk")
    code, out, _, _ = run("--json")
    assert json.loads(out)["error"]["code"] == 75


CLI = Path(heavy.__file__).parent

# Every heavy command by the module that checks for it: a module that calls `ready_for` without a
# line here fails, and each line must be refused on a full disk.
# By module: command lines of what fills the disk, and of what only computes (`producing=False`).
PRODUCING = {
    "data/auto_export.py": ["data auto-export --once"],
    "data/export_distributed.py": ["data export-distributed --worker"],
    "data/export_request.py": [
        "data export --input games.db",
        "data export-distributed --coordinator --input games.db",
    ],
    "data/ingest.py": ["data ingest --input-dir ."],
    "data/pool.py": ["data pool"],
    "eval/auto.py": ["eval auto --once", "eval auto --daemon"],
    "eval/diverse.py": ["eval diverse"],
    "eval/tournament.py": ["eval tournament --quick", "eval tournament --continuous"],
    "eval/gauntlet.py": ["eval gauntlet --run", "eval gauntlet --model 123456"],
    "eval/match.py": ["eval match --agent random --agent heuristic"],
    "eval/shadow.py": ["eval shadow --once", "eval shadow --daemon"],
    "eval/two_stage.py": ["eval two-stage --run", "eval two-stage --aggregate --promote"],
    "loop/run.py": [
        "loop run --profile quick --yes",
        "loop iterate --iterations 1",
        "loop watch --check-once",
    ],
    "loop/start.py": ["loop start --profile quick"],
    "models/promote.py": ["models promote --auto-promote", "models promote --daemon"],
    "train/generating.py": ["train curriculum --generations 1"],
    "train/training.py": [
        "train nn --demo",
        "train nn --demo --find-lr",
        "train nnue --db games.db",
        "train nnue-policy --db games.db",
        "train optimized --db games.db",
        "train curriculum --db games.db --auto-progress",
        "train pipeline",
        "tune hp --db games.db",
    ],
    "selfplay/execute.py": [
        "selfplay run --engine-mode random-only",
        "selfplay soak --num-games 2",
        "selfplay hybrid --num-games 2",
        "selfplay gpu --num-games 2",
        "selfplay canonical --num-games 2",
    ],
    "selfplay/reanalyze.py": ["selfplay reanalyze -i games.jsonl -o searched.jsonl"],
}
COMPUTING = {
    "bench/engine.py": ["bench engine --boards square8 --games 2"],
    "bench/gpu_cpu.py": ["bench gpu-cpu --board square8"],
    "bench/memory.py": ["bench memory --quick"],
    "bench/policy.py": ["bench policy --db games.db"],
    "bench/train.py": ["bench train --kind nn --repeat 1"],
    "eval/gate.py": ["eval gate --candidate 123456"],
    "eval/openings.py": ["eval openings build --config-key square8_2p"],
}
CHECKING = {
    path.relative_to(CLI).as_posix()
    for path in CLI.rglob("*.py")
    if path.name != "heavy.py" and "ready_for(" in path.read_text(encoding="utf-8")
}
LINES = [
    (line, resource)
    for lines, resource in ((PRODUCING, "disk"), (COMPUTING, "memory"))
    for line in [line for found in lines.values() for line in found]
]


def test_every_command_that_checks_the_machine_is_listed_here():
    assert {*PRODUCING, *COMPUTING} == CHECKING


@pytest.mark.timed
@pytest.mark.parametrize(
    ("line", "resource"), [*LINES, *((line, "memory") for line, _ in LINES[:1])]
)
def test_every_heavy_command_ends_within_2_s_at_a_limit_having_written_nothing(
    run, ringrift, tmp_path, monkeypatch, line, resource
):
    (tmp_path / "games.db").touch()
    monkeypatch.setenv(f"RINGRIFT_LIMITS__{resource.upper()}_CRITICAL", "1")
    ringrift(*line.split()[:2], "--help")  # what it imports is not what is measured
    began_s = time.monotonic()
    code, _, err = ringrift(*line.split())
    assert (code, f"limits.{resource}_critical" in err) == (75, True), err
    assert time.monotonic() - began_s <= 2
    assert untouched(tmp_path)


def test_what_writes_little_may_run_on_a_full_disk(run, monkeypatch):
    monkeypatch.setenv("RINGRIFT_LIMITS__DISK_CRITICAL", "1")
    assert run("--read-only")[0] == 0


def test_too_little_free_memory_is_named(run, tmp_path):
    code, _, err, _ = run("--memory", "1000000")
    assert code == 75
    assert "memory: " in err
    assert "1e+06 GB needed" in err
    assert untouched(tmp_path)


def test_a_full_gpu_ends_what_uses_one_and_nothing_else(run, monkeypatch):
    full = readings.Gpu(
        index=0,
        name="x",
        memory=readings.Space(used_percent=95.0, available_bytes=5 << 30, total_bytes=100 << 30),
    )
    monkeypatch.setattr(readings._Nvml, "read", lambda self: (full,))
    assert run()[0] == 0
    code, _, err, _ = run("--gpu")
    assert code == 75
    assert "95.0 % of GPU 0's memory in use, limit 80 %" in err
    assert "limits.gpu_critical" in err


@pytest.mark.timed
def test_load_of_others_is_waited_for_with_lines_and_ends_with_75(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RINGRIFT_LIMITS__WAIT_SECONDS", "1.5")
    monkeypatch.setattr(heavy, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(heavy, "SAY_EVERY_S", 0.5)
    monkeypatch.setattr(readings.os, "getloadavg", lambda: (1e9, 1.0, 1.0))
    code, out, err, seconds = run()
    assert (code, out) == (75, "")
    assert 1.5 <= seconds < 5
    lines = err.splitlines()
    assert lines[0].startswith("waiting for load: load of others ")
    assert lines[0].endswith("; 0 of 1.5 s")
    assert len([line for line in lines if line.startswith("waiting")]) >= 2
    assert "limits.load_critical_multiplier" in lines[-1]
    assert untouched(tmp_path)


def test_when_the_load_falls_it_goes_on(run, monkeypatch):
    monkeypatch.setattr(heavy, "LOOK_EVERY_S", 1.1)
    looks = iter([1e9, 1e9])
    monkeypatch.setattr(readings.os, "getloadavg", lambda: (next(looks, 0.0), 0.0, 0.0))
    code, out, err, _ = run()
    assert (code, out) == (0, "worked\n")
    assert err.startswith("waiting for load")


@pytest.mark.timed
def test_no_wait_ends_at_once(run, tmp_path, monkeypatch):
    monkeypatch.setattr(readings.os, "getloadavg", lambda: (1e9, 1.0, 1.0))
    code, _, err, seconds = run("--no-wait")
    assert code == 75
    assert seconds < 2
    assert "waiting" not in err
    assert untouched(tmp_path)


@pytest.mark.timed
def test_while_it_waits_a_disk_that_fills_up_ends_it(run, monkeypatch):
    monkeypatch.setattr(heavy, "LOOK_EVERY_S", 1.1)
    monkeypatch.setattr(readings.os, "getloadavg", lambda: (1e9, 1.0, 1.0))
    spaces = iter([readings.Space(used_percent=1.0, available_bytes=9 << 30, total_bytes=10 << 30)])
    full = readings.Space(used_percent=99.0, available_bytes=1, total_bytes=10 << 30)
    real = readings.read_disk
    monkeypatch.setattr(readings, "read_disk", lambda path: next(spaces, full) if real else None)
    code, _, err, seconds = run()
    assert code == 75
    assert "99.0 % of the disk in use" in err
    assert seconds < 10


@pytest.mark.timed
def test_an_emergency_stop_keeps_everything_from_starting(run, tmp_path):
    folder = Paths(tmp_path / "root").coordination
    folder.mkdir(parents=True)
    halt = folder / "EMERGENCY_HALT"
    halt.write_text(json.dumps({"reason": "too hot", "by": "me", "at": "2026-01-01T00:00:00Z"}))
    code, out, err, seconds = run()
    assert (code, out) == (75, "")
    assert seconds <= 2
    for word in ("too hot", "me", str(halt), "ringrift node safeguards --clear-emergency"):
        assert word in err
    halt.rename(folder / "HALT.square8_2p")
    assert run()[0] == 75
    (folder / "HALT.square8_2p").rename(folder / "HALT.hex8_2p")
    assert run()[0] == 0


def test_the_option_is_in_the_help(run, ringrift):
    code, out, _ = ringrift("hard", "work", "--help")
    assert code == 0
    assert "--no-wait" in out
    assert "limits.wait_seconds" in out
