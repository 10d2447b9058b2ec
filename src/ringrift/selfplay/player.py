"""A worker process: takes orders between steps, plays games in lock step, sends finished ones.

The orders are tuples: what is wanted, the number of the job it is about, and the rest.

    ("job", n, first, job, games, hygiene)   make ready for job n; those before `first` are over
    ("games", n, plans)                      begin these games of job n
    ("warm", n)                              compile what job n needs, then answer ("warm", n)
    ("leave", n)                             leave the games of job n where they are
    ("drop", n)                              leave all games where they are

Answers beside that are ("game", n, game, (steps, seats)) and, once, ("error", n, error).
"""

from __future__ import annotations

import gc
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import RingriftError
from ringrift.core.processes import begin_worker
from ringrift.selfplay.shelf import AgentShelf
from ringrift.selfplay.warming import warm, warm_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.selfplay.lockstep import Table
    from ringrift.selfplay.plans import GamePlan, PlayJob


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


class Player:
    """Plays the games of one job or of several at once, each job's at a table of its own.

    `number` is the last job's; earlier ones keep a table while they have games.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._shelf = AgentShelf()
        self.number = 0
        self._jobs: dict[int, PlayJob] = {}
        self._tables: dict[int, Table] = {}
        self._hygiene = Hygiene()
        self._size = self._steps = self._seats = self._games = 0

    def run(self) -> None:
        """Serve until the pipe ends."""
        while True:
            while self._pipe.poll(None if self._idle else 0):
                self._obey(self._pipe.recv())
            self._steps += 1
            self._seats += sum(self._size - table.free for table in self._tables.values())
            for number, table in list(self._tables.items()):
                self._step(number, table)
            self._tidy(self._steps, self._hygiene.gc_steps)

    def _step(self, number: int, table: Table) -> None:
        for game in table.step():
            self._games += 1
            self._pipe.send(("game", number, game, (self._steps, self._seats)))
            self._tidy(self._games, self._hygiene.gc_games)
        if number != self.number and not table.busy:
            del self._tables[number]

    def _tidy(self, count: int, every: int) -> None:
        if every and count % every == 0:
            gc.collect()

    @property
    def _idle(self) -> bool:
        return not any(table.busy for table in self._tables.values())

    def _obey(self, message: Any) -> None:
        order, number = message[:2]
        if order == "job":
            self._take_job(number, *message[2:])
        elif order == "drop":
            self._tables.clear()
        elif order == "leave":
            self._tables.pop(number, None)
        elif number not in self._jobs:
            return
        elif order == "games":
            self._begin(number, message[2])
        elif order == "warm":
            self._warm(self._jobs[number])
            self._pipe.send(("warm", number))

    def _take_job(self, number: int, first: int, job: PlayJob, size: int, hygiene: Hygiene) -> None:
        self._size, self._hygiene = size, hygiene
        for over in [n for n in self._jobs if n < first]:
            del self._jobs[over]
            self._tables.pop(over, None)
        self._jobs[number] = job
        self.number = max(number, self.number)
        self._table(number)  # what is wrong with its agents is said now
        if job.late_ms is not None:
            self._warm(job)  # what is loaded at the first move is not timed

    def _warm(self, job: PlayJob) -> None:
        from ringrift.selfplay.lockstep import Table

        short = warm_job(job)
        warm(Table(short, self._shelf.agents(short), self._size))

    def _begin(self, number: int, plans: Sequence[GamePlan]) -> None:
        table = self._table(number)
        for plan in plans:
            table.start(plan)

    def _table(self, number: int) -> Table:
        from ringrift.selfplay.lockstep import Table

        if number not in self._tables:
            job = self._jobs[number]
            self._tables[number] = Table(job, self._shelf.agents(job), self._size)
        return self._tables[number]


def main(pipe: Connection) -> None:
    """Be a worker at this end of a pipe."""
    begin_worker()
    player = Player(pipe)
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
