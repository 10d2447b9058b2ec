"""Self-play: an agent against itself, as many games as asked, each fixed by its index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from ringrift.agents import streams
from ringrift.agents.protocol import Rngs
from ringrift.rules.spec import BoardSpec
from ringrift.selfplay.plans import GamePlan, PlayJob, game_seed
from ringrift.selfplay.workers import WorkerPool

if TYPE_CHECKING:
    from ringrift.records.record import Analysis, GameRecord

_OPENING = Rngs(streams.OPENING)


def selfplay_plans(
    spec: BoardSpec,
    indices: Iterable[int],
    run_seed: int,
    *,
    opening_choices: int = 8,
    agents: int = 1,
) -> list[GamePlan]:
    """Fix games: seed by (run seed, configuration, index), 0 to `opening_choices` random choices.

    With several agents they rotate through the seats with the index.
    """
    plans = []
    for index in indices:
        seed = game_seed(run_seed, spec.config, index)
        plans.append(
            GamePlan(
                index=index,
                seed=seed,
                seats=tuple((index + seat) % agents for seat in range(spec.players)),
                random_choices=_OPENING.below(opening_choices + 1, seed, 0, 0),
            )
        )
    return plans


def play_games(
    job: PlayJob,
    indices: Iterable[int],
    run_seed: int,
    *,
    pool: WorkerPool,
    opening_choices: int = 8,
    stop: Callable[[], bool] = lambda: False,
    hold: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[GameRecord, Analysis | None]]:
    """Play games of a run by index and yield each, with its search statistics, as it ends.

    A game's moves depend on the run's seed, its index and the agents, on nothing else: not on the
    workers, the batch, the order, or on what was played before. See `WorkerPool.play`.
    """
    plans = selfplay_plans(
        job.spec, indices, run_seed, opening_choices=opening_choices, agents=len(job.agents)
    )
    yield from pool.play(job, plans, stop, hold)


def play_here(
    job: PlayJob, plans: Iterable[GamePlan], *, games: int = 64
) -> Iterator[tuple[GameRecord, Analysis | None]]:
    """Play games in this process, for tests and measurements; see `play_games`."""
    from collections import deque

    from ringrift.selfplay.lockstep import Table
    from ringrift.selfplay.workers import AgentShelf

    table = Table(job, AgentShelf().agents(job), games)
    queue = deque(plans)
    while queue or table.busy:
        while queue and table.free:
            table.start(queue.popleft())
        yield from table.step()
