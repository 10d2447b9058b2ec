"""Say what a check is: a function that looks at a machine and reports findings."""

from __future__ import annotations

import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ringrift.core.errors import SettingsError
    from ringrift.core.readings import Readings
    from ringrift.core.settings import Settings

State = Literal["ok", "warn", "fail"]

KNOWN_PERFT = 3192
"""Sequences of three plies from the start of square8, two players.

The rules that reproduce all recorded traces count them; `tests/golden/perft.json` holds them too.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Hold one line: which check, how it went, what was seen and, unless ok, what to do."""

    check: str
    state: State
    seen: str
    remedy: str | None = None


def ok(check: str, seen: str) -> Finding:
    """Report that all is well."""
    return Finding(check=check, state="ok", seen=seen)


def warn(check: str, seen: str, remedy: str | None) -> Finding:
    """Report what works, but not as it should."""
    return Finding(check=check, state="warn", seen=seen, remedy=remedy)


def fail(check: str, seen: str, remedy: str | None) -> Finding:
    """Report what does not work."""
    return Finding(check=check, state="fail", seen=seen, remedy=remedy)


class ProbeError(Exception):
    """A probe that crashed, hung or gave no answer; the text is one line."""


Probe = Callable[..., dict[str, Any]]


def run_probe(
    name: str, *arguments: str, environ: Mapping[str, str], timeout_s: float
) -> dict[str, Any]:
    """Run a function of `ringrift.cli.checks.probes` in a process of its own.

    Raises `ProbeError` with the last line of its errors, its signal, or that it took too long.
    """
    command = [sys.executable, "-P", "-m", "ringrift.cli.checks.probes", name, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and module)
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"no answer within {timeout_s:.0f} s") from None
    if done.returncode < 0:
        raise ProbeError(f"the process ended by signal {-done.returncode}")
    if done.returncode > 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ProbeError(lines[-1][:200])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def installed_version(package: str) -> str | None:
    """Return the version of an installed distribution, `None` without it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def checkout_constraints() -> Path | None:
    """Return the lock beside the sources when they are run from a checkout."""
    path = Path(__file__).resolve().parents[4] / "constraints.txt"
    return path if path.with_name("pyproject.toml").is_file() and path.is_file() else None


def connect(host: str, port: int, timeout_s: float) -> None:
    """Open a TCP connection and close it; raises `OSError` where nobody answers."""
    with socket.create_connection((host, port), timeout=timeout_s):
        pass


def read_machine(path: Path) -> Readings:
    """Return how much of the machine is used."""
    from ringrift.core.readings import read

    return read(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Name a port, its use, and whether it is needed without being asked for."""

    number: int
    use: str
    always: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Hold what is read from the machine, so that a test can tell a check about another one."""

    python: tuple[int, int, int] = sys.version_info[:3]
    sqlite: tuple[int, ...] = sqlite3.sqlite_version_info
    installed: Callable[[str], str | None] = installed_version
    distribution: Callable[[str], metadata.Distribution] = metadata.distribution
    constraints: Path | None = field(default_factory=checkout_constraints)
    open_files: int = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    wall_s: Callable[[], float] = time.time
    probe: Probe = run_probe
    connect: Callable[[str, int, float], None] = connect
    read: Callable[[Path], Readings] = read_machine
    known_perft: int = KNOWN_PERFT
    ports: tuple[Port, ...] | None = None
    """the ports to look at; `None` = those of the settings and of `core.md` 4"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Hold what all checks of one run may look at."""

    root: Path | None
    settings: Settings
    """the settings of this run; the defaults where they are invalid"""
    root_problem: str | None = None
    settings_file: Path | None = None
    settings_problems: tuple[SettingsError, ...] = ()
    settings_warnings: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    quick: bool = False
    gpu_required: bool = False
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Hold one entry of the table; its findings may have names of their own."""

    name: str
    run: Callable[[Context], Iterable[Finding]]
    limit_s: float
    quick: bool = True
    """whether it belongs to a quick run too"""
    fix: Callable[[Context, Sequence[Finding]], Iterable[str]] | None = None
    """called with --fix and the findings unless all are ok; yields what it did"""
