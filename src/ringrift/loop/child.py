"""Run one function in a spawned process that reports progress and dies with its parent.

The control process of the loop imports no torch; what needs it runs here. A child that ends without
a result is an error with what it said last, never a missing value.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from ringrift.core.errors import RingriftError
from ringrift.core.processes import begin_worker, threads_of_children

POLL_S = 0.1
STOP_WAIT_S = 5.0


class ChildFailed(RingriftError):
    """A child process failed or died."""


class ChildStopped(Exception):
    """The child was ended because the run shall stop."""


Report = Callable[[dict[str, Any]], None]


def run_child(
    function: Callable[..., Any],
    arguments: dict[str, Any],
    *,
    what: str,
    on_report: Report = lambda report: None,
    stop: Callable[[], bool] = lambda: False,
    threads: int = 1,
) -> Any:
    """Call `function(report, **arguments)` in a spawned process and return its result.

    `function` is importable by name and `report` sends a plain dict to `on_report`. Domain errors of
    the child are raised here as they are. Raises `ChildStopped` once `stop` says so, `ChildFailed`
    with the traceback's last line for a defect or a death.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_main, args=(theirs, function, arguments), name=what, daemon=True
    )
    with threads_of_children(threads):
        process.start()
    theirs.close()
    try:
        while True:
            if stop():
                raise ChildStopped
            message = _next(ours, process, what)
            if message is None:
                continue
            kind, value = message
            if kind == "result":
                return value
            if kind == "error":
                raise value
            on_report(value)
    finally:
        ours.close()
        _end(process)


def _next(pipe: Connection, process: Any, what: str) -> tuple[str, Any] | None:
    """Return the child's next message, `None` if there is none yet; raises when it died."""
    try:
        if pipe.poll(POLL_S) or (not process.is_alive() and pipe.poll()):
            message: tuple[str, Any] = pipe.recv()
            return message
    except EOFError:
        pass
    else:
        if process.is_alive():
            return None
    process.join(STOP_WAIT_S)
    raise ChildFailed(f"{what}: the process died without a result (exit code {process.exitcode})")


def _end(process: Any) -> None:
    process.join(0.5)
    if process.is_alive():
        process.terminate()
        process.join(STOP_WAIT_S)
    if process.is_alive():
        process.kill()
        process.join()


def _main(pipe: Connection, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    begin_worker()
    try:
        result = function(lambda report: pipe.send(("report", report)), **arguments)
        pipe.send(("result", result))
    except RingriftError as error:
        pipe.send(("error", _portable(error)))
    except BrokenPipeError:
        pass  # the parent has gone
    except Exception as error:  # noqa: BLE001 - the border of the process
        where = "".join(traceback.format_exception(error)).strip().splitlines()
        pipe.send(("error", ChildFailed(f"{where[-1]} ({_place(where)})")))
    finally:
        pipe.close()


def _portable(error: RingriftError) -> RingriftError:
    """Return an error that survives pickling with its exit code, whatever its constructor takes."""
    plain = ChildFailed(error.message, where=error.where, hint=error.hint)
    plain.exit_code = error.exit_code
    return plain


def _place(lines: list[str]) -> str:
    places = [line.strip() for line in lines if line.lstrip().startswith("File ")]
    return places[-1] if places else "unknown place"
