"""Start programs within bounds, and end all they started (`core.md` 7).

A program started here can start at most `max_depth` levels below the first, 30 in a minute on the
whole host, and only while its category has a free place in the host's table. It runs in a session
of its own, which ends with the block that started it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.emergency import refuse_halted
from ringrift.core.ending import GRACE_S, ProcessName, end_processes, this_process
from ringrift.core.errors import BusyError, RefusedError, UsageError
from ringrift.core.files import lock, write_atomic
from ringrift.core.hidden import HIDDEN, is_secret_name, without_secrets
from ringrift.core.host_table import HostTable, Task, start_ticks
from ringrift.core.log import get_logger
from ringrift.core.spawn_limits import (
    DEPTH_VARIABLE,
    PLACEHOLDER,
    RECENT_FILE,
    SpawnLimits,
    current_depth,
    recent_spawns,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ringrift.core.backpressure import Pressure

log = get_logger(__name__)

# Not for people, hence not among the RINGRIFT_* names: who started this program, and its time limit.
ORIGIN_VARIABLE = "_RINGRIFT_SPAWNED_BY"

_LOOKS = 25
_LOOK_EVERY_S = 0.02
_LOCK_WAIT_S = 10.0


class Spawned:
    """Hold a program that `SpawnLimiter.spawn` started; its pipes are those of `process`."""

    def __init__(self, process: subprocess.Popen[Any], *, limit_s: float, grace_s: float) -> None:
        self.process = process
        self.limit_s = limit_s
        self.timed_out = False
        self._grace_s = grace_s
        # Its start time stays readable until somebody waits for it, so it has one.
        self._name = ProcessName(process.pid, start_ticks(process.pid) or 0)
        self._opener = os.getpid()
        self._ending = threading.Lock()
        self._timer = threading.Timer(limit_s, self._time_over)
        self._timer.daemon = True
        self._timer.start()

    @property
    def pid(self) -> int:
        """The number of the process and of its session."""
        return self.process.pid

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the program and return its exit code, negative for a signal.

        After its time limit it was ended and `timed_out` is true. Raises
        `subprocess.TimeoutExpired` when it still runs after `timeout_s`.
        """
        return self.process.wait(timeout_s)

    def end(self) -> None:
        """End the program and all it started: SIGTERM, after the grace SIGKILL."""
        if os.getpid() != self._opener:  # a forked child that leaves the block
            return
        self._timer.cancel()
        with self._ending:
            left = end_processes([self._name], grace_s=self._grace_s)
            if left:
                log.error("processes that SIGKILL did not end", pids=[name.pid for name in left])
            else:
                self.process.wait()

    def _time_over(self) -> None:
        if self.process.poll() is None:
            self.timed_out = True
            log.warning("time limit of a program", pid=self.pid, limit_s=self.limit_s)
            self.end()


