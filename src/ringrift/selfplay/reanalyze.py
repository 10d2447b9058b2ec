"""Search positions of games that are already played; the games are never altered (`selfplay.md` 3).

Which plies are searched follows from the game and the job alone, and so does every result: what was
done can be left out and the rest done later.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ringrift.agents import streams
from ringrift.agents.protocol import Batch, Budget, Decision, Rngs
from ringrift.core.errors import RingriftError, UsageError
from ringrift.core.processes import begin_worker, threads_of_children
from ringrift.records.analysis import Analysis
from ringrift.records.ply_analysis import PlyAnalysis, quantize
from ringrift.records.record import GameRecord
from ringrift.records.replayer import Replayer
from ringrift.rules import layout as lay
from ringrift.rules import moves as mv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.agents.protocol import Agent
    from ringrift.rules import BoardSpec

Priority = Literal["uniform", "surprise"]
Item = tuple[GameRecord, Sequence[Analysis]]

GAMES_OF_A_TASK = 8
BATCH = 64
POLL_S = 0.2
TASKS_AHEAD = 2
"""Tasks that wait for each worker."""

_SAMPLE = Rngs(streams.SCHEDULE)


class ReanalysisBroken(RingriftError):
    """A worker died; what was finished has been handed out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReanalyzeJob:
    """How games of one specification are searched again; travels to worker processes.

    `agent` is a spec with its budget, `models` maps what stands after `@` to files. Of the choices
    of a game every `every`-th is searched; with `surprise` as many are drawn, half evenly, half by
    the `prior_kl` that its analyses hold.
    """

    agent: str
    every: int = 5
    priority: Priority = "uniform"
    models: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UsageError(f"every is {self.every}; expected at least 1")

    @property
    def budget(self) -> dict[str, int | float | str | None]:
        """What stands in the analysis beside the agent: how its plies were chosen."""
        return {"sample_every": self.every, "priority": self.priority}

    def is_done(self, analyses: Iterable[Analysis], agent_hash: str) -> bool:
        """Whether a game already has an analysis of this agent and sampling."""
        return any(a.agent == agent_hash and dict(a.budget) == self.budget for a in analyses)


