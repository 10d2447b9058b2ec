"""Measure the memory of agents: each case plays games against itself in a process of its own."""

from __future__ import annotations

import gc
import multiprocessing
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ringrift.agents.benchmarks.engine import Maker
from ringrift.agents.benchmarks.pairs import play_pair
from ringrift.agents.benchmarks.process import peak_rss, reset_peak, rss
from ringrift.agents.benchmarks.results import Check, Figure
from ringrift.agents.protocol import Agent
from ringrift.core.errors import RingriftError
from ringrift.rules import BoardSpec, parse_config

GAMES = 20
WARM_GAMES = 2
TRACED_GAMES = 2
TOP = 10
MOST_GROWTH_BYTES = 1 << 20
"""A gate refuses more growth per game; allocators keep freed pages, hence not nothing."""

MIB = float(1 << 20)

LIGHT_AGENTS = ("random", "heuristic")
SEARCHES = (
    "alphabeta:depth=2",
    "mcts:sims=16",
    "gumbel:eval=heuristic,sims=16",
    "descent:sims=16",
)
NNUE_AGENTS = ("alphabeta@nnue:depth=2", "mcts@nnue:sims=16", "descent@nnue:sims=16")

PACKAGE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCase:
    """One agent on one configuration; `games` are counted after a few that warm it up."""

    agent: str
    config: str
    games: int = GAMES
    seed: int = 42
    max_plies: int | None = None

    @property
    def name(self) -> str:
        """Configuration and agent."""
        return f"{self.config} {self.agent}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryResult:
    """What a case found: `row` as published, and its figures; none where it could not be measured.

    `row["status"]` is `measured`, `unavailable` (no such agent here) or `failed`, with a reason.
    """

    row: dict[str, Any]
    figures: tuple[Figure, ...] = ()
    checks: tuple[Check, ...] = ()


def cases(
    agents: Sequence[str], configs: Sequence[str], *, games: int, seed: int
) -> list[MemoryCase]:
    """Return every agent on every configuration."""
    return [
        MemoryCase(agent=agent, config=config, games=games, seed=seed)
        for config in configs
        for agent in agents
    ]


def run_case(case: MemoryCase, make: Maker, repeat: int = 1) -> MemoryResult:
    """Measure a case `repeat` times, each in a new process; `make` must be importable there."""
    rows = []
    for _ in range(repeat):
        row = _in_process(case, make)
        if row["status"] != "measured":
            return MemoryResult(row=row)
        rows.append(row)
    middle = sorted(rows, key=lambda row: float(row["growth_bytes_per_game"]))[len(rows) // 2]
    figures = tuple(
        Figure(
            case=case.name,
            name=name,
            unit="bytes",
            samples=tuple(float(row[name]) for row in rows),
            better="lower",
        )
        for name in ("peak_rss_bytes", "growth_bytes_per_game", "growth_bytes_per_move")
    )
    check = Check(
        case=case.name,
        name="growth per game",
        unit="bytes",
        found=figures[1].value,
        wanted=float(MOST_GROWTH_BYTES),
        most=True,
    )
    row = {
        **middle,
        "peak_rss": figures[0].spread(),
        "growth_per_game": figures[1].spread(),
        "growth_per_move": figures[2].spread(),
    }
    return MemoryResult(row=row, figures=figures, checks=(check,))


def _in_process(case: MemoryCase, make: Maker) -> dict[str, Any]:
    # Spawned: a fork would begin with the memory, and the threads, of this process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(measure_case, case, make).result()
        except BrokenProcessPool:
            return _nothing(case, "failed", "the process ended without an answer (killed?)")


def measure_case(case: MemoryCase, make: Maker) -> dict[str, Any]:
    """Measure a case in this process; an agent that cannot be made is a row that says so."""
    spec = BoardSpec.create(*parse_config(case.config))
    try:
        agent = make(case.agent, spec)
    except RingriftError as error:
        return _nothing(case, "unavailable", str(error))
    try:
        return _measured(case, spec, agent)
    except RingriftError as error:
        return _nothing(case, "failed", str(error))


def _measured(case: MemoryCase, spec: BoardSpec, agent: Agent) -> dict[str, Any]:
    def play(game: int) -> int:
        played = play_pair(spec, (agent, agent), 1, seed=case.seed + game, max_plies=case.max_plies)
        gc.collect()
        return played.plies

    for game in range(WARM_GAMES):
        play(game)
    before = rss()
    fresh = reset_peak()
    sizes, moves = [before], [0]
    for game in range(case.games):
        moves.append(moves[-1] + play(WARM_GAMES + game))
        sizes.append(rss())
    peak = peak_rss()
    by_game, error = slope(range(len(sizes)), sizes)
    by_move, _ = slope(moves, sizes)
    return {
        **_head(case),
        "agent": agent.spec.text,
        "status": "measured",
        "reason": None,
        "games": case.games,
        "moves": moves[-1],
        "start_rss_bytes": before,
        "end_rss_bytes": sizes[-1],
        "peak_rss_bytes": peak,
        "peak_of": "run" if fresh else "process",
        "growth_bytes_per_game": by_game,
        "growth_error_bytes_per_game": error,
        "growth_bytes_per_move": by_move,
        "allocations": _allocations(play, WARM_GAMES + case.games),
    }


def slope(x: Sequence[int] | range, y: Sequence[int]) -> tuple[float, float]:
    """Return the slope of least squares and its standard error; zeros for fewer than two points."""
    at, height = np.array(x, np.float64), np.array(y, np.float64)
    at -= at.mean()
    square = float((at**2).sum())
    if len(at) < 2 or square == 0:
        return 0.0, 0.0
    found = float((at * (height - height.mean())).sum()) / square
    rest = height - height.mean() - found * at
    freedom = len(at) - 2
    return found, float(np.sqrt((rest**2).sum() / freedom / square)) if freedom else 0.0


def _allocations(play: Callable[[int], int], first: int) -> list[dict[str, Any]]:
    """Return the lines whose Python allocations grew most over a few games, greatest first.

    Apart from the rest: tracing costs time and memory of its own.
    """
    tracemalloc.start(1)
    try:
        play(first)
        before = tracemalloc.take_snapshot()
        for game in range(TRACED_GAMES):
            play(first + 1 + game)
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    ignored = (tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__),)
    grown = after.filter_traces(ignored).compare_to(before.filter_traces(ignored), "lineno")
    grown.sort(key=lambda entry: -entry.size_diff)
    return [
        {
            "file": _short(entry.traceback[0].filename),
            "line": entry.traceback[0].lineno,
            "bytes_per_game": entry.size_diff / TRACED_GAMES,
            "blocks_per_game": entry.count_diff / TRACED_GAMES,
        }
        for entry in grown[:TOP]
        if entry.size_diff > 0
    ]


def _short(filename: str) -> str:
    path = Path(filename)
    if path.is_relative_to(PACKAGE):
        return path.relative_to(PACKAGE.parent).as_posix()
    return "/".join(path.parts[-2:])


def _head(case: MemoryCase) -> dict[str, Any]:
    return {"case": case.name, "configuration": case.config, "agent": case.agent}


def _nothing(case: MemoryCase, status: str, reason: str) -> dict[str, Any]:
    return {**_head(case), "status": status, "reason": reason}
