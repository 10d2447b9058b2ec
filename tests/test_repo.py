"""The repository itself: what must be in it and what must not."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BINARY = {".gz", ".png", ".zst", ".npz", ".db", ".safetensors"}

# Addresses of package registries and paths of one machine: a checkout must work anywhere. Written
# in pieces, so that this file does not find itself.
FORBIDDEN = [
    re.compile(pattern)
    for pattern in (
        "py" + r"pi\.(org|python)",
        "python" + "hosted",
        "download" + r"\.py" + "torch",
        "--(extra-)?index" + "-url",
        r"https?://[\w.-]*(artifactory|nexus|registry)",
        "(?<![\\w.])/(home|" + r"Users)/\w+",
        "(?<![\\w.])/" + r"work/\w+",
        "(?<![\\w.])/" + r"root/\w+",
        r"torch==[\d.]+\+",
    )
]


def tracked_files():
    """Files that git tracks or would: in an export without git, all but the ignored ones."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.splitlines()]
    return [path for path in paths if path.is_file() and path.suffix not in BINARY]


def test_no_registry_hosts_and_no_machine_paths():
    found = []
    for path in tracked_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        for pattern in FORBIDDEN:
            found += [
                f"{path.relative_to(ROOT)}:{text[: hit.start()].count(chr(10)) + 1}: {hit.group()}"
                for hit in pattern.finditer(text)
            ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "see https://py" + "pi.org/simple",
        "https://files.python" + "hosted.org/x",
        "--extra-index" + "-url x",
        "https://download.py" + "torch.org/whl/cpu",
        "open('/" + "home/ann/x')",
        "cd /" + "work/main",
        "torch==2.13.0" + "+cpu",
    ],
)
def test_the_patterns_find_what_they_are_for(text):
    assert any(pattern.search(text) for pattern in FORBIDDEN)


def make_plan(target, folder):
    """What make would run, also where make itself runs this test."""
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    return subprocess.run(
        ["make", "--dry-run", target],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name not in outer},
    ).stdout


@pytest.mark.parametrize("target", ["loop", "test", "check", "acceptance", "bench"])
def test_each_target_installs_first_and_presupposes_only_python(target, tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    plan = make_plan(target, tmp_path).splitlines()
    venv = next(n for n, line in enumerate(plan) if "-m venv .venv" in line)
    install = next(n for n, line in enumerate(plan) if "pip install -c constraints.txt -e" in line)
    first_use = next(
        n for n, line in enumerate(plan) if ".venv/bin/" in line and "pip install" not in line
    )
    assert venv < install < first_use
    if target == "loop":
        assert "loop run --profile quick" in plan[-1]
    elif target != "bench":
        assert "pytest" in plan[-1]


def test_a_second_make_does_not_install_again(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").write_text("")
    (tmp_path / ".venv" / ".installed-dev").write_text("")

    assert "pip install" not in make_plan("test", tmp_path)
    (tmp_path / "constraints.txt").touch()
    assert "pip install" in make_plan("test", tmp_path)


def test_ci_runs_the_tests_last_and_stops_at_the_first_error():
    script = ROOT / ".ci" / "run"
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make test"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)


def test_the_data_root_of_make_loop_is_ignored_by_git():
    makefile = (ROOT / "Makefile").read_text()
    folder = re.search(r"^DATA_ROOT \?= (\S+)$", makefile, re.MULTILINE)
    assert folder is not None
    assert f"/{folder.group(1)}/" in (ROOT / ".gitignore").read_text().splitlines()


def test_constraints_pin_every_dependency_exactly():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", pin) for pin in pins), pins
    names = {re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower() for pin in pins}
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["bench"]]
    for requirement in wanted:
        name = re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[ ;]", requirement)[0]).lower()
        assert name in names, requirement
    assert "ringrift" not in names


def test_every_ignored_rule_has_its_reason_beside_it():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    inside = False
    for line in lines:
        inside = inside or line.startswith(("ignore = [", '"src/', '"tests/', '"benchmarks/'))
        if line.startswith("]"):
            inside = False
        elif inside and re.match(r'\s+"[A-Z]+\d*",', line):
            assert re.search(r"# \S+ \S+", line), line


@pytest.mark.parametrize("name", ["LICENSE", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_the_usual_files_are_there(name):
    assert (ROOT / name).stat().st_size > 200
