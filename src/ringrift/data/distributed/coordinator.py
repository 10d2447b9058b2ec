"""Hand out the chunks of exports, help where nobody takes them, merge what comes back (`data.md` 6)."""

from __future__ import annotations

import multiprocessing
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import RingriftError
from ringrift.core.files import lock
from ringrift.core.log import get_logger
from ringrift.core.processes import threads_of_children
from ringrift.data.distributed.chunks import cut
from ringrift.data.distributed.folder_queue import ChunkState, FolderQueue
from ringrift.data.distributed.publishing import Merged
from ringrift.data.distributed.queue import ATTEMPTS, TIMEOUT_S
from ringrift.data.distributed.worker import work_on_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ringrift.data.dataset.plan import Plan

log = get_logger(__name__)

OTHERS_S = 5.0
"""How long nobody else may take a chunk before this host's processes do."""

_LOOK_EVERY_S = 0.1
_GRACE_S = 5.0
_FRUITLESS = 3


class ChunkFailed(RingriftError):
    """A chunk that failed each time; the exit code is that of its last failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a plan is shared out: into how many chunks, to how many processes of this host.

    A chunk is tried `attempts` times, each at most `timeout_s`. After `others_s` in which no other
    worker took one, this host's processes begin; with 0 at once.
    """

    chunks: int = 8
    workers: int = 1
    timeout_s: float = TIMEOUT_S
    attempts: int = ATTEMPTS
    others_s: float = OTHERS_S


class Coordinator:
    """Hold the queues of some plans in `folder`; a context manager.

    What an interrupted coordinator of the same plans had got is kept. Raises `BusyError` while
    another one works on a plan of these.
    """

    def __init__(self, plans: Sequence[Plan], folder: Path, sharing: Sharing) -> None:
        self.sharing = sharing
        self._plans = tuple(plans)
        self._folder = folder
        self._stack = ExitStack()
        self.queues: tuple[FolderQueue, ...] = ()

    def __enter__(self) -> Coordinator:
        with self._stack:
            filed = []
            for plan in self._plans:
                folder = self._folder / plan.request[:32]
                self._stack.enter_context(lock(_lock_of(folder), what="distributed export"))
                queue = FolderQueue.file(
                    folder,
                    cut(plan, self.sharing.chunks),
                    timeout_s=self.sharing.timeout_s,
                    attempts=self.sharing.attempts,
                )
                filed.append(queue)
            self.queues = tuple(filed)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(
        self,
        *,
        on_chunks: Callable[[int, int], None] = lambda done, total: None,
        each_look: Callable[[], None] = lambda: None,
    ) -> None:
        """Return when every chunk is done.

        `on_chunks` hears how many are, `each_look` is called ten times a second. What is done stays
        when it is interrupted. Raises `ChunkFailed` for a chunk that failed each time.
        """
        began_s = time.time()
        with _Hands(self.queues) as hands:
            while True:
                each_look()
                states = [state for queue in self.queues for state in queue.states()]
                on_chunks(sum(state.done for state in states), len(states))
                if all(state.done for state in states):
                    return
                self._refuse_failed(states)
                hands.look(states, self.sharing, began_s)
                time.sleep(_LOOK_EVERY_S)

    def merged(self) -> list[Merged]:
        """Return every plan with its blocks, after `run` and until `remove`."""
        pairs = zip(self._plans, self.queues, strict=True)
        return [Merged(plan=plan, packs=tuple(queue.results())) for plan, queue in pairs]

    def remove(self) -> None:
        """Delete the queues: their datasets are written."""
        for queue in self.queues:
            queue.remove()
            _lock_of(queue.folder).unlink(missing_ok=True)

    def _refuse_failed(self, states: Sequence[ChunkState]) -> None:
        for state in states:
            timeout_s, attempts = self.sharing.timeout_s, self.sharing.attempts
            if state.done or state.open(timeout_s, attempts) or state.busy(timeout_s):
                continue
            failure: dict[str, Any] = state.attempts[-1].failure or {}
            told = failure.get("message") or f"its worker died or took over {timeout_s:g} s"
            error = ChunkFailed(
                f"chunk {state.name} failed {len(state.attempts)} times: {told}",
                where=failure.get("where"),
                hint=failure.get("hint"),
            )
            error.exit_code = int(failure.get("code") or error.exit_code)
            raise error


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


class _Hands:
    """This host's own processes, started when nobody else works."""

    def __init__(self, queues: Sequence[FolderQueue]) -> None:
        self._folders = [queue.folder for queue in queues]
        self._running: list[Any] = []
        self._pids: set[int] = set()
        self._fruitless = 0
        self._attempts = 0

    def __enter__(self) -> _Hands:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._running:
            process.kill()
        for process in self._running:
            process.join()

    def look(self, states: Sequence[ChunkState], sharing: Sharing, began_s: float) -> None:
        """End processes that are late, and start some where chunks are open that nobody takes."""
        self._end_late(states, sharing.timeout_s)
        self._forget_ended(sum(len(state.attempts) for state in states))
        left = sum(state.open(sharing.timeout_s, sharing.attempts) for state in states)
        others_s = [
            attempt.since_s
            for state in states
            for attempt in state.attempts
            if attempt.owner is not None and attempt.owner.pid not in self._pids
        ]
        if time.time() - max([began_s, *others_s]) < sharing.others_s:
            return
        while len(self._running) < min(sharing.workers, left):
            self._start()

    def _start(self) -> None:
        process = multiprocessing.get_context("spawn").Process(
            target=work_on_folders, args=(self._folders,), name="export-worker"
        )
        with threads_of_children(1):
            process.start()
        self._running.append(process)
        self._pids.add(process.pid or 0)
        log.debug("a worker of this host", pid=process.pid)

    def _end_late(self, states: Sequence[ChunkState], timeout_s: float) -> None:
        oldest = time.time() - timeout_s - _GRACE_S
        late = {
            attempt.owner.pid
            for state in states
            for attempt in state.attempts
            if attempt.running and attempt.owner is not None and attempt.since_s < oldest
        }
        for process in self._running:
            if process.pid in late and process.pid != os.getpid():
                log.warning("a worker took too long", pid=process.pid, limit_s=timeout_s)
                process.kill()

    def _forget_ended(self, attempts: int) -> None:
        """Count processes that ended badly without having tried anything: not for ever."""
        ended = [process for process in self._running if not process.is_alive()]
        self._running = [process for process in self._running if process.is_alive()]
        if any(process.exitcode for process in ended):
            self._fruitless = self._fruitless + 1 if attempts == self._attempts else 0
            self._attempts = attempts
        if self._fruitless >= _FRUITLESS:
            raise RingriftError(
                f"{self._fruitless} workers of this host ended before they took a chunk",
                hint="ringrift -v data export-distributed ...",
            )
