"""A process that does jobs for a node's agent, one after the other, and stays warm between them.

It ends when the agent is gone, also by `kill -9`: the connection to it closes. What a job prints
goes to the job's log.
"""

from __future__ import annotations

import importlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ringrift.cluster.jobs import Job, job_of
from ringrift.cluster.spool import Spool
from ringrift.cluster.streams import Subjects
from ringrift.core.errors import BusyError, DataError, RingriftError
from ringrift.core.ids import canonical_json, short
from ringrift.core.paths import Paths
from ringrift.core.processes import begin_worker

REPORT_EVERY_S = 0.25
TAIL_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a work function made; `complete` is false where it was stopped before its end.

    `outputs` are `{kind, sha256, size}` of what was stored for good.
    """

    numbers: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[Mapping[str, Any], ...] = ()
    complete: bool = True


def _silent(**numbers: Any) -> None:
    """Report to nobody."""


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What a work function gets.

    `attempt` counts from 1; `threads` is how many it may use. `report(**numbers)` tells how far it
    is (`done`, `total`, `loss`, `samples_per_s`, `eta_s`), `stop()` that it shall leave soon and
    keep what is durable, `hold()` that no new game may begin now.
    """

    job: Job
    root: Path
    node: str
    attempt: int = 1
    threads: int = 1
    spool_bytes: int
    subjects: Subjects = field(default_factory=Subjects)
    report: Callable[..., None] = _silent
    stop: Callable[[], bool] = _never
    hold: Callable[[], bool] = _never

    @property
    def subject(self) -> str:
        """Where batches of this job's games are published."""
        return self.subjects.game(self.node, short(self.job.id))

    def spool(self) -> Spool:
        """Return the node's spool, opened once per process."""
        path = (Paths(self.root).spool / "spool.db").resolve()
        if path not in _spools:
            _spools[path] = Spool(path, most_bytes=self.spool_bytes)
        return _spools[path]


_spools: dict[Path, Spool] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is the same for all jobs of a process."""

    root: Path
    node: str
    spool_bytes: int
    subjects: Subjects
    search_path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One job for a process: its message, the function `module:name`, and its log."""

    job: bytes
    work: str
    attempt: int
    threads: int
    log: Path


class _Child:
    """The process: a thread hears the agent, the main thread works."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._setting: Setting = connection.recv()
        sys.path[:] = self._setting.search_path
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._hold = threading.Event()
        self._sending = threading.Lock()
        self._reported_s = 0.0

    def serve(self) -> None:
        threading.Thread(target=self._hear, name="agent", daemon=True).start()
        self._send("ready")
        while (order := self._orders.get()) is not None:
            self._send(*self._do(order))

    def _hear(self) -> None:
        """Follow the agent's words; end this process and all it started when nobody speaks."""
        try:
            while True:
                word, *values = self._connection.recv()
                if word == "run":
                    self._stop.clear()
                    self._orders.put(values[0])
                elif word == "stop":
                    self._stop.set()
                elif word == "hold":
                    (self._hold.set if values[0] else self._hold.clear)()
                else:
                    self._orders.put(None)
        except (EOFError, OSError):
            os.killpg(0, signal.SIGTERM)
            os._exit(1)

    def _do(self, order: Order) -> tuple[Any, ...]:
        with _output_to(order.log):
            try:
                outcome = _outcome(order.work, self._context(order))
            except RingriftError as error:
                traceback.print_exc()
                return ("failed", _told(error, str(error)), isinstance(error, BusyError))
            except Exception as error:  # noqa: BLE001 - the border of the process
                traceback.print_exc()
                return ("failed", _told(error, str(error) or repr(error)), False)
        if not outcome.complete:
            return ("stopped",)
        return ("done", outcome.numbers, outcome.outputs)

    def _context(self, order: Order) -> JobContext:
        setting = self._setting
        return JobContext(
            job=job_of(order.job),
            root=setting.root,
            node=setting.node,
            attempt=order.attempt,
            threads=order.threads,
            spool_bytes=setting.spool_bytes,
            subjects=setting.subjects,
            report=self._report,
            stop=self._stop.is_set,
            hold=self._hold.is_set,
        )

    def _report(self, **numbers: Any) -> None:
        """Tell the agent how far the job is, a few times a second at most."""
        now_s = time.monotonic()
        if now_s - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = now_s
            self._send("progress", numbers)

    def _send(self, *words: Any) -> None:
        with self._sending, suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send(words)


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what the process and its children print to a file; an empty one does not stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _point_output(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
    try:
        yield
    finally:
        _point_output(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
        with suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()


def _point_output(handle: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _outcome(work: str, context: JobContext) -> Outcome:
    """Call a work function; raises `DataError` where its answer cannot travel."""
    module, _, function = work.partition(":")
    answer = getattr(importlib.import_module(module), function)(context)
    if not isinstance(answer, Outcome):
        raise DataError(f"found {type(answer).__name__}; expected an outcome", where=work)
    outcome = replace(
        answer, numbers=dict(answer.numbers), outputs=tuple(dict(one) for one in answer.outputs)
    )
    canonical_json([outcome.numbers, outcome.outputs])
    return outcome


def _told(error: Exception, message: str) -> dict[str, str]:
    lines = "".join(traceback.format_exception(error)).strip().split("\n")
    return {
        "type": type(error).__name__,
        "message": message,
        "tail": "\n".join(lines[-TAIL_LINES:]),
    }


def main() -> None:
    """Serve the agent at the other end of the descriptor that the last argument names."""
    begin_worker()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handle = int(sys.argv[-1])
    os.set_inheritable(handle, False)
    _Child(Connection(handle)).serve()
