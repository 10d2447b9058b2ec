"""Worker processes that play games; the parent hands out plans and takes back finished games.

Workers are spawned, never forked, with one thread each, and hold their games in lock step
(`player`). They write nothing. A worker that dies is replaced and its unfinished games are played
again; since a game follows from its job and its plan alone, nothing else changes.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ringrift.core.errors import RingriftError, UsageError
from ringrift.core.log import get_logger
from ringrift.core.processes import threads_of_children
from ringrift.selfplay import player
from ringrift.selfplay.player import Hygiene, WorkerFailed
from ringrift.selfplay.warming import warm_mark

if TYPE_CHECKING:
    from types import TracebackType

    from ringrift.selfplay.plans import GamePlan, Played, PlayJob

log = get_logger(__name__)

MOST_REPLAYS = 3
POLL_S = 0.1
END_WAIT_S = 2.0
LOOK_AT_MEMORY_S = 1.0

Task: TypeAlias = "tuple[int, GamePlan]"
"""A game with the number of its job."""
Key: TypeAlias = tuple[int, int]
"""The number of a job and the index of one of its games."""


class GamesFailed(RingriftError):
    """Games whose worker died each time they were played; `indices` are theirs."""

    def __init__(self, message: str, indices: Sequence[int]) -> None:
        super().__init__(message)
        self.indices = tuple(indices)


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, our end of its pipe, the games it has not returned, and the jobs it knows.

    `steps` and `seats` are how many steps it has taken and how many games were moved on in them,
    `returned` how many games it has finished: one that has finished none is not replaced.
    """

    process: Any
    pipe: Connection
    open: dict[Key, Task] = field(default_factory=dict)
    jobs: set[int] = field(default_factory=set)
    retiring: bool = False
    steps: int = 0
    seats: int = 0
    returned: int = 0