class SpawnLimiter:
    """Start programs within the bounds; everything is counted for all processes of this user.

    `clock` is in seconds since 1970 and counts the starts; `sleep` waits for backpressure.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        limits: SpawnLimits | None = None,
        table: HostTable | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits = limits or SpawnLimits()
        self._root = root
        self._table = table or HostTable.open()
        self._recent = self._table.path.with_name(RECENT_FILE)
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        category: str,
        config: str | None = None,
        job: str | None = None,
        device: int | None = None,
        memory_bytes: int = 0,
        timeout_s: float | None = None,
        grace_s: float = GRACE_S,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **pipes: Any,
    ) -> Iterator[Spawned]:
        """Start a program that ends with the block, with everything that it has started.

        `timeout_s` is `limits.timeout_s` unless given; `math.inf` means only `limits.max_age_s`.
        `config` is the configuration it works on, for the halt. `pipes` are the `stdin`,
        `stdout`, `stderr`, `text`, `encoding` and `pass_fds` of `subprocess.Popen`. Raises
        `BusyError` (exit 75) without starting anything where a bound is reached or work is halted,
        `UsageError` where there is no such program.
        """
        depth = self._next_depth()
        words = [str(word) for word in argv]
        command = shown_command(words)
        limit_s = self._limit_s(timeout_s)
        with ExitStack() as closing:
            place = self._take_place(category, command)
            closing.callback(self._table.remove, place)
            if self._root is not None:
                refuse_halted(self._root, config)
            self._count_start()
            variables = {**(os.environ if env is None else env), DEPTH_VARIABLE: str(depth)}
            variables[ORIGIN_VARIABLE] = _origin(limit_s)
            spawned = self._start(words, limit_s, grace_s, env=variables, cwd=cwd, **pipes)
            closing.callback(spawned.end)
            self._register(
                spawned,
                category=category,
                command=command,
                root=self._root,
                job=job,
                device=device,
                memory_bytes=memory_bytes,
            )
            self._table.remove(place)
            yield spawned

    def pressure(self, category: str) -> Pressure:
        """Return what the running tasks mean for one more of a category."""
        return self.limits.use(self._table.tasks(), category).pressure

    def _next_depth(self) -> int:
        depth = current_depth()
        if depth >= self.limits.max_depth:
            raise BusyError(
                f"programs started by programs: depth {depth}; at most {self.limits.max_depth}",
                where=f"environment {DEPTH_VARIABLE}",
            )
        return depth + 1

    def _limit_s(self, timeout_s: float | None) -> float:
        limit_s = self.limits.timeout_s if timeout_s is None else timeout_s
        return self.limits.max_age_s if limit_s == float("inf") else limit_s

    def _take_place(self, category: str, command: str) -> Task:
        """Keep a place in the table until the child's own row is there; waits under pressure."""
        delay_s = self.pressure(category).delay_s
        if delay_s:
            log.info("waiting before a start", category=category, delay_s=delay_s)
            self._sleep(delay_s)
        others: list[Task] = []

        def accept(running: list[Task]) -> bool:
            others[:] = running
            return not self.limits.use(running, category).pressure.refused

        for _ in range(_LOOKS):
            place = self._table.add(
                category=category,
                command=command,
                root=self._root,
                job=PLACEHOLDER,
                accept=accept,
            )
            if place is not None:
                return place
            # For milliseconds a starting child holds two places, its own and its parent's.
            if all(task.job != PLACEHOLDER for task in others):
                break
            time.sleep(_LOOK_EVERY_S)
        use = self.limits.use(others, category)
        raise BusyError(
            f"{use.running} processes of {use.category!r} run; at most {use.bound}",
            where=str(self._table.path),
            hint="ringrift node roles --status",
        )

    def _count_start(self) -> None:
        with lock(self._recent.with_suffix(".lock"), timeout_s=_LOCK_WAIT_S, what="spawn count"):
            now_s = self._clock()
            starts_s = recent_spawns(self._recent, now_s=now_s, window_s=self.limits.window_s)
            if len(starts_s) >= self.limits.max_spawns:
                wait_s = starts_s[0] + self.limits.window_s - now_s
                raise BusyError(
                    f"{len(starts_s)} programs started within {self.limits.window_s:g} s; at most "
                    f"{self.limits.max_spawns}, the next in {max(0.0, wait_s):.0f} s",
                    where=str(self._recent),
                )
            write_atomic(self._recent, json.dumps([*starts_s, now_s]).encode())

    def _start(self, words: list[str], limit_s: float, grace_s: float, **popen: Any) -> Spawned:
        try:
            process = subprocess.Popen(words, start_new_session=True, **popen)  # noqa: S603 - its purpose
        except (FileNotFoundError, PermissionError) as error:
            raise UsageError(
                f"cannot start {words[0]}: {error.strerror}", where=str(error.filename)
            ) from error
        return Spawned(process, limit_s=limit_s, grace_s=grace_s)

    def _register(self, spawned: Spawned, **task: Any) -> None:
        """Enter the child, whose row goes with it; one that has ended already needs none."""
        try:
            self._table.add(pid=spawned.pid, **task)
        except RefusedError:
            if start_ticks(spawned.pid) is not None:
                raise


def shown_command(argv: Sequence[str]) -> str:
    """Return a command line without the values of options that hold secrets."""
    shown: list[str] = []
    secret_next = False
    for word in argv:
        name, equals, _value = word.partition("=")
        secret = word.startswith("-") and is_secret_name(name.lstrip("-").replace("-", "_"))
        if secret_next:
            shown.append(HIDDEN)
        elif secret and equals:
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(str(without_secrets(word)))
        secret_next = secret and not equals and not secret_next
    return shlex.join(shown)


def end_leftovers(
    root: Path, *, table: HostTable | None = None, clock: Callable[[], float] = time.time
) -> list[Task]:
    """End this root's spawned tasks whose starter is gone or whose time is over; return them.

    For the start of a run (`kill_orphans_on_start`) and for the watchdog. Only what this user's
    `SpawnLimiter` started for this root is touched.
    """
    table = table or HostTable.open()
    left = []
    for task in table.tasks(root=root):
        origin = _origin_of(task)
        if origin is not None:
            starter, limit_s = origin
            if not starter.alive or clock() - task.started_at > limit_s + GRACE_S:
                left.append(task)
    end_processes(ProcessName(task.pid, task.start_ticks) for task in left)
    for task in left:
        log.warning("ended a leftover", pid=task.pid, category=task.category, command=task.command)
        table.remove(task)
    return left


def _origin(limit_s: float) -> str:
    starter = this_process()
    return f"{starter.pid}:{starter.start_ticks}:{limit_s}"


def _origin_of(task: Task) -> tuple[ProcessName, float] | None:
    """Return who started a task and for how long; `None` if it was not started here."""
    try:
        content = Path(f"/proc/{task.pid}/environ").read_bytes().decode(errors="replace")
    except OSError:  # gone
        return None
    prefix = f"{ORIGIN_VARIABLE}="
    text = next((word for word in content.split("\0") if word.startswith(prefix)), "")
    pid, _, rest = text.removeprefix(prefix).partition(":")
    ticks, _, limit = rest.partition(":")
    if not (pid.isdecimal() and ticks.isdecimal()):
        return None
    return ProcessName(int(pid), int(ticks)), float(limit)
