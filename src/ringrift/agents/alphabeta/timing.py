"""When a search ends early: flags that compiled code reads, and the clock that sets one."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.alphabeta.workspace import KILL, TIME


class StopFlags:
    """The flags of one search memory, `array`: int64[2]: the clock's, and one for anybody else."""

    def __init__(self, array: NDArray[np.int64]) -> None:
        self.array = array

    def kill(self) -> None:
        """End the search under way, and every later one at once, until `clear`."""
        self.array[KILL] = 1

    def clear(self) -> None:
        """Let searches run again."""
        self.array[KILL] = 0

    @property
    def killed(self) -> bool:
        """True from `kill` to `clear`."""
        return bool(self.array[KILL])


class Clock:
    """The time of one search: a timer thread sets the flag at `limit_ms`; None never does."""

    def __init__(self, flags: StopFlags, limit_ms: float | None) -> None:
        self._flags = flags
        self._started_s = time.perf_counter()
        self.limit_ms = limit_ms
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Clock:
        self._flags.array[TIME] = 0
        if self.limit_ms is not None:
            self._timer = threading.Timer(self.limit_ms / 1000, self._ring)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()  # a late ring must not end the next search
        self._flags.array[TIME] = 0

    def _ring(self) -> None:
        self._flags.array[TIME] = 1

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the search began."""
        return (time.perf_counter() - self._started_s) * 1000

    def spent(self, share: float) -> bool:
        """Tell whether this share of the time is gone; never without a limit."""
        return self.limit_ms is not None and self.elapsed_ms >= share * self.limit_ms