class WorkerPool:
    """Processes that stay alive between jobs; use as a context manager.

    `games` is how many each holds in lock step.
    """

    def __init__(self, workers: int = 1, games: int = 64, hygiene: Hygiene | None = None) -> None:
        if workers < 1 or games < 1:
            raise UsageError(f"{workers} workers of {games} games; expected at least 1 of each")
        self._count = workers
        self._size = games
        self._hygiene = hygiene or Hygiene()
        self._workers: list[_Worker] = []
        self._number = 0
        self._jobs: dict[int, PlayJob] = {}
        self._queue: deque[Task] = deque()
        self._replays: dict[Key, int] = {}
        self._looked_s = time.monotonic()
        self._gone = (0, 0)
        self.replaced = 0
        self.peak_bytes = 0

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [w.process.pid for w in self._workers if w.process.is_alive()]

    @property
    def fill(self) -> float | None:
        """Share of the places in lock step that held a game, over all steps so far."""
        steps = self._gone[0] + sum(w.steps for w in self._workers)
        seats = self._gone[1] + sum(w.seats for w in self._workers)
        return seats / (steps * self._size) if steps else None

    def play(
        self,
        job: PlayJob,
        plans: Sequence[GamePlan],
        stop: Callable[[], bool] = lambda: False,
        hold: Callable[[], bool] = lambda: False,
        *,
        most: int | None = None,
    ) -> Iterator[Played]:
        """Play games and yield each as it ends, in no order; ends early once `stop` says so.

        While `hold` says so no game begins; those under way are played to their end. `most` bounds
        how many of the games each worker holds, where that is less than the pool's. Games under
        way when it stops, or when the caller leaves, are dropped. Raises `GamesFailed`
        after all others for games whose worker died three times, and a worker's own error at once.
        """
        yield from self.play_jobs([(job, plans)], stop, hold, most=most)

    def play_jobs(
        self,
        jobs: Sequence[tuple[PlayJob, Sequence[GamePlan]]],
        stop: Callable[[], bool] = lambda: False,
        hold: Callable[[], bool] = lambda: False,
        *,
        most: int | None = None,
    ) -> Iterator[Played]:
        """Play the games of several jobs as `play` does, those of a job before those of the next.

        The next job's games begin while the last ones of a job end. The caller may `leave` a job
        or play one of its games `again`.
        """
        self._take_up([(job, plans) for job, plans in jobs if plans])
        if not self._queue:
            return
        failed: list[Task] = []
        try:
            self._begin(stop)
            while left := len(self._queue) + sum(len(worker.open) for worker in self._workers):
                if stop():
                    return
                self._look_at_memory()
                held = hold()
                if not held:
                    for worker in self._workers:
                        self._fill(worker, left, min(self._size, most or self._size))
                for worker, number, game in self._receive():
                    if game is None:
                        failed += self._requeue(worker)
                        self._replace(worker)
                    elif worker.open.pop((number, game[0].meta.index), None) is not None:
                        if not held and not worker.retiring:
                            self._hand_out(worker, 1)
                        yield game
        finally:
            self._drop()
        if failed:
            indices = sorted(plan.index for _, plan in failed)
            listed = ", ".join(map(str, indices[:10]))
            raise GamesFailed(
                f"{len(failed)} games were played {MOST_REPLAYS + 1} times and each time their worker "
                f"died: index {listed}",
                indices,
            )

    def _take_up(self, jobs: Sequence[tuple[PlayJob, Sequence[GamePlan]]]) -> None:
        """Give jobs their numbers and queue their games."""
        self._jobs, self._queue, self._replays = {}, deque(), {}
        for job, plans in jobs:
            if len({plan.index for plan in plans}) != len(plans):
                raise UsageError("games of one job need different indices")
            self._number += 1
            self._jobs[self._number] = job
            self._queue.extend((self._number, plan) for plan in plans)

    def leave(self, job: PlayJob) -> None:
        """Drop what is left of a job of `play_jobs`; for its caller, between two games."""
        for number in [number for number, own in self._jobs.items() if own is job]:
            self._queue = deque(task for task in self._queue if task[0] != number)
            for worker in self._workers:
                held = [key for key in worker.open if key[0] == number]
                for key in held:
                    del worker.open[key]
                if held:
                    self._send(worker, ("leave", number))

    def again(self, job: PlayJob, plan: GamePlan) -> None:
        """Play a game of a job of `play_jobs` once more; for its caller, between two games."""
        number = next(number for number, own in self._jobs.items() if own is job)
        self._queue.appendleft((number, plan))

    def renew(self, job: PlayJob, plan_of: Callable[[int], GamePlan]) -> None:
        """Play the games that have not begun as `plan_of` fixes them for another job.

        For the caller of `play` between two of its games; those under way keep their job, also
        where their worker dies.
        """
        self._number += 1
        self._jobs[self._number] = job
        self._queue = deque(
            task if _key(task) in self._replays else (self._number, plan_of(task[1].index))
            for task in self._queue
        )

    def close(self) -> None:
        """End all processes."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.pipe.close()  # a worker ends when its pipe does
        for worker in workers:
            worker.process.join(END_WAIT_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _begin(self, stop: Callable[[], bool]) -> None:
        """Start what is missing and announce the job; the first worker compiles for all."""
        for worker in [w for w in self._workers if not w.process.is_alive()]:
            self._discard(worker)
        if not self._workers:
            self._workers.append(self._spawn())
        self._announce(self._workers[0], min(self._jobs))
        if self._count > 1 and not self._compile_all(stop):
            return
        while len(self._workers) < self._count:
            self._workers.append(self._spawn())
        for worker in self._workers[1:]:
            self._announce(worker, min(self._jobs))

    def _compile_all(self, stop: Callable[[], bool]) -> bool:
        """Let the first worker compile what no job before has needed; False if stopped before."""
        missing = {warm_mark(job): number for number, job in self._jobs.items()}
        for mark, number in missing.items():
            if mark.exists():
                continue
            if not self._compile(number, stop):
                return False
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        return True

    def _compile(self, number: int, stop: Callable[[], bool]) -> bool:
        """Let the first worker compile all that a job needs; False if stopped before."""
        for _ in range(MOST_REPLAYS):
            worker = self._workers[0]
            if number not in worker.jobs:
                self._announce(worker, number)
            self._send(worker, ("warm", number))
            while not stop():
                if not worker.pipe.poll(POLL_S):
                    continue
                message = self._read(worker)
                if message is None:
                    self._replace(worker)
                    break
                if message[:2] == ("warm", number):
                    return True
            else:
                return False
        raise WorkerFailed(f"{MOST_REPLAYS} workers died while they compiled")

    def _announce(self, worker: _Worker, number: int) -> None:
        job, first = self._jobs[number], min(self._jobs)
        self._send(worker, ("job", number, first, job, self._size, self._hygiene))
        worker.jobs.add(number)

    def _receive(self) -> Iterator[tuple[_Worker, int, Any]]:
        """Yield finished games of the jobs at hand with their jobs; None for a worker that died."""
        ready = set(wait([w.pipe for w in self._workers], POLL_S))
        for worker in [w for w in self._workers if w.pipe in ready]:
            message = self._read(worker)
            if message is None:
                yield worker, 0, None
            elif message[0] == "game" and message[1] in self._jobs:
                worker.steps, worker.seats = message[3]
                worker.returned += 1
                yield worker, message[1], message[2]

    def _read(self, worker: _Worker) -> Any:
        """Read one message; None at the end of the pipe. Raises what the worker raised."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            return None
        if message[0] != "error":
            return message
        if message[1] not in self._jobs:
            return None  # it failed after its job was over
        self._discard(worker)
        raise message[2]

    def _look_at_memory(self) -> None:
        """Note the largest worker; replace those above their share once their games are over."""
        if time.monotonic() - self._looked_s >= LOOK_AT_MEMORY_S:
            self._looked_s = time.monotonic()
            for worker in self._workers:
                used = _resident_bytes(worker.process.pid)
                self.peak_bytes = max(self.peak_bytes, used)
                limit = self._hygiene.memory_mb
                above = limit is not None and used > limit << 20
                worker.retiring |= above and worker.returned > 0
        for worker in [w for w in self._workers if w.retiring and not w.open]:
            log.info("a worker is replaced", pid=worker.process.pid)
            self.replaced += 1
            self._replace(worker)

    def _discard(self, worker: _Worker) -> None:
        self._gone = (self._gone[0] + worker.steps, self._gone[1] + worker.seats)
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()

    def _send(self, worker: _Worker, message: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the next read says that it died
            worker.pipe.send(message)

    def _hand_out(self, worker: _Worker, count: int) -> None:
        tasks = [self._queue.popleft() for _ in range(min(count, len(self._queue)))]
        worker.open.update((_key(task), task) for task in tasks)
        for number in dict.fromkeys(number for number, _ in tasks):
            if number not in worker.jobs:
                self._announce(worker, number)
            plans = [plan for own, plan in tasks if own == number]
            self._send(worker, ("games", number, plans))

    def _fill(self, worker: _Worker, left: int, most: int) -> None:
        """Give an idle worker its share: `most`, but leave the others theirs."""
        share = 0 if worker.retiring else min(most, -(-left // self._count))
        if len(worker.open) < share:
            self._hand_out(worker, share - len(worker.open))

    def _requeue(self, worker: _Worker) -> list[Task]:
        """Queue the games of a dead worker again; return those that have been too often."""
        log.warning("a worker died", how=_exit(worker), games=len(worker.open))
        failed = []
        for key, task in reversed(worker.open.items()):
            self._replays[key] = self._replays.get(key, 0) + 1
            if self._replays[key] > MOST_REPLAYS:
                failed.append(task)
            else:
                self._queue.appendleft(task)
        worker.open.clear()
        return failed

    def _replace(self, worker: _Worker) -> None:
        place = self._workers.index(worker)
        self._discard(worker)
        self._workers.insert(place, self._spawn())

    def _drop(self) -> None:
        for worker in self._workers:
            if worker.open:
                worker.open.clear()
                self._send(worker, ("drop", self._number))

    def _spawn(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=player.main, args=(theirs,), name="ringrift-player", daemon=True
        )
        with threads_of_children(1):
            process.start()
        theirs.close()
        return _Worker(process, ours)


def _key(task: Task) -> Key:
    return task[0], task[1].index


def _resident_bytes(pid: int) -> int:
    """Return the memory of a process, 0 of one that has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGESIZE")


def _exit(worker: _Worker) -> str:
    worker.process.join(END_WAIT_S)
    return f"exit code {worker.process.exitcode}"
