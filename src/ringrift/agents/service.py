"""The decision service: moves for people's games from a few processes (`agents.md` 10).

Callers are threads; each worker process has a thread here that hands it one request after another.
A worker that dies or overruns its time is replaced, and the request it was at fails with the reason.
Nothing is answered by anything but the agent that was asked for.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ringrift.agents import explain
from ringrift.agents.ladder import LadderLevel, Overrides, ladder, playable
from ringrift.agents.move_worker import (
    OUT_OF_MEMORY,
    MoveJob,
    MoveWorkerFailed,
    main,
    model_files,
)
from ringrift.agents.protocol import Budget, Decision, StateArray
from ringrift.agents.spec import AgentSpec, parse_spec
from ringrift.core.errors import BusyError, RingriftError, UsageError
from ringrift.core.log import get_logger
from ringrift.core.processes import threads_of_children
from ringrift.rules import BoardSpec, Position, parse_config

log = get_logger(__name__)

FindFile = Callable[[str, BoardSpec], Path]
"""Finds the file of a model by what stands after `@`; raises a `RingriftError` if there is none."""

GRACE_S = 2.0
"""How long after its think time a search is ended the hard way."""
TIMEOUT_S = 30.0
QUEUE = 32
BATCH = 16
MEMORY_BYTES = 3 << 30
PREPARE_S = 300.0
"""Longest time to make an agent: a first use may compile."""
END_WAIT_S = 2.0


class QueueFull(BusyError):
    """More requests wait than the service takes."""


class MoveTimedOut(BusyError):
    """A request that was not answered in its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the heuristic says of a position: a value per seat, and what a seat's score is made of."""

    seat: int
    values: tuple[float, ...]
    score: float
    breakdown: dict[str, float]


@dataclass(slots=True, eq=False, kw_only=True)
class _Request:
    job: MoveJob
    state: StateArray
    seed: int
    budget: Budget
    limit_s: float
    until_s: float
    alone: bool = False
    searched: bool = False
    given_up: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    decision: Decision | None = None
    error: RingriftError | None = None

    def answer(self, decision: Decision | None, error: RingriftError | None = None) -> None:
        self.decision, self.error = decision, error
        self.done.set()


class _Ended(Exception):
    """A worker that is gone or was given up, with the reason for people."""

    def __init__(self, error: RingriftError) -> None:
        super().__init__(error.message)
        self.error = error


