"""Write into a store that others write into too: each waits for its turn."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ringrift.core.errors import BusyError
from ringrift.records.store import GameStore

LONGEST_WAIT_S = 60.0
_TRY_AGAIN_S = (0.002, 0.02)


@contextmanager
def writer_in_turn(path: Path, *, wait_s: float = LONGEST_WAIT_S) -> Iterator[GameStore]:
    """Open a store for writing as soon as no other writer has it.

    Raises `BusyError` naming the other writer after `wait_s`.
    """
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            store = GameStore.open(path, writer=True)
        except BusyError:
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(random.uniform(*_TRY_AGAIN_S))
        else:
            break
    with store:
        yield store
