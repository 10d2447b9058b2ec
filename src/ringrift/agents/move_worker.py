"""A process that decides positions for `service`: keeps agents and models, obeys one pipe."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ringrift.agents.ladder import Overrides
from ringrift.agents.protocol import Agent, Batch, Budget, Decision, Model, Rngs, StateArray
from ringrift.core.errors import RingriftError, UsageError
from ringrift.core.process_reading import read_process
from ringrift.core.processes import begin_worker
from ringrift.rules import BoardSpec, Position

AGENTS_KEPT = 32
MODELS_KEPT = 4
OUT_OF_MEMORY = 77
"""Exit code of a worker that used more memory than it may."""

_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveJob:
    """Who decides: a spec for games of `board`, the files of its models, ladder overrides."""

    board: BoardSpec
    agent: str
    models: tuple[tuple[str, str], ...] = ()
    levels: Overrides | None = field(default=None, compare=False)

    @property
    def shares(self) -> bool:
        """Whether requests gain from one batch: those of a model do, others take turns."""
        return bool(self.models)


class MoveWorkerFailed(RingriftError):
    """A defect in a worker, or a worker that died."""


@dataclass(slots=True)
class Shelf:
    """The agents last used, and the models they share."""

    hits: int = 0
    misses: int = 0
    _agents: dict[MoveJob, Agent] = field(default_factory=dict)
    _models: dict[tuple[str, str], Model] = field(default_factory=dict)

    def agent(self, job: MoveJob) -> Agent:
        """Return the agent of a job, made and warmed on first use."""
        found = self._agents.pop(job, None)
        if found is None:
            self.misses += 1
            found = self._make(job)
        else:
            self.hits += 1
        self._agents[job] = found  # the last one used stands at the end
        while len(self._agents) > AGENTS_KEPT:
            del self._agents[next(iter(self._agents))]
        return found

    def clear(self) -> None:
        """Forget agents and models."""
        self._agents.clear()
        self._models.clear()

    @property
    def stats(self) -> dict[str, int]:
        """Counts of agents and models kept, and of hits and misses."""
        return {
            "agents": len(self._agents),
            "models": len(self._models),
            "hits": self.hits,
            "misses": self.misses,
        }

    def _make(self, job: MoveJob) -> Agent:
        from ringrift.agents.factory import make_agent

        files = dict(job.models)

        def load(name: str) -> Model:
            if name not in files:
                raise UsageError(f"no file is given for the model {name!r}")
            return self._model(files[name], job.board)

        agent = make_agent(job.agent, job.board, load, levels=job.levels, keep_trees=False)
        start = Position.of(job.board).record().reshape(1)
        agent.choose(Batch(job.board, start, [0]), Budget(nodes=2), Rngs())  # compiles or loads
        return agent

    def _model(self, file: str, board: BoardSpec) -> Model:
        from ringrift.nets.loading import open_model

        key = (file, board.hash)
        if key not in self._models:
            self._models[key] = open_model(Path(file), board)
            while len(self._models) > MODELS_KEPT:
                del self._models[next(iter(self._models))]
        return self._models[key]


def main(pipe: Connection, memory_bytes: int) -> None:
    """Serve until the pipe ends."""
    begin_worker()
    threading.Thread(target=_watch_memory, args=(memory_bytes,), daemon=True).start()
    shelf = Shelf()
    while True:
        try:
            order = pipe.recv()
        except (EOFError, OSError):
            return  # the parent has closed the pipe or is gone
        answer: tuple[str, Any, dict[str, int]]
        try:
            answer = ("done", _obey(shelf, order), shelf.stats)
        except RingriftError as error:
            answer = ("error", _plain(error), shelf.stats)
        except Exception as error:  # noqa: BLE001 - the border of the process
            answer = ("error", _defect(error), shelf.stats)
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return


def _obey(shelf: Shelf, order: tuple[Any, ...]) -> list[Decision] | None:
    if order[0] == "clear":
        shelf.clear()
        return None
    agent = shelf.agent(order[1])
    if order[0] == "prepare":
        return None
    return _decide(agent, *order[1:])


def _decide(
    agent: Agent, job: MoveJob, states: StateArray, seeds: Sequence[int], budget: Budget
) -> list[Decision]:
    started_s = time.perf_counter()
    found = agent.choose(Batch(job.board, states, seeds), budget, Rngs())
    took_ms = (time.perf_counter() - started_s) * 1000
    return [_timed(decision, took_ms) for decision in found]


def _timed(decision: Decision, took_ms: float) -> Decision:
    return replace(decision, time_ms=took_ms) if decision.time_ms == 0.0 else decision


def _watch_memory(limit_bytes: int) -> None:
    """End the process as soon as it uses too much: its parent replaces it."""
    while True:
        found = read_process(os.getpid())
        if found is not None and found.memory_bytes > limit_bytes:
            os._exit(OUT_OF_MEMORY)
        time.sleep(_LOOK_EVERY_S)


def _plain(error: RingriftError) -> RingriftError:
    """Return an error that survives pickling, with its exit code."""
    made: RingriftError = MoveWorkerFailed(error.message, where=error.where, hint=error.hint)
    for kind in type(error).__mro__:
        if kind.__module__ == RingriftError.__module__ and issubclass(kind, RingriftError):
            made = kind(error.message, where=error.where, hint=error.hint)
            break
    made.exit_code = error.exit_code
    return made


def _defect(error: Exception) -> MoveWorkerFailed:
    lines = [line.strip() for line in traceback.format_exc().splitlines()]
    places = [line for line in lines if line.startswith("File ")]
    return MoveWorkerFailed(
        f"{type(error).__name__}: {error} ({places[-1] if places else 'unknown place'})"
    )


def model_files(names: Sequence[str], files: Mapping[str, Path]) -> tuple[tuple[str, str], ...]:
    """Return the files of named models in the order of their names."""
    return tuple((name, str(files[name])) for name in sorted(names))