class DecisionService:
    """Decide positions in worker processes; use as a context manager, from any number of threads.

    `find` gives the files of models; without it agents with models cannot play. `timeout_s` bounds
    every request; think times are cut to two seconds below it. `queue` requests may wait.
    `memory_bytes` is what a worker may use. `warm` are agents that every worker makes ahead.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        queue: int = QUEUE,
        find: FindFile | None = None,
        levels: Overrides | None = None,
        timeout_s: float = TIMEOUT_S,
        memory_bytes: int = MEMORY_BYTES,
        batch: int = BATCH,
        warm: Sequence[tuple[str, BoardSpec]] = (),
    ) -> None:
        if workers < 1 or queue < 0 or batch < 1:
            raise UsageError(f"{workers} workers, queue {queue}, batch {batch}; expected 1, 0, 1")
        if timeout_s <= GRACE_S:
            raise UsageError(f"timeout {timeout_s:g} s; expected more than {GRACE_S:g} s")
        self._find = find
        self._levels = levels
        self._timeout_s = timeout_s
        self._queue = queue
        self._batch = batch
        self._memory_bytes = memory_bytes
        self._warm = [self._job(parse_spec(text), board) for text, board in warm]
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._idle = 0
        self._closed = False
        self._prepared: set[MoveJob] = set()
        self._preparing = threading.Lock()
        self._lanes = [_Lane(self, number) for number in range(workers)]
        for lane in self._lanes:
            lane.start()

    def __enter__(self) -> DecisionService:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- what callers ask

    def decide(
        self,
        position: Position | str,
        *,
        difficulty: int | None = None,
        agent: str | None = None,
        seed: int = 0,
        deadline_s: float | None = None,
        budget: Budget | None = None,
        board: BoardSpec | None = None,
    ) -> Decision | None:
        """Return the decision of a ladder level or of an agent spec; None in a finished game.

        A text is read as `hosting.positions.read_position` reads it: canonical text of `board`, or
        JSON of a state, or of the start and moves. `deadline_s` bounds this request below the
        service's own timeout. `budget` replaces the think time of a level.

        Raises `DataError` for a position that is none, `UsageError` for a bad spec or a level that
        is unavailable, `QueueFull` at once when too many wait, `MoveTimedOut`, `MoveWorkerFailed`.
        """
        found = read(position, board)
        if found.is_over:
            return None
        request = self._request(found, difficulty, agent, seed, deadline_s, budget or Budget())
        self._put(request)
        if not request.done.wait(max(0.0, request.until_s - time.monotonic())):
            request.given_up = True
            with self._changed, suppress(ValueError):
                self._waiting.remove(request)
            raise MoveTimedOut(
                "no answer in time: the request still waits", where=request.job.agent
            )
        if request.error is not None:
            raise request.error
        decision = request.decision
        assert decision is not None
        if decision.move not in found.legal_packed():
            raise MoveWorkerFailed(f"{request.job.agent} answered an illegal move")
        return decision

    def evaluate(
        self, position: Position | str, seat: int, *, board: BoardSpec | None = None
    ) -> Evaluation:
        """Return what the heuristic says of a position, and of one seat in parts."""
        found = read(position, board)
        parts = explain.breakdown(found, seat)
        return Evaluation(
            seat=seat,
            values=explain.values(found),
            score=sum(parts.values()),
            breakdown=parts,
        )

    def ladder(self, config: str) -> tuple[LadderLevel, ...]:
        """Return the levels of a configuration with their availability."""
        board = BoardSpec.create(*parse_config(config))
        return ladder(config, self._finder(board), self._levels)

    def cache_stats(self) -> dict[str, int]:
        """Return counts over all workers: agents and models kept, hits, misses, replacements."""
        names = ("agents", "models", "hits", "misses")
        totals = {name: sum(lane.stats.get(name, 0) for lane in self._lanes) for name in names}
        with self._changed:
            waiting = len(self._waiting)
        replaced = sum(lane.replaced for lane in self._lanes)
        return {**totals, "workers": len(self._lanes), "replaced": replaced, "waiting": waiting}

    def clear_cache(self) -> None:
        """Let every worker forget its agents and models before its next request."""
        for lane in self._lanes:
            lane.clear = True

    @property
    def ready(self) -> bool:
        """Whether every worker has made the agents of `warm`."""
        return all(lane.warm for lane in self._lanes)

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the service is ready; return whether it is."""
        until_s = time.monotonic() + timeout_s
        return all(lane.warmed.wait(max(0.0, until_s - time.monotonic())) for lane in self._lanes)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [pid for lane in self._lanes if (pid := lane.pid) is not None]

    def close(self) -> None:
        """End all workers; requests that wait fail."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
        for request in waiting:
            request.answer(None, BusyError("the service is closing"))
        for lane in self._lanes:
            lane.end()
        for lane in self._lanes:
            lane.join()

    # --- requests

    def _give_up(self, request: _Request) -> None:
        """Withdraw a request whose time is over; one being searched ends with its worker."""
        with self._changed:
            request.given_up = not request.searched
            with suppress(ValueError):
                self._waiting.remove(request)
        if request.given_up or not request.done.wait(END_WAIT_S):
            raise MoveTimedOut("no answer in time: no worker was free", where=request.job.agent)

    def _request(
        self,
        position: Position,
        difficulty: int | None,
        agent: str | None,
        seed: int,
        deadline_s: float | None,
        budget: Budget,
    ) -> _Request:
        if (difficulty is None) == (agent is None):
            raise UsageError("a decision is asked of a difficulty or of an agent spec, one of them")
        if deadline_s is not None and deadline_s <= 0:
            raise UsageError(f"deadline {deadline_s} s; expected a number above 0")
        board = position.spec
        spec = parse_spec(f"ladder:level={difficulty}" if agent is None else agent)
        job = self._job(spec, board)
        whole_s = min(self._timeout_s, deadline_s or self._timeout_s)
        budget, limit_s = self._limits(spec, board, budget, whole_s)
        return _Request(
            job=job,
            state=position.record().reshape(1),
            seed=seed,
            budget=budget,
            limit_s=limit_s,
            until_s=time.monotonic() + whole_s,
        )

    def _job(self, spec: AgentSpec, board: BoardSpec) -> MoveJob:
        names = spec.models
        if spec.kind == "ladder":
            level = int(spec.number("level"))
            names = playable(board.config, level, self._finder(board), self._levels).agent.models
        if names and self._find is None:
            raise UsageError(f"agent spec {spec}: no models can be loaded here")
        files = {name: self._find(name, board) for name in names if self._find is not None}
        return MoveJob(
            board=board, agent=str(spec), models=model_files(names, files), levels=self._levels
        )

    def _finder(self, board: BoardSpec) -> Callable[[str], Path] | None:
        find = self._find
        return None if find is None else lambda name: find(name, board)

    def _limits(
        self, spec: AgentSpec, board: BoardSpec, budget: Budget, whole_s: float
    ) -> tuple[Budget, float]:
        """Return the budget cut to the time there is, and after how long the worker is ended."""
        own = None
        if spec.kind == "ladder":
            level = playable(
                board.config, int(spec.number("level")), self._finder(board), self._levels
            )
            own = float(level.think_ms)
        limited = any(n is not None for n in (budget.sims, budget.nodes, budget.time_ms))
        think_ms = budget.time_ms if limited else own
        if think_ms is None:
            return budget, whole_s
        think_ms = min(think_ms, (self._timeout_s - GRACE_S) * 1000)
        cut = Budget(
            sims=budget.sims,
            nodes=budget.nodes,
            depth=budget.depth,
            time_ms=think_ms,
            kind=budget.kind,
        )
        return cut, min(think_ms / 1000 + GRACE_S, whole_s)

    def _put(self, request: _Request) -> None:
        with self._changed:
            if self._closed:
                raise BusyError("the service is closed")
            if len(self._waiting) >= self._queue + self._idle:
                raise QueueFull(
                    f"{len(self._waiting)} requests wait already", hint="again in a second"
                )
            self._waiting.append(request)
            self._changed.notify()

    # --- what lanes ask

    def take(self) -> list[_Request]:
        """Wait for requests that one worker can decide together; none when the service closes."""
        with self._changed:
            self._idle += 1
            while not self._waiting and not self._closed:
                self._changed.wait()
            self._idle -= 1
            if self._closed:
                return []
            first = self._waiting.popleft()
            group = [first]
            if first.job.shares and not first.alone:
                same = [
                    r
                    for r in self._waiting
                    if not r.alone and r.job == first.job and r.budget == first.budget
                ]
                group += same[: self._batch - 1]
                for request in group[1:]:
                    self._waiting.remove(request)
            return group

    def begin(self, group: Sequence[_Request]) -> list[_Request]:
        """Return the requests that are still wanted, marked as being searched."""
        with self._changed:
            wanted = [request for request in group if not request.given_up]
            for request in wanted:
                request.searched = True
        return wanted

    def put_back(self, group: Sequence[_Request]) -> None:
        """Let requests whose shared worker ended be decided one by one."""
        with self._changed:
            for request in reversed(group):
                request.alone, request.searched = True, False
                self._waiting.appendleft(request)
            self._changed.notify_all()

    def prepare(self, job: MoveJob, ask: Callable[[], Any]) -> None:
        """Make an agent in a worker; of agents made for the first time one at a time.

        So one worker compiles and the others find the result.
        """
        if job in self._prepared:
            ask()
            return
        with self._preparing:
            ask()
            self._prepared.add(job)

    @property
    def warm_jobs(self) -> list[MoveJob]:
        """Agents that every worker makes ahead."""
        return self._warm

    @property
    def memory_bytes(self) -> int:
        """What a worker may use."""
        return self._memory_bytes

    @property
    def closed(self) -> bool:
        """Whether the service is closing."""
        return self._closed


class _Lane(threading.Thread):
    """One worker process and the thread that hands it requests."""

    def __init__(self, service: DecisionService, number: int) -> None:
        super().__init__(name=f"ringrift-moves-{number}", daemon=True)
        self._service = service
        self._process: Any = None
        self._pipe: Any = None
        self._made: set[MoveJob] = set()
        self.stats: dict[str, int] = {}
        self.replaced = 0
        self.clear = False
        self.warmed = threading.Event()

    @property
    def warm(self) -> bool:
        """Whether the agents of `warm` are made."""
        return self.warmed.is_set()

    @property
    def pid(self) -> int | None:
        """Process id of the worker."""
        process = self._process
        return None if process is None else process.pid

    def run(self) -> None:
        """Hand out requests until the service closes."""
        self._begin()
        while group := self._service.take():
            self._serve([request for request in group if not request.given_up])
        self._finish()

    def end(self) -> None:
        """End the worker, whatever it is doing."""
        process = self._process
        if process is not None:
            with suppress(OSError, ValueError):
                process.kill()

    def _begin(self) -> None:
        self._spawn()
        for job in self._service.warm_jobs:
            try:
                self._prepare(job)
            except _Ended as ended:
                self._replace(ended)
            except RingriftError as error:
                log.warning("an agent could not be made ahead", agent=job.agent, why=str(error))
        self.warmed.set()

    def _serve(self, group: list[_Request]) -> None:
        if not group:
            return
        try:
            if self.clear:
                self.clear = False
                self._made.clear()
                self._ask(("clear",), PREPARE_S)
            self._prepare(group[0].job)
            group = self._service.begin(group)
            if group:
                self._decide(group)
        except _Ended as ended:
            self._replace(ended)
            if len(group) > 1:
                self._service.put_back(group)
            elif group:
                group[0].answer(None, ended.error)
        except RingriftError as error:
            for request in group:
                request.answer(None, error)

    def _decide(self, group: list[_Request]) -> None:
        first = group[0]
        states = np.concatenate([request.state for request in group])
        seeds = [request.seed for request in group]
        now_s = time.monotonic()
        limit_s = max(min(r.limit_s, max(0.0, r.until_s - now_s)) for r in group)
        decisions = self._ask(("decide", first.job, states, seeds, first.budget), limit_s)
        for request, decision in zip(group, decisions, strict=True):
            request.answer(decision)

    def _prepare(self, job: MoveJob) -> None:
        if job not in self._made:
            self._service.prepare(job, lambda: self._ask(("prepare", job), PREPARE_S))
            self._made.add(job)

    def _ask(self, order: tuple[Any, ...], limit_s: float) -> Any:
        """Send an order and return the answer; raises `_Ended`, or what the worker raised."""
        try:
            self._pipe.send(order)
            if not self._pipe.poll(limit_s):
                raise _Ended(MoveTimedOut(f"the search was ended after {limit_s:.1f} s"))
            word, found, self.stats = self._pipe.recv()
        except (EOFError, OSError):
            raise _Ended(MoveWorkerFailed(self._how())) from None
        if word == "error":
            raise found
        return found

    def _how(self) -> str:
        self._process.join(END_WAIT_S)
        code = self._process.exitcode
        if code == OUT_OF_MEMORY:
            gib = self._service.memory_bytes / 2**30
            return f"the move worker used more than {gib:.2g} GiB of memory"
        return f"the move worker died (exit code {code})"

    def _replace(self, ended: _Ended) -> None:
        if self._service.closed:
            return
        log.warning("a move worker is replaced", why=ended.error.message)
        self._stop()
        self._made.clear()
        self.stats = {}
        self.replaced += 1
        self._spawn()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=main,
            args=(theirs, self._service.memory_bytes),
            name="ringrift-move-worker",
            daemon=True,
        )
        with _STARTING, threads_of_children(1):
            process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        if self._service.closed:
            self.end()

    def _finish(self) -> None:
        self._pipe.close()
        self._process.join(END_WAIT_S)
        self._stop()

    def _stop(self) -> None:
        self._pipe.close()
        if self._process.is_alive():
            self._process.kill()
        self._process.join()


_STARTING = threading.Lock()
"""Held while a child starts: its environment is this process's for that moment."""


def read(position: Position | str, board: BoardSpec | None = None) -> Position:
    """Return a position, read from a text if it is one; raises `DataError` naming the field."""
    if isinstance(position, Position):
        return position
    from ringrift.agents.hosting.positions import read_position

    return read_position(
        position, board if board is not None else BoardSpec.create("square8"), where="position"
    )
