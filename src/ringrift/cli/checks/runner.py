"""Run checks one after the other, each within its time limit, and repair what may be repaired."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.cli.checks.model import Context, Finding, ProbeError, fail, warn
from ringrift.core.errors import RingriftError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ringrift.cli.checks.model import Check

log = get_logger(__name__)

# Of 5 s and 60 s that a run may take; the rest is for starting Python and printing.
QUICK_BUDGET_S, FULL_BUDGET_S = 4.2, 58.0
RESERVE_S = 0.2
"""A check is not begun with less: it could only run out of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Hold the findings of one run in the order of the table."""

    findings: tuple[Finding, ...]
    repaired: tuple[str, ...]
    left_out: tuple[str, ...]
    """checks that a quick run does not make"""
    seconds: float

    @property
    def healthy(self) -> bool:
        """Whether nothing failed; warnings are allowed."""
        return not self.count("fail")

    def count(self, state: str) -> int:
        """Return the number of findings in a state."""
        return sum(finding.state == state for finding in self.findings)


def run_checks(
    context: Context,
    checks: Sequence[Check],
    *,
    repair: bool = False,
    budget_s: float | None = None,
    on_check: Callable[[str], Any] = lambda _name: None,
) -> Report:
    """Run the checks that belong to this run; with `repair` fix what can be fixed and look again.

    `budget_s` bounds the whole run, by default so that a quick one ends within 5 s and a full one
    within a minute. A check that raises is a failure with its reason.
    """
    began_s = time.monotonic()
    if budget_s is None:
        budget_s = QUICK_BUDGET_S if context.quick else FULL_BUDGET_S
    findings: list[Finding] = []
    repaired: list[str] = []
    chosen = [check for check in checks if check.quick or not context.quick]
    for check in chosen:
        on_check(check.name)
        left_s = began_s + budget_s - time.monotonic()
        found = _findings(check, context, left_s)
        if repair and check.fix is not None and any(line.state != "ok" for line in found):
            left_s = began_s + budget_s - time.monotonic()
            done, problem = _repair(check, context, found, left_s)
            repaired += done
            left_s = began_s + budget_s - time.monotonic()
            found = [*_findings(check, context, left_s), *problem] if done or problem else found
        findings += found
    return Report(
        findings=tuple(findings),
        repaired=tuple(repaired),
        left_out=tuple(check.name for check in checks if check not in chosen),
        seconds=time.monotonic() - began_s,
    )


def _findings(check: Check, context: Context, left_s: float) -> list[Finding]:
    if left_s < RESERVE_S:
        return [warn(check.name, "not run: the time of this run was over", _again(context))]
    found: list[Finding] = []
    limit_s = min(check.limit_s, left_s)
    try:
        with time_limit(limit_s):
            found.extend(check.run(context))
    except OutOfTimeError:
        seen = f"no answer within {limit_s:.1f} s"
        cut = limit_s < check.limit_s
        line = warn if cut else fail
        found.append(line(check.name, seen, _again(context)))
    except Exception as error:  # whatever a check stumbles over is its finding
        log.debug("check failed", check=check.name, exc_info=True)
        found.append(_raised(check.name, error))
    return found


def _repair(
    check: Check, context: Context, found: Sequence[Finding], left_s: float
) -> tuple[list[str], list[Finding]]:
    done: list[str] = []
    try:
        with time_limit(max(left_s, RESERVE_S)):
            if check.fix is not None:
                done.extend(check.fix(context, found))
    except OutOfTimeError:
        return done, [warn(check.name, "--fix: the time of this run was over", _again(context))]
    except (OSError, RingriftError, ProbeError) as error:
        return done, [fail(check.name, f"--fix: {error}", "doing it by hand")]
    return done, []


def _again(context: Context) -> str:
    return "ringrift doctor without --quick" if context.quick else "again on an idle machine"


def _raised(name: str, error: Exception) -> Finding:
    if isinstance(error, RingriftError):
        where = f" ({error.where})" if error.where else ""
        return fail(name, f"{error.message}{where}", error.hint)
    what = str(error).partition("\n")[0]
    return fail(name, f"{type(error).__name__}: {what}", "ringrift doctor -v shows where")


class OutOfTimeError(BaseException):
    """The time limit is over; no check catches it by catching `Exception`."""


@contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Raise `OutOfTimeError` in the block after `limit_s`; the main thread's alarm does it.

    An alarm that was set already goes on afterwards. Without effect in other threads.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_signum: int, _frame: Any) -> None:
        raise OutOfTimeError

    began_s = time.monotonic()
    former = signal.signal(signal.SIGALRM, over)
    former_left_s, _ = signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        if former_left_s:
            left_s = former_left_s - (time.monotonic() - began_s)
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left_s))
