"""Self-play: an agent against itself, as many games as asked, each fixed by its index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ringrift.rules.spec import BoardSpec
from ringrift.selfplay.openings import Openings
from ringrift.selfplay.plans import GamePlan, Played, PlayJob, game_seed
from ringrift.selfplay.workers import WorkerPool


def selfplay_plans(
    spec: BoardSpec,
    indices: Iterable[int],
    run_seed: int,
    *,
    openings: Openings | None = None,
    agents: int = 1,
) -> list[GamePlan]:
    """Fix games: seed by (run seed, configuration, index), beginning as `openings` say.

    With several agents they rotate through the seats with the index.
    """
    beginnings = openings or Openings()
    return [
        beginnings.begin(
            GamePlan(
                index=index,
                seed=game_seed(run_seed, spec.config, index),
                seats=tuple((index + seat) % agents for seat in range(spec.players)),
            )
        )
        for index in indices
    ]


def play_games(
    job: PlayJob,
    indices: Iterable[int],
    run_seed: int,
    *,
    pool: WorkerPool,
    openings: Openings | None = None,
    stop: Callable[[], bool] = lambda: False,
    hold: Callable[[], bool] = lambda: False,
) -> Iterator[Played]:
    """Play games of a run by index and yield each, with its search statistics, as it ends.

    A game's moves depend on the run's seed, its index and the agents, on nothing else: not on the
    workers, the batch, the order, or on what was played before. See `WorkerPool.play`.
    """
    plans = selfplay_plans(job.spec, indices, run_seed, openings=openings, agents=len(job.agents))
    yield from pool.play(job, plans, stop, hold)


def play_here(job: PlayJob, plans: Iterable[GamePlan], *, games: int = 64) -> Iterator[Played]:
    """Play games in this process, for tests and measurements; see `play_games`."""
    from collections import deque

    from ringrift.selfplay.lockstep import Table
    from ringrift.selfplay.shelf import AgentShelf

    table = Table(job, AgentShelf().agents(job), games)
    queue = deque(plans)
    while queue or table.busy:
        while queue and table.free:
            table.start(queue.popleft())
        yield from table.step()
