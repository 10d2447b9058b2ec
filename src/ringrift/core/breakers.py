"""Stop calling what keeps failing (`core.md` 7).

One breaker per named dependency: a host, a cloud provider, an alert sink. `pybreaker` counts and
changes states; this module adds an injectable clock, calls that run side by side, single probes,
and a file that other processes read.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

from ringrift.core.errors import BusyError, RingriftError
from ringrift.core.files import lock, write_atomic
from ringrift.core.hidden import without_secrets
from ringrift.core.host_table import start_ticks
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pybreaker import CircuitBreaker

log = get_logger(__name__)

T = TypeVar("T")

FILE = "data/coordination/breakers.json"
BreakerState = Literal["closed", "open", "half-open"]

_LONGEST_ERROR = 300
_SECRET_IN_QUERY = re.compile(
    r"((?:token|password|secret|api_?key|key|signature)=)[^&\s'\"]+", re.IGNORECASE
)


class BreakerOpen(BusyError):
    """A call that was not made, because the dependency kept failing."""


class BreakerSettings(Protocol):
    """The keys of section `safeguards` that are read here."""

    @property
    def breaker_failures(self) -> int:
        """Failures in a row that open a breaker."""

    @property
    def breaker_open_seconds(self) -> float:
        """Seconds that a breaker stays open."""

    @property
    def breaker_probes(self) -> int:
        """Probes in a row that must pass before it closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatus:
    """Describe one breaker of one process; times are UTC ISO 8601, `None` when it never happened."""

    name: str
    state: BreakerState
    failures: int
    probes_passed: int
    opened_at: str | None
    last_error: str | None
    last_error_at: str | None
    pid: int
    start_ticks: int


