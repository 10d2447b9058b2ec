"""What a spawned process does for its parent, and what it is given."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORKER_NICE = 5
_THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def begin_worker() -> None:
    """Make this spawned process a good worker; call it first.

    Ctrl-C reaches the whole group and the parent decides, SIGTERM ends at once, people's programs
    go first (nice 5, `core.md` 5), and the process ends when its parent is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, WORKER_NICE)
    end_with_parent()


def end_with_parent() -> None:
    """End this process when the parent is gone, even by `kill -9`; nothing without a parent."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@contextmanager
def threads_of_children(count: int) -> Iterator[None]:
    """Set the thread count that matrix libraries see when a child started in the block loads them.

    Their threads wait asleep: spinning ones take the cores from whoever else works here.
    """
    counts = dict.fromkeys(_THREAD_COUNTS, str(count))
    with _environment_of_children({**counts, "OMP_WAIT_POLICY": "PASSIVE"}):
        yield


@contextmanager
def plain_children() -> Iterator[None]:
    """Let a child started in the block run the rules as plain Python."""
    with _environment_of_children({"NUMBA_DISABLE_JIT": "1"}):
        yield


@contextmanager
def _environment_of_children(wanted: Mapping[str, str]) -> Iterator[None]:
    former = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
