"""Worker processes that play games; the parent hands out plans and takes back finished games.

Workers are spawned, never forked, with one thread each, and hold their games in lock step. They
write nothing. A worker that dies is replaced and its unfinished games are played again; since a
game follows from its plan alone, nothing else changes.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import RingriftError, UsageError
from ringrift.core.log import get_logger
from ringrift.core.processes import begin_worker, threads_of_children
from ringrift.selfplay.plans import GamePlan, Played, PlayJob
from ringrift.selfplay.warming import warm, warm_mark

if TYPE_CHECKING:
    from types import TracebackType

    from ringrift.agents.protocol import Agent
    from ringrift.selfplay.lockstep import Table

log = get_logger(__name__)

MOST_REPLAYS = 3
POLL_S = 0.1
END_WAIT_S = 2.0
AGENTS_KEPT = 16
LOOK_AT_MEMORY_S = 1.0


class GamesFailed(RingriftError):
    """Games whose worker died each time they were played; `indices` are theirs."""

    def __init__(self, message: str, indices: Sequence[int]) -> None:
        super().__init__(message)
        self.indices = tuple(indices)


class WorkerFailed(RingriftError):
    """A worker that reported a defect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hygiene:
    """How workers keep their memory small.

    Garbage is collected every `gc_games` finished games and every `gc_steps` choices (0: when
    Python does). A worker above `memory_mb` resident MiB finishes its games and is replaced.
    """

    gc_games: int = 0
    gc_steps: int = 0
    memory_mb: int | None = None


