"""Our own commands as child processes: each prints one JSON object and goes on when repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringrift.core.errors import BusyError, RingriftError
from ringrift.core.files import write_atomic
from ringrift.core.spawn_limits import SpawnLimits
from ringrift.core.spawning import Spawned, SpawnLimiter

CATEGORY = "curriculum"
PROGRAM = (sys.executable, "-c", "from ringrift.cli.main import main; main()")
_LOOK_EVERY_S = 0.1
_SIGNALLED = (130, 143)


class CurriculumInterrupted(RingriftError):
    """A run was asked to stop; every child keeps what it finished."""

    exit_code = 130


class CommandFailed(RingriftError):
    """A child ended with an exit code that has no meaning for the run; it has that code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended: its exit code and the JSON object that it printed."""

    exit_code: int
    result: dict[str, Any]

    @property
    def error(self) -> str | None:
        """What the command said was wrong, None where it printed a result."""
        error = self.result.get("error")
        return None if error is None else str(error["message"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Run commands on one data root, one at a time.

    `options` are global options and `variables` of the environment that each gets, `program` what
    is started. `stop` says that the
    child shall end; it gets SIGTERM and time to keep what it has.
    """

    root: Path
    options: tuple[str, ...] = ()
    program: tuple[str, ...] = PROGRAM
    variables: Mapping[str, str] = field(default_factory=dict)
    limits: SpawnLimits = field(default_factory=SpawnLimits)
    stop: Callable[[], bool] = lambda: False

    def line(self, words: Sequence[str]) -> list[str]:
        """Return the whole command line."""
        return [*self.program, *words, "--root", str(self.root), "--yes", "--json", *self.options]

    def run(
        self,
        words: Sequence[str],
        *,
        log: Path,
        accept: Sequence[int] = (0,),
        variables: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run a command to its end; what it says beside its result is appended to `log`.

        Raises `CommandFailed` with its exit code and error for one that is not in `accept`,
        `CurriculumInterrupted` where `stop` asked, `BusyError` where no program may be started.
        """
        what = f"ringrift {' '.join(words[:2])}"
        printed = log.with_suffix(".out")
        limiter = SpawnLimiter(self.root, limits=self.limits)
        with (
            printed.open("wb") as out,
            log.open("ab") as err,
            limiter.spawn(
                self.line(words),
                category=CATEGORY,
                timeout_s=float("inf"),
                env={**os.environ, **self.variables, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            ) as child,
        ):
            code = self._wait(child, what)
        if child.timed_out:
            raise BusyError(
                f"ended after {child.limit_s:.0f} s; the same line goes on",
                where=what,
                hint="safeguards.max_process_age_hours",
            )
        outcome = Outcome(exit_code=code, result=_printed(printed, what, code, log))
        printed.unlink()
        if self.stop() and code in _SIGNALLED:
            raise CurriculumInterrupted("interrupted; the same line goes on", where=what)
        if code not in accept:
            raise failed(what, outcome, log)
        return outcome

    def _wait(self, child: Spawned, what: str) -> int:
        while True:
            try:
                return child.wait(_LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                if self.stop():
                    raise CurriculumInterrupted(
                        "interrupted; the same line goes on", where=what
                    ) from None


def _printed(path: Path, what: str, code: int, log: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_bytes())
    except ValueError:
        tree = None
    if isinstance(tree, dict):
        return tree
    error = CommandFailed(f"ended with {code} and no result", where=what, hint=str(log))
    error.exit_code = code if code > 0 else CommandFailed.exit_code
    raise error


def failed(what: str, outcome: Outcome, log: Path) -> CommandFailed:
    """Return the error of a command: what it said, with its exit code."""
    found = outcome.result.get("error") or {}
    where = f"{what}: {found['where']}" if found.get("where") else what
    error = CommandFailed(
        str(found.get("message", f"ended with {outcome.exit_code}")),
        where=where,
        hint=found.get("hint") or str(log),
    )
    error.exit_code = outcome.exit_code if outcome.exit_code > 0 else CommandFailed.exit_code
    return error


def keep(path: Path, tree: Mapping[str, Any]) -> None:
    """Write what is known after a step; the file is there whole or not at all."""
    write_atomic(path, (json.dumps(tree, indent=2) + "\n").encode())
