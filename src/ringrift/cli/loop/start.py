"""`ringrift loop start`: the loop in the background."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.heavy import ready_for
from ringrift.cli.invocation import current
from ringrift.cli.loop.options import END, Options, asked
from ringrift.cli.loop.running import address_of, running
from ringrift.cli.option_sets import command_of, option
from ringrift.core.errors import BusyError, NegativeResult

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.core.paths import Paths

START_LIMIT_S = 30.0
LOOK_EVERY_S = 0.1
TAIL_LINES = 20
OUTPUT = "loop-start.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions(Options):
    """The values of one call."""

    foreground: Annotated[
        bool, option("--foreground", "-f", panel=END, help="Stay in the foreground, as loop run.")
    ] = False


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    names = [field.name for field in fields(StartOptions)]
    app.command("start")(command_of(start, StartOptions, names, defaults={}, shown={}))


def start(options: StartOptions) -> None:
    """Start the loop in the background and return when it answers.

    Reads and writes what loop run does; the program's own output goes to
    logs/unified_loop/loop-start.log. Returns when the new process answers /health (with --no-metrics
    when it holds the lock of the data root); after 30 s without an answer it is ended and its last
    lines are printed. Stop it with loop stop, look with loop status --watch.

    Examples: ringrift loop start --profile quick --yes | ringrift loop start --configs
    square8_2p,hex8_2p --metrics-port 0

    Exit codes: 0 it runs, 1 it did not come up, 75 a loop runs here already.

    was: unified_ai_loop.py --start
    """
    from ringrift.cli.loop.run import execute

    invocation = current()
    wanted = asked(invocation, options)
    if options.dry_run:
        from ringrift.cli.loop.plan import show_plan

        show_plan(invocation, wanted)
        return
    if options.foreground:
        execute(invocation, wanted, no_wait=options.no_wait)
        return
    paths = invocation.paths(create=False)
    refuse_second(paths)
    ready_for(invocation, wait=not options.no_wait, limits=wanted.loaded.values.limits)
    paths = invocation.paths()
    log = paths.from_setting(wanted.loaded.values.log_dir) / OUTPUT
    process = spawn(as_run(invocation.arguments), paths, log)
    url = wait_for_answer(process, paths, log, served=wanted.run.metrics_port is not None)
    where = "" if url is None else f", {url}/status.json"
    invocation.out.result(
        {"pid": process.pid, "url": url, "log": str(log)},
        human=f"the loop runs: process {process.pid}{where}\nlook: ringrift loop status --watch",
    )


def refuse_second(paths: Paths) -> None:
    """Raise `BusyError` naming the holder where a loop runs on this root."""
    owner = running(paths)
    if owner is not None:
        raise BusyError(
            f"a loop runs on this data root: {owner}",
            where=str(paths.root),
            hint="ringrift loop status, or loop stop",
        )


def as_run(arguments: list[str]) -> list[str]:
    """Return the command line of `loop run` with the same options."""
    place = arguments.index("start")
    return [*arguments[:place], "run", *arguments[place + 1 :]]


def spawn(arguments: list[str], paths: Paths, log: Path) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own, its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable,
                "-c",
                "from ringrift.cli.main import main; main()",
                *arguments,
                "--root",
                str(paths.root),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def wait_for_answer(
    process: subprocess.Popen[bytes], paths: Paths, log: Path, *, served: bool
) -> str | None:
    """Return the address of the loop that came up, None without one.

    Raises `NegativeResult` with its last lines where it did not; it is ended then.
    """
    deadline_s = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        if not served and (owner := running(paths)) is not None and owner.pid == process.pid:
            return None
        url = address_of(paths, process.pid) if served else None
        if url is not None and answers(url):
            return url
        time.sleep(LOOK_EVERY_S)
    code = process.poll()
    if code is None:
        end(process)
    why = f"no answer within {START_LIMIT_S:g} s" if code is None else f"it ended with code {code}"
    raise NegativeResult(
        f"the loop did not come up: {why}; its last lines:\n{tail(log)}", where=str(log)
    )


def answers(url: str) -> bool:
    """Say whether /health answers, whatever it says."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - our own on loopback
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End the program with all that it started."""
    from ringrift.core.ending import ProcessName, end_processes
    from ringrift.core.host_table import start_ticks

    end_processes([ProcessName(process.pid, start_ticks(process.pid) or 0)], grace_s=5.0)
    process.wait()


def tail(log: Path) -> str:
    """Return the last lines of a file."""
    with log.open(encoding="utf-8", errors="replace") as lines:
        return "".join(deque(lines, TAIL_LINES)).rstrip() or "none"