def reanalyze(
    items: Iterable[Item],
    job_of: Callable[[BoardSpec], ReanalyzeJob],
    *,
    workers: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[GameRecord, Analysis | None]]:
    """Yield each game with its new analysis, in their order; None for one without a choice.

    `workers` spawned processes search; ends early once `stop` says so, the games under way then are
    dropped. Raises what is wrong with agent or model, `ReanalysisBroken` if a worker dies.
    """
    tasks = _tasks(items)
    with threads_of_children(1):
        pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=begin_worker
        )
    running: deque[tuple[list[Item], Future[list[Analysis | None]]]] = deque()
    try:
        while not stop():
            while len(running) < workers * TASKS_AHEAD and (task := next(tasks, None)):
                job = job_of(task[0][0].spec)
                with threads_of_children(1):
                    running.append((task, pool.submit(search_games, task, job)))
            if not running:
                return
            task, first = running[0]
            if wait([first], timeout=POLL_S).done:
                running.popleft()
                for (record, _), analysis in zip(task, first.result(), strict=True):
                    yield record, analysis
    except BrokenProcessPool:
        raise ReanalysisBroken("a worker process died", hint="the same command again") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _tasks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Group games of one specification, as they come."""
    task: list[Item] = []
    for item in items:
        if task and (len(task) == GAMES_OF_A_TASK or item[0].spec != task[0][0].spec):
            yield task
            task = []
        task.append(item)
    if task:
        yield task


def search_games(items: Sequence[Item], job: ReanalyzeJob) -> list[Analysis | None]:
    """Search the sampled positions of games of one specification, all of them in batches."""
    spec = items[0][0].spec
    agent = _agent(job, spec)
    places: list[tuple[int, int]] = []
    states = []
    for i, (record, analyses) in enumerate(items):
        choices = choice_states(record)
        for ply in sampled(record, choices, analyses, job):
            places.append((i, ply))
            states.append(choices[ply])
    found: list[list[PlyAnalysis]] = [[] for _ in items]
    left = deque(zip(places, states, strict=True))
    while left:
        part = [left.popleft() for _ in range(min(BATCH, len(left)))]
        batch = lay.zeros(len(part), lay.STATE)
        for k, (_, state) in enumerate(part):
            batch[k] = state
        seeds = [items[i][0].seed for (i, _), _ in part]
        decisions = agent.choose(Batch(spec, batch, seeds), Budget(), Rngs())
        for ((i, ply), _), decision in zip(part, decisions, strict=True):
            found[i].append(_ply(ply, decision, job))
    return [
        Analysis(game=record.id, agent=agent.spec.agent_hash, budget=job.budget, plies=tuple(plies))
        if plies
        else None
        for (record, _), plies in zip(items, found, strict=True)
    ]


def sampled(
    record: GameRecord, plies: Iterable[int], analyses: Iterable[Analysis], job: ReanalyzeJob
) -> list[int]:
    """Return which of the choices of a game, ascending `plies`, to search."""
    choices = list(plies)
    if job.priority == "uniform" or not choices:
        return choices[job.every - 1 :: job.every]
    known = {p.ply: p.prior_kl for a in analyses for p in a.plies if p.prior_kl is not None}
    surprise = np.array([known.get(ply, 0.0) for ply in choices])
    even = np.full(len(choices), 1 / len(choices))
    weights = 0.5 * even + 0.5 * (surprise / surprise.sum() if surprise.sum() > 0 else even)
    # The greatest of u^(1/w) are a weighted draw without return (Efraimidis and Spirakis 2006).
    keys = [
        math.log(_SAMPLE.uniform(record.seed, ply, 0)) / weight
        for ply, weight in zip(choices, weights.tolist(), strict=True)
    ]
    count = len(choices) // job.every
    return sorted(choices[k] for k in np.argsort(keys, kind="stable")[::-1][:count].tolist())


def choice_states(record: GameRecord) -> dict[int, NDArray[np.void]]:
    """Return the states (`layout.STATE`) in which a player had a choice, by ply, ascending.

    An offer to swap is none of them.
    """
    replayer = Replayer(record.spec, record.start, record.moves)
    found = {}
    for ply, position in replayer.walk(range(len(record.moves))):
        moves = position.legal_packed()
        if len(moves) > 1 and not np.any((moves & mv.KIND_MASK) == mv.SWAP):
            found[ply] = position.record()
    return found


def _ply(ply: int, decision: Decision, job: ReanalyzeJob) -> PlyAnalysis:
    if decision.policy is None or decision.value is None:
        raise UsageError(
            f"agent {job.agent} gives no policy and value", hint="a search, as gumbel or mcts"
        )
    raw = decision.value if decision.raw_value is None else decision.raw_value
    return PlyAnalysis(
        ply=ply,
        kind="reanalysis",
        sims=decision.sims,
        value=raw,
        root_value=decision.value,
        policy=quantize(dict(decision.policy)),
        visits=decision.visited,
        prior_kl=decision.prior_kl,
        nodes=decision.nodes,
        depth=decision.depth,
    )


_MADE: dict[tuple[str, ...], Agent] = {}
"""The agent of this process's last task."""


def _agent(job: ReanalyzeJob, spec: BoardSpec) -> Agent:
    files = [f"{name}={path}" for name, path in sorted(job.models.items())]
    key = (spec.hash, job.agent, *files)
    if key not in _MADE:
        from ringrift.agents.factory import make_agent
        from ringrift.nets.loading import open_model

        _MADE.clear()
        _MADE[key] = make_agent(
            job.agent,
            spec,
            lambda name: open_model(Path(job.models[name]), spec),
            keep_trees=False,
        )
    return _MADE[key]
