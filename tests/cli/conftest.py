"""A command line with a group of its own, so that each convention is tested without the game."""

import errno
import functools
import importlib.machinery
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Annotated

import pytest
import typer
from tests.unhurried import only_unhurried, unhurried

from ringrift.cli import main as program
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.core import errors
from ringrift.core.interrupt import Terminated

RAISED = {
    "negative": errors.NegativeResult,
    "usage": errors.UsageError,
    "not-running": errors.NotRunningError,
    "refused": errors.RefusedError,
    "data": errors.DataError,
    "busy": errors.BusyError,
    "settings": errors.SettingsError,
    "defect": ZeroDivisionError,
    "interrupted": KeyboardInterrupt,
    "terminated": Terminated,
    "aborted": typer.Abort,
    "disk-full": functools.partial(OSError, errno.ENOSPC, "No space left on device", "/x"),
    "forbidden": functools.partial(PermissionError, errno.EACCES, "Permission denied", "/x"),
}

probe = typer.Typer(add_completion=False)


@probe.command("fail")
def fail(name: str) -> None:
    """Raise an error."""
    kind = RAISED[name]
    if isinstance(kind, functools.partial):
        raise kind()
    if issubclass(kind, errors.RingriftError):
        raise kind("what went\nwrong", where="file:3 key", hint="something else")
    raise kind("what went wrong")


@probe.command("exit")
def leave(code: int) -> None:
    """End with a code after a result."""
    current().out.result({"code": code}, human="text", ok=code == 0)
    raise typer.Exit(code)


@probe.command("table")
def table(rows: int = 3) -> None:
    """Print a table."""
    out = current().out
    columns = [Column("name"), Column("games", number=True)]
    out.result({"rows": rows}, human=out.table(columns, [[f"r{n}", None] for n in range(rows)]))


@probe.command("lines")
def lines(count: int) -> None:
    """Print a stream."""
    for number in range(count):
        current().out.line({"n": number}, human=f"line {number}")


@probe.command("files", cls=list_command("--jsonl", "-j"))
def files(
    jsonl: Annotated[list[Path], typer.Option("--jsonl", "-j")],
    flag: Annotated[bool, typer.Option("--flag")] = False,
) -> None:
    """Print the list that arrived."""
    current().out.result({"files": [str(path) for path in jsonl], "flag": flag})


@probe.command("root")
def root() -> None:
    """Print the data root, made if need be."""
    current().out.result({"root": str(current().paths().root)})


@probe.command("ask")
def ask() -> None:
    """Ask a question."""
    current().out.result({"answer": current().confirm("Delete everything?")})


@probe.command("work")
def work(seconds: float = 0.0) -> None:
    """Show progress."""
    with current().out.progress() as progress:
        task = progress.task("playing", total=5, unit="games")
        for _ in range(5):
            task.advance()
            time.sleep(seconds / 5)
        task.finish()
    current().out.result({"done": task.done}, human="done")


@pytest.fixture
def _probe(monkeypatch):
    module = types.ModuleType("ringrift.cli.probe")
    module.app = probe
    module.__spec__ = importlib.machinery.ModuleSpec("ringrift.cli.probe", None)
    monkeypatch.setitem(sys.modules, "ringrift.cli.probe", module)
    monkeypatch.setitem(program.GROUPS, "probe", "Probe the conventions.")


@pytest.fixture
def ringrift(_probe, monkeypatch, tmp_path, capsys):
    """Run a command line in an empty folder; returns (code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    only_unhurried(monkeypatch)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        code = program.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def spawn(tmp_path):
    """Start the installed program in an empty folder."""

    def start(*arguments, env=None, **popen):
        return subprocess.Popen(
            [sys.executable, "-c", "from ringrift.cli.main import main; main()", *arguments],
            cwd=tmp_path,
            env=unhurried(**(env or {})),
            stdout=popen.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            **popen,
        )

    return start
