"""Turn SIGINT and SIGTERM into a flag that loops look at; twice within 2 s ends at once."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

TWICE_WITHIN_S = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived where nothing stops cooperatively; the exit code is 143."""


class Stop:
    """Hold the wish to stop; `requested` is cheap enough to be read once a ply."""

    __slots__ = ("_event", "_first_s", "signum")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._first_s: float | None = None
        self.signum: int | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal or `request` asked to stop."""
        return self._event.is_set()

    @property
    def exit_code(self) -> int:
        """0 while nothing asked, 143 after SIGTERM, 130 otherwise."""
        if not self.requested:
            return 0
        return 143 if self.signum == signal.SIGTERM else 130

    def request(self, signum: int | None = None) -> None:
        """Ask to stop."""
        self.signum = signum if self.signum is None else self.signum
        self._event.set()

    def wait(self, timeout_s: float) -> bool:
        """Sleep until asked to stop or until the time is over; return `requested`."""
        return self._event.wait(timeout_s)

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        now_s = time.monotonic()
        again = self._first_s is not None and now_s - self._first_s <= TWICE_WITHIN_S
        self._first_s = now_s
        self.request(signum)
        if again:
            raise_for(signum)


def raise_for(signum: int) -> None:
    """Raise the exception of a signal: `Terminated` for SIGTERM, else `KeyboardInterrupt`."""
    if signum == signal.SIGTERM:
        raise Terminated
    raise KeyboardInterrupt


@contextmanager
def cooperative_stop() -> Iterator[Stop]:
    """Catch SIGINT and SIGTERM while the block runs; the former handlers come back after it.

    Works in the main thread only, which is where Python delivers signals.
    """
    stop = Stop()
    former = {number: signal.signal(number, stop._on_signal) for number in _SIGNALS}  # noqa: SLF001 - the handler is no method for others
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def terminate_as_exception() -> Iterator[None]:
    """Make SIGTERM raise `Terminated` while the block runs, as SIGINT raises already."""
    former = signal.signal(signal.SIGTERM, lambda number, _frame: raise_for(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
