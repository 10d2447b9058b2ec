"""One place of a node where a job runs: its process, and the bounds on it (`cluster.md` 6)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from ringrift.cluster.job_child import Order, Setting
from ringrift.core.ending import ProcessName, end_processes
from ringrift.core.host_table import start_ticks
from ringrift.core.log import get_logger
from ringrift.core.process_reading import tree

log = get_logger(__name__)

LOOK_EVERY_S = 0.2
MEASURE_EVERY_S = 1.0
EXIT_S = 2.0
TAIL_BYTES = 2000
KEPT_SHARE = 0.75
"""A process that holds more than this of what its next job may is replaced before it."""

LEARNING = frozenset({"train", "companion", "dataset", "verify", "tune"})
"""Kinds whose processes load the trainer's libraries, which slots keep apart."""

_CHILD = "from ringrift.cluster.job_child import main; main()"
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a job's process came out of it.

    `later`: it could not have what it needs now, which is no failure. `error` has `type`, `message`,
    `tail`.
    """

    how: Literal["done", "failed", "later", "stopped"]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[Mapping[str, Any], ...] = ()
    error: Mapping[str, str] = field(default_factory=dict)


class _Process:
    """A started process and the connection to it."""

    def __init__(self, setting: Setting) -> None:
        ours, theirs = Pipe()
        with theirs:
            handle = theirs.fileno()
            self._popen = subprocess.Popen(  # noqa: S603 - this Python
                [sys.executable, "-P", "-c", _CHILD, str(handle)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ONE_THREAD},
                pass_fds=(handle,),
                start_new_session=True,
            )
        self.connection: Connection[Any, Any] = ours
        self.name = ProcessName(self._popen.pid, start_ticks(self._popen.pid) or 0)
        self.connection.send(setting)

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def memory_bytes(self) -> int:
        """Return what it and all it started hold."""
        return sum(one.memory_bytes for one in tree([self.name.pid]).values() if not one.ended)

    def end(self, *, grace_s: float) -> int:
        """End it with all it started; return its exit code."""
        end_processes([self.name], grace_s=grace_s)
        self.connection.close()
        return self._popen.wait()


class Slot:
    """Runs one job at a time in a process that stays warm.

    `run` is for one thread; `stop` and `hold` may be called from any.
    """

    def __init__(self, number: int, setting: Setting) -> None:
        self.number = number
        self.kinds: set[str] = set()
        self.progress: Mapping[str, Any] = {}
        self._setting = setting
        self._process: _Process | None = None
        self._sending = threading.Lock()
        self._stop_at_s: float | None = None
        self._held = False
        self._running = False

    @property
    def pid(self) -> int | None:
        """The process, None where there is none yet."""
        process = self._process
        return None if process is None else process.name.pid

    def run(
        self,
        order: Order,
        *,
        kind: str,
        timeout_s: float,
        memory_bytes: int,
        every_second: Callable[[], None],
    ) -> Ended:
        """Do a job and return how it ended; its process does not outlive a failure of its own.

        `every_second` is called while it runs; it must not raise.
        """
        process = self._warm(memory_bytes)
        self.progress = {}
        with self._sending:
            self._stop_at_s = None
            self._running = True
            _say(process, "hold", self._held)
            _say(process, "run", order)
        started_s = time.monotonic()
        try:
            ended = self._follow(process, started_s + timeout_s, memory_bytes, every_second, order)
        finally:
            with self._sending:
                self._running = False
        self.kinds.add(kind)
        return ended

    def stop(self, *, grace_s: float) -> None:
        """Tell the running job to leave; after the grace its process is ended."""
        at_s = time.monotonic() + grace_s
        with self._sending:
            if not self._running or self._process is None:
                return
            if self._stop_at_s is None:
                _say(self._process, "stop")
            self._stop_at_s = min(at_s, self._stop_at_s or at_s)

    def hold(self, held: bool) -> None:
        """Tell the running job, and those after it, whether new games may begin."""
        with self._sending:
            if held != self._held:
                self._held = held
                if self._process is not None:
                    _say(self._process, "hold", held)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        self.kinds.clear()
        if process is not None:
            _say(process, "exit")
            deadline_s = time.monotonic() + EXIT_S
            while process.alive and time.monotonic() < deadline_s:
                time.sleep(0.01)
            process.end(grace_s=0)

    def _warm(self, memory_bytes: int) -> _Process:
        """Return the process for the next job: the last one unless it died or grew too large."""
        process = self._process
        if process is not None and (
            not process.alive or process.memory_bytes() > KEPT_SHARE * memory_bytes
        ):
            self.close()
        if self._process is None:
            self._process = _Process(self._setting)
        return self._process

    def _follow(
        self,
        process: _Process,
        deadline_s: float,
        memory_bytes: int,
        every_second: Callable[[], None],
        order: Order,
    ) -> Ended:
        measured_s = time.monotonic()
        while True:
            try:
                heard = process.connection.poll(LOOK_EVERY_S) and process.connection.recv()
            except (EOFError, OSError):
                return self._death(order.log)
            if heard and (ended := self._hear(*heard)) is not None:
                return ended
            if not heard and not process.alive and not process.connection.poll():
                return self._death(order.log)
            now_s = time.monotonic()
            if self._stop_at_s is not None and now_s > self._stop_at_s:
                self._end()
                return Ended(how="stopped")
            if now_s > deadline_s:
                self._end()
                return _failed("timeout", "the time limit of the job is over", order.log)
            if now_s - measured_s >= MEASURE_EVERY_S:
                measured_s = now_s
                held_bytes = process.memory_bytes()
                if held_bytes > memory_bytes:
                    self._end()
                    words = f"the job held {held_bytes:,} bytes of memory; at most {memory_bytes:,}"
                    return _failed("oom", words, order.log)
                every_second()

    def _hear(self, word: str, *values: Any) -> Ended | None:
        """Take in a message of the process; the last one says how the job ended."""
        if word == "progress":
            self.progress = values[0]
        elif word == "done":
            return Ended(how="done", numbers=values[0], outputs=values[1])
        elif word == "stopped":
            return Ended(how="stopped")
        elif word == "failed":
            error, busy = values
            if self._stop_at_s is not None:
                return Ended(how="stopped", error=error)
            return Ended(how="later" if busy else "failed", error=error)
        return None

    def _death(self, path: Path) -> Ended:
        code = self._end()
        if self._stop_at_s is not None:
            return Ended(how="stopped")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return _failed("died", f"the process of the job died: {how}", path)

    def _end(self) -> int:
        process, self._process = self._process, None
        self.kinds.clear()
        assert process is not None
        return process.end(grace_s=0)


def best_slot(free: Sequence[Slot], kind: str) -> Slot:
    """Return the free slot whose process fits a kind best: learning apart from playing."""
    learns = kind in LEARNING

    def cost(slot: Slot) -> tuple[bool, bool, int]:
        mixes = bool(slot.kinds) and bool(slot.kinds & LEARNING) != learns
        return mixes, slot.pid is None, slot.number

    return min(free, key=cost)


def _say(process: _Process, *words: Any) -> None:
    """Send to a process; one that is gone is noticed by whoever follows it."""
    with suppress(OSError):
        process.connection.send(words)


def _failed(kind: str, message: str, path: Path) -> Ended:
    return Ended(how="failed", error={"type": kind, "message": message, "tail": _tail(path)})


def _tail(path: Path) -> str:
    """Return the end of a log, empty without one."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")
    return ""
