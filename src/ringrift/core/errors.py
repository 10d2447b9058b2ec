"""Errors of the domain, each with the exit code the command line ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class RingriftError(Exception):
    """Say what is wrong, where it was found and what would be accepted.

    `message` is one line; `where` names the file, row or field; `hint` is the remedy.
    """

    exit_code = 70

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        remedy = f"; try {self.hint}" if self.hint else ""
        return f"{self.message}{place}{remedy}"


class NegativeResult(RingriftError):
    """A check ran to its end and its answer is no."""

    exit_code = 1


class UsageError(RingriftError):
    """An option, name or pattern that does not exist."""

    exit_code = 2


class NotRunningError(RingriftError):
    """A service that is not running or cannot be reached."""

    exit_code = 3


class RefusedError(RingriftError):
    """Wrong identity, version or unverified data."""

    exit_code = 4


class DataError(RingriftError):
    """Input data that is malformed, altered or truncated."""

    exit_code = 6


class BusyError(RingriftError):
    """A resource, lock or port that is taken; later may work."""

    exit_code = 75


class SettingsError(RingriftError):
    """An invalid settings file or environment variable.

    `problems` are all errors found in one run; a single error is its own only problem.
    """

    exit_code = 78

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        problems: Sequence[SettingsError] = (),
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.problems: tuple[SettingsError, ...] = tuple(problems) or (self,)
