"""Show an error: one line on standard error, one object in JSON mode, and its exit code."""

from __future__ import annotations

import difflib
import errno
import json
import sys
import tempfile
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.output import SCHEMA
from ringrift.core.errors import RingriftError, SettingsError
from ringrift.core.hidden import hide_environment, without_secrets
from ringrift.core.interrupt import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringrift.cli.invocation import Invocation

INTERRUPTED, TERMINATED, DEFECT, USAGE, LATER = 130, 143, 70, 2, 75

# What the file system refuses is no defect of ours: full disks are for later, rights for the user.
_SYSTEM_ERRORS = {
    errno.ENOSPC: LATER,
    errno.EDQUOT: LATER,
    errno.EACCES: USAGE,
    errno.EPERM: USAGE,
    errno.EROFS: USAGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Hold what is shown of an error."""

    code: int
    message: str
    where: str | None = None
    hint: str | None = None
    more: tuple[Failure, ...] = ()

    def lines(self) -> list[str]:
        """Return the `error: ...` lines, one per problem."""
        if self.more:
            return [line for problem in self.more for line in problem.lines()]
        place = f" ({self.where})" if self.where else ""
        hint = f"; try {self.hint}" if self.hint else ""
        return [" ".join(f"error: {self.message}{place}{hint}".split())]

    def as_json(self) -> dict[str, Any]:
        """Return the error object of JSON mode."""
        fields: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
        }
        if len(self.more) > 1:
            fields["problems"] = [problem.as_json() for problem in self.more]
        return fields


def describe(error: BaseException, root: Path | None = None) -> Failure:
    """Turn any exception into what is shown; unexpected ones are written to a log file."""
    if isinstance(error, SettingsError):
        problems = tuple(_plain(problem) for problem in error.problems)
        return Failure(
            code=error.exit_code,
            message=error.message,
            where=error.where,
            hint=error.hint,
            more=problems,
        )
    if isinstance(error, RingriftError):
        return _plain(error)
    if isinstance(error, Terminated):
        return Failure(code=TERMINATED, message="terminated; what was finished is kept")
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Failure(code=INTERRUPTED, message="interrupted; what was finished is kept")
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS:
        code = _SYSTEM_ERRORS[error.errno]
        return Failure(code=code, message=error.strerror or str(error), where=error.filename)
    report = _write_report(error, root)
    what = str(error).splitlines()[0] if str(error) else ""
    return Failure(
        code=DEFECT,
        message=f"a defect of ours: {type(error).__name__}: {what}",
        where=str(report),
        hint="-v for the traceback, and please report it with that file",
    )


def show(failure: Failure, invocation: Invocation, error: BaseException) -> None:
    """Print a failure where it belongs; tracebacks only with --verbose."""
    out = invocation.out
    hide_environment()  # an early error comes before the log is set up
    if invocation.options.verbose and not isinstance(error, typer.TyperException):
        sys.stderr.write(_trace(error))
    for line in failure.lines():
        sys.stderr.write(f"{without_secrets(line)}\n")
    if out.as_json and not out.printed:
        head = {"schema": SCHEMA, "command": out.command, "ok": False}
        found = without_secrets({**head, "error": failure.as_json()})
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the nearest three of the known words, comma-separated; `None` if none is near."""
    found = difflib.get_close_matches(word, list(known), n=3, cutoff=0.4)
    return ", ".join(found) if found else None


def _plain(error: RingriftError) -> Failure:
    return Failure(code=error.exit_code, message=error.message, where=error.where, hint=error.hint)


def _usage(error: typer.TyperException) -> Failure:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    hint = None
    if context is not None:
        option = getattr(error, "option_name", None)
        if option and message.startswith("No such option"):
            message = f"no such option {option}"
            names = [name for param in context.command.get_params(context) for name in param.opts]
            hint = nearest(option, names)
        elif message.startswith("No such command"):
            word = message.split("'")[1] if "'" in message else message
            message = f"no such command {word!r}"
            hint = nearest(word, context.command.list_commands(context))
        elif message[:1].isupper():
            message = message[:1].lower() + message[1:]
        hint = hint or f"{context.command_path} --help"
    return Failure(code=USAGE, message=message, hint=hint)


def _write_report(error: BaseException, root: Path | None) -> Path | None:
    """Write the traceback to `logs/`, or to the temporary folder without a root."""
    logs = root / "logs" if root is not None else None
    folder = logs if logs is not None and logs.is_dir() else Path(tempfile.gettempdir())
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    path = folder / f"ringrift-defect-{stamp}.log"
    hide_environment()
    command = without_secrets(" ".join(sys.argv))
    try:
        path.write_text(f"{command}\n{_trace(error)}", encoding="utf-8")
    except OSError:
        return None
    return path


def _trace(error: BaseException) -> str:
    """Return the traceback without the secrets that a library's message may quote."""
    return str(without_secrets("".join(traceback.format_exception(error))))