class Breaker:
    """Guard the calls to one dependency; get it from `Breakers.get`. Usable from any thread."""

    def __init__(
        self,
        name: str,
        *,
        failures: int,
        open_s: float,
        probes: int,
        clock: Callable[[], float],
        ignore: tuple[type[Exception], ...],
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self._open_s = open_s
        self._ignore = ignore
        self._clock = clock
        self._changed = changed
        self._lock = threading.RLock()
        self._probing = False
        self._epoch = 0
        self._opened_s = 0.0
        self._opened_at: str | None = None
        self._last_error: str | None = None
        self._last_error_at: str | None = None
        self._counting = self._make(failures, probes)

    def _make(self, failures: int, probes: int) -> CircuitBreaker:
        from pybreaker import CircuitBreaker, CircuitBreakerListener

        breaker = self

        class Listener(CircuitBreakerListener):
            def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
                del cb, old_state
                breaker._on_state(new_state.name)

        return CircuitBreaker(
            fail_max=failures,
            reset_timeout=self._open_s,
            success_threshold=probes,
            listeners=[Listener()],
            name=self.name,
            throw_new_error_on_trip=False,
        )

    def _on_state(self, state: str) -> None:
        self._epoch += 1
        if state == "open":
            self._opened_s = self._clock()
            self._opened_at = _utc_now()
        log.info("circuit breaker", dependency=self.name, state=state)

    @property
    def state(self) -> BreakerState:
        """Whether calls are made, refused, or tried one at a time."""
        return cast("BreakerState", self._counting.current_state)

    @property
    def open_for_s(self) -> float:
        """Seconds since the breaker opened last."""
        return self._clock() - self._opened_s

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `function` unless the breaker is open; raises as `guard`."""
        with self.guard():
            return function(*args, **kwargs)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Count how the block ends: an exception as a failure, its end as a success.

        Raises `BreakerOpen` without entering the block while the breaker is open, and for a second
        call while a probe runs. Exceptions of the kinds named in `Breakers.get(ignore=...)` count
        as successes: the dependency answered. What is no `Exception` (Ctrl-C, a cancelled task)
        counts as nothing. Works around `await` as well: no lock is held inside the block.
        """
        epoch = self._enter()
        error: Exception | None = None
        finished = False
        try:
            yield
            finished = True
        except Exception as raised:
            error, finished = raised, True
            raise
        finally:
            self._leave(epoch, error, finished=finished)

    def status(self) -> BreakerStatus:
        """Return state, counts and the last error."""
        with self._lock:
            return BreakerStatus(
                name=self.name,
                state=self.state,
                failures=self._counting.fail_counter,
                probes_passed=self._counting.success_counter,
                opened_at=self._opened_at,
                last_error=self._last_error,
                last_error_at=self._last_error_at,
                pid=os.getpid(),
                start_ticks=start_ticks(os.getpid()) or 0,
            )

    def _enter(self) -> int:
        with self._lock:
            if self.state == "open":
                left_s = self._open_s - self.open_for_s
                if left_s > 0:
                    raise self._refusal(f"for another {left_s:.0f} s")
                self._counting.half_open()
            if self.state == "half-open":
                if self._probing:
                    raise self._refusal("while a probe runs")
                self._probing = True
            return self._epoch

    def _refusal(self, how_long: str) -> BreakerOpen:
        last = f": {self._last_error}" if self._last_error else ""
        return BreakerOpen(f"{self.name} keeps failing and is not called {how_long}{last}")

    def _leave(self, epoch: int, error: Exception | None, *, finished: bool) -> None:
        failed = error is not None and not isinstance(error, self._ignore)
        with self._lock:
            before = (self.state, self._counting.fail_counter, self._counting.success_counter)
            if epoch == self._epoch:
                self._probing = False
            if error is not None and failed:
                self._last_error = shown_error(error)
                self._last_error_at = _utc_now()
            # A call that began in an earlier state says nothing about this one.
            if finished and epoch == self._epoch:
                self._count(error if failed else None)
            after = (self.state, self._counting.fail_counter, self._counting.success_counter)
        if before != after:
            self._changed()

    def _count(self, error: Exception | None) -> None:
        """Tell `pybreaker` how a call ended; the call itself ran outside its lock."""

        def outcome() -> None:
            if error is not None:
                raise _Failed

        with suppress(_Failed):
            self._counting.call(outcome)


class _Failed(Exception):
    """Stands for the error of a call while it is counted, so that its traceback stays its own."""


class Breakers:
    """Hold the breakers of this process by name.

    With `root` every change is written to `data/coordination/breakers.json`, beside the rows of
    other living processes; `read_breakers` reads it. `clock` is in seconds and only runs forward.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        failures: int = 5,
        open_s: float = 300.0,
        probes: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._failures = failures
        self._open_s = open_s
        self._probes = probes
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._breakers: dict[str, Breaker] = {}

    @classmethod
    def from_settings(
        cls,
        settings: BreakerSettings,
        root: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Breakers:
        """Return breakers with the numbers of section `safeguards`."""
        return cls(
            root,
            failures=settings.breaker_failures,
            open_s=settings.breaker_open_seconds,
            probes=settings.breaker_probes,
            clock=clock,
        )

    def get(self, name: str, *, ignore: Iterable[type[Exception]] = ()) -> Breaker:
        """Return the breaker of a dependency, closed at first.

        `ignore` are errors that say nothing against the dependency, such as "not found"; they are
        fixed by the first call for a name.
        """
        with self._lock:
            if name not in self._breakers:
                self._breakers[name] = Breaker(
                    name,
                    failures=self._failures,
                    open_s=self._open_s,
                    probes=self._probes,
                    clock=self._clock,
                    ignore=tuple(ignore),
                    changed=self._write,
                )
            return self._breakers[name]

    def status(self) -> list[BreakerStatus]:
        """Return every breaker of this process, by name."""
        with self._lock:
            held = list(self._breakers.values())
        return sorted((breaker.status() for breaker in held), key=lambda status: status.name)

    def _write(self) -> None:
        if self._root is None:
            return
        path = self._root / FILE
        try:
            with self._writing, lock(path.with_suffix(".lock"), timeout_s=5.0, what="breakers"):
                others = [row for row in read_breakers(self._root) if row.pid != os.getpid()]
                rows = [asdict(row) for row in (*others, *self.status())]
                write_atomic(path, json.dumps({"schema": 1, "breakers": rows}).encode())
        except (OSError, RingriftError) as error:  # what is shown must not fail what is guarded
            log.warning("breaker states not written", file=str(path), error=str(error))


def read_breakers(root: Path) -> list[BreakerStatus]:
    """Return the breakers of all living processes of a data root that had a failure, by name."""
    path = root / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [BreakerStatus(**row) for row in content["breakers"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        log.warning("breaker states unreadable", file=str(path), error=str(error))
        return []
    living = [row for row in rows if start_ticks(row.pid) == row.start_ticks]
    return sorted(living, key=lambda row: (row.name, row.pid))


def shown_error(error: BaseException) -> str:
    """Return one line of an error without secrets: kind and text, no users or keys of URLs."""
    text = " ".join(str(without_secrets(str(error))).split())
    text = _SECRET_IN_QUERY.sub(r"\1***", text)
    return f"{type(error).__name__}: {text}"[:_LONGEST_ERROR] if text else type(error).__name__


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