# --- the parent's side


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, our end of its pipe, and the games it has not returned.

    `steps` and `seats` are how many steps it has taken and how many games were moved on in them,
    `returned` how many games it has finished: one that has finished none is not replaced.
    """

    process: Any
    pipe: Connection
    open: dict[int, GamePlan] = field(default_factory=dict)
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
        self._job = 0
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
    ) -> Iterator[Played]:
        """Play games and yield each as it ends, in no order; ends early once `stop` says so.

        While `hold` says so no game begins; those under way are played to their end. Games under
        way when it stops, or when the caller leaves, are dropped. Raises `GamesFailed`
        after all others for games whose worker died three times, and a worker's own error at once.
        """
        if len({plan.index for plan in plans}) != len(plans):
            raise UsageError("games of one job need different indices")
        if not plans:
            return
        self._job += 1
        queue = deque(plans)
        replays: dict[int, int] = {}
        failed: list[int] = []
        left = len(plans)
        try:
            self._begin(job, stop)
            while left > len(failed):
                if stop():
                    return
                self._look_at_memory(job)
                held = hold()
                if not held:
                    for worker in self._workers:
                        self._fill(worker, queue, left)
                for worker, game in self._receive():
                    if game is None:
                        self._requeue(worker, queue, replays, failed)
                        self._replace(worker, job)
                    elif worker.open.pop(game[0].meta.index, None) is not None:
                        left -= 1
                        if not held and not worker.retiring:
                            self._hand_out(worker, queue, 1)
                        yield game
        finally:
            self._drop()
        if failed:
            listed = ", ".join(map(str, sorted(failed)[:10]))
            raise GamesFailed(
                f"{len(failed)} games were played {MOST_REPLAYS + 1} times and each time their worker "
                f"died: index {listed}",
                sorted(failed),
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

    def _begin(self, job: PlayJob, stop: Callable[[], bool]) -> None:
        """Start what is missing and announce the job; the first worker compiles for all."""
        for worker in [w for w in self._workers if not w.process.is_alive()]:
            self._discard(worker)
        if not self._workers:
            self._workers.append(self._spawn())
        self._announce(self._workers[0], job)
        mark = warm_mark(job)
        if not mark.exists() and self._count > 1:
            if not self._compile(job, stop):
                return
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        while len(self._workers) < self._count:
            self._workers.append(self._spawn())
        for worker in self._workers[1:]:
            self._announce(worker, job)

    def _compile(self, job: PlayJob, stop: Callable[[], bool]) -> bool:
        """Let the first worker compile all that the job needs; False if stopped before."""
        for _ in range(MOST_REPLAYS):
            worker = self._workers[0]
            self._send(worker, ("warm", self._job))
            while not stop():
                if not worker.pipe.poll(POLL_S):
                    continue
                message = self._read(worker)
                if message is None:
                    self._replace(worker, job)
                    break
                if message[:2] == ("warm", self._job):
                    return True
            else:
                return False
        raise WorkerFailed(f"{MOST_REPLAYS} workers died while they compiled")

    def _announce(self, worker: _Worker, job: PlayJob) -> None:
        self._send(worker, ("job", self._job, job, self._size, self._hygiene))

    def _receive(self) -> Iterator[tuple[_Worker, Any]]:
        """Yield finished games of this job; None for a worker that died."""
        ready = set(wait([w.pipe for w in self._workers], POLL_S))
        for worker in [w for w in self._workers if w.pipe in ready]:
            message = self._read(worker)
            if message is None:
                yield worker, None
            elif message[:2] == ("game", self._job):
                worker.steps, worker.seats = message[3]
                worker.returned += 1
                yield worker, message[2]

    def _read(self, worker: _Worker) -> Any:
        """Read one message; None at the end of the pipe. Raises what the worker raised."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            return None
        if message[0] != "error":
            return message
        if message[1] != self._job:
            return None  # it failed after its job was over
        self._discard(worker)
        raise message[2]

    def _look_at_memory(self, job: PlayJob) -> None:
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
            self._replace(worker, job)

    def _discard(self, worker: _Worker) -> None:
        self._gone = (self._gone[0] + worker.steps, self._gone[1] + worker.seats)
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()

    def _send(self, worker: _Worker, message: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the next read says that it died
            worker.pipe.send(message)

    def _hand_out(self, worker: _Worker, queue: deque[GamePlan], count: int) -> None:
        plans = [queue.popleft() for _ in range(min(count, len(queue)))]
        if plans:
            worker.open.update((plan.index, plan) for plan in plans)
            self._send(worker, ("games", self._job, plans))

    def _fill(self, worker: _Worker, queue: deque[GamePlan], left: int) -> None:
        """Give an idle worker its share: as many as it holds, but leave the others theirs."""
        share = 0 if worker.retiring else min(self._size, -(-left // self._count))
        if queue and len(worker.open) < share:
            self._hand_out(worker, queue, share - len(worker.open))

    def _requeue(
        self,
        worker: _Worker,
        queue: deque[GamePlan],
        replays: dict[int, int],
        failed: list[int],
    ) -> None:
        log.warning("a worker died", how=_exit(worker), games=len(worker.open))
        for index, plan in worker.open.items():
            replays[index] = replays.get(index, 0) + 1
            if replays[index] > MOST_REPLAYS:
                failed.append(index)
            else:
                queue.append(plan)
        worker.open.clear()

    def _replace(self, worker: _Worker, job: PlayJob) -> None:
        place = self._workers.index(worker)
        self._discard(worker)
        self._workers.insert(place, self._spawn())
        self._announce(self._workers[place], job)

    def _drop(self) -> None:
        for worker in self._workers:
            if worker.open:
                worker.open.clear()
                self._send(worker, ("drop", self._job))

    def _spawn(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_main, args=(theirs,), name="ringrift-player", daemon=True)
        with threads_of_children(1):
            process.start()
        theirs.close()
        return _Worker(process, ours)


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


# --- the worker's side


class _Player:
    """One worker: reads orders between steps, plays, sends finished games."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._shelf = AgentShelf()
        self._number = 0
        self._plans: deque[GamePlan] = deque()
        self._table: Table | None = None
        self._hygiene = Hygiene()
        self._size = self._steps = self._seats = self._games = 0

    def run(self) -> None:
        """Serve until the pipe ends."""
        while True:
            while self._pipe.poll(None if self._idle else 0):
                self._obey(self._pipe.recv())
            table = self._table
            assert table is not None
            while self._plans and table.free:
                table.start(self._plans.popleft())
            self._steps += 1
            self._seats += self._size - table.free
            for game in table.step():
                self._games += 1
                self._pipe.send(("game", self._number, game, (self._steps, self._seats)))
                self._tidy(self._games, self._hygiene.gc_games)
            self._tidy(self._steps, self._hygiene.gc_steps)

    def _tidy(self, count: int, every: int) -> None:
        if every and count % every == 0:
            gc.collect()

    @property
    def _idle(self) -> bool:
        return not self._plans and (self._table is None or not self._table.busy)

    def _obey(self, message: Any) -> None:
        order, number = message[:2]
        if order == "job":
            from ringrift.selfplay.lockstep import Table

            job, self._size, self._hygiene = message[2:]
            self._number = number
            self._plans.clear()
            self._table = Table(job, self._shelf.agents(job), self._size)
        elif number != self._number or self._table is None:
            return
        elif order == "games":
            self._plans.extend(message[2])
        elif order == "warm":
            warm(self._table)
            self._pipe.send(("warm", number))
        elif order == "drop":
            self._plans.clear()
            self._table = self._table.emptied()

    @property
    def number(self) -> int:
        """Number of the job at hand."""
        return self._number


class AgentShelf:
    """Keeps the last agents made, so that a job with a known model loads nothing."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, str, bool, float], Agent] = {}

    def agents(self, job: PlayJob) -> list[Agent]:
        """Return the agents of a job, with its search control in their specs.

        Raises what is wrong with a spec or a model.
        """
        from ringrift.selfplay.agents_of import played_spec

        return [self._agent(job, str(played_spec(text, job.control))) for text in job.agents]

    def _agent(self, job: PlayJob, text: str) -> Agent:
        from ringrift.agents.factory import make_agent
        from ringrift.selfplay.agents_of import move_scale

        file = "\n".join(f"{name}={path}" for name, path in sorted(job.models.items()))
        scale = move_scale(job)
        key = (job.spec.hash, text, file, job.explore, scale)
        if key not in self._made:
            agent = make_agent(
                text,
                job.spec,
                lambda name: _load(job, name),
                explore=job.explore,
                move_scale=scale,
            )
            self._made[key] = agent
            while len(self._made) > AGENTS_KEPT:
                del self._made[next(iter(self._made))]
        return self._made[key]


def _load(job: PlayJob, name: str) -> Any:
    from ringrift.nets.loading import open_model

    if name not in job.models:
        known = ", ".join(job.models) or "none"
        raise UsageError(f"no file is given for the model {name!r}; known: {known}")
    return open_model(Path(job.models[name]), job.spec)


def _main(pipe: Connection) -> None:
    begin_worker()
    player = _Player(pipe)
    try:
        player.run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent has closed the pipe or is gone
    except RingriftError as error:
        _report(pipe, player.number, error)
    except Exception as error:  # noqa: BLE001 - the border of the process
        lines = [line.strip() for line in traceback.format_exc().splitlines()]
        places = [line for line in lines if line.startswith("File ")]
        message = f"{type(error).__name__}: {error} ({places[-1] if places else 'unknown place'})"
        _report(pipe, player.number, WorkerFailed(message))


def _report(pipe: Connection, number: int, error: RingriftError) -> None:
    """Send an error that survives pickling with its exit code, and wait for the end."""
    plain = WorkerFailed(error.message, where=error.where, hint=error.hint)
    plain.exit_code = error.exit_code
    with suppress(EOFError, OSError):
        pipe.send(("error", number, plain))
        while True:
            pipe.recv()
