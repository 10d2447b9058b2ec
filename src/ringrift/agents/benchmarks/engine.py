"""Measure the rules and a pair of agents: playouts, legal sets, games (`agents.md` 11)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from ringrift.agents.benchmarks.pairs import PairGames, play_pair
from ringrift.agents.benchmarks.positions import random_positions
from ringrift.agents.benchmarks.process import Watch
from ringrift.agents.benchmarks.results import Check, Figure
from ringrift.agents.listing import list_legal, move_buffer, scratch
from ringrift.agents.protocol import Agent
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.cpu import bench_playouts
from ringrift.rules.geometry import board_tables

SAMPLE = 256
"""Positions whose legal sets are made in turn: about 1.5 MB of records, which a core's cache holds."""

WARM_PLIES = 24
WARM_GAMES = 4

Maker = Callable[[str, BoardSpec], Agent]
"""Makes the agent of a spec for games of a specification."""

# design.md 7: 500 times the reference engine on square8 and hexagonal, OpenSpiel's go on square19.
LEAST_PLIES_PER_S = {
    "square8_2p": 1_350_000.0,
    "square19_2p": 313_000.0,
    "hexagonal_2p": 140_000.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResult:
    """The row of one configuration, as published, and its figures."""

    row: dict[str, Any]
    figures: tuple[Figure, ...]
    checks: tuple[Check, ...]


def measure_playouts(
    config: str,
    *,
    seconds: float,
    threads: int,
    seed: int,
    repeat: int,
    on_round: Callable[[], None] = lambda: None,
) -> EngineResult:
    """Measure random playouts alone; the row is the round with the median rate."""
    rounds = []
    for _ in range(repeat):
        rounds.append(bench_playouts(config, seconds, threads, seed))
        on_round()
    middle = sorted(rounds, key=lambda r: r["plies_per_s"])[len(rounds) // 2]
    rates = [r["plies_per_s"] for r in rounds]
    row = {**middle, "plies_per_s": median(rates), "min": min(rates), "max": max(rates)}
    figures = _playout_figures(config, rounds)
    return EngineResult(row=row, figures=figures, checks=_checks(config, figures[0], threads))


def measure_engine(
    spec: BoardSpec,
    agents: tuple[str, str],
    make: Maker,
    *,
    games: int,
    seconds: float,
    threads: int,
    seed: int,
    repeat: int,
    max_plies: int | None = None,
    on_round: Callable[[], None] = lambda: None,
) -> EngineResult:
    """Measure the games of a pair of agents, random playouts and legal sets of one configuration.

    Agents are made and played for a few plies before anything is timed. Every round plays the same
    games; `same_in_all_repeats` says whether the agents moved alike in each, which an agent with a
    time limit need not.
    """
    pair = (make(agents[0], spec), make(agents[1], spec))
    play_pair(spec, pair, WARM_GAMES, seed=seed, max_plies=WARM_PLIES)
    played: list[PairGames] = []
    playouts: list[dict[str, Any]] = []
    legal: list[tuple[float, float]] = []
    with Watch() as watch:
        for _ in range(repeat):
            played.append(play_pair(spec, pair, games, seed=seed, max_plies=max_plies))
            playouts.append(bench_playouts(spec.config, seconds, threads, seed))
            legal.append(legal_rates(spec, seconds, seed))
            on_round()
    assert watch.cost is not None
    figures = (
        _figure(spec.config, "plies_per_s", "plies/s", [g.plies / g.seconds for g in played]),
        _figure(spec.config, "games_per_s", "games/s", [g.games / g.seconds for g in played]),
        *_playout_figures(spec.config, playouts, prefix="playout_"),
        _figure(spec.config, "legal_sets_per_s", "sets/s", [sets for sets, _ in legal]),
        _figure(spec.config, "legal_moves_per_s", "moves/s", [moves for _, moves in legal]),
    )
    by_name = {figure.name: figure for figure in figures}
    plies, first = by_name["plies_per_s"], played[0]
    row: dict[str, Any] = {
        "configuration": spec.config,
        "agents": [agent.spec.text for agent in pair],
        "agent_hashes": [agent.spec.agent_hash for agent in pair],
        "games": first.games,
        "plies": first.plies,
        "plies_per_s": plies.value,
        "min": min(plies.samples),
        "max": max(plies.samples),
        "games_per_s": by_name["games_per_s"].value,
        "ns_per_ply": 1e9 / plies.value,
        "agent_share": [median(g.agent_s[side] / g.seconds for g in played) for side in (0, 1)],
        "wins": first.wins,
        "losses": first.losses,
        "capped": first.capped,
        "moves_hash": first.hash,
        "same_in_all_repeats": len({g.hash for g in played}) == 1,
        "threads": threads,
        "playouts_per_s": by_name["playout_games_per_s"].value,
        "playout_plies_per_s": by_name["playout_plies_per_s"].value,
        "legal_sets_per_s": by_name["legal_sets_per_s"].value,
        "legal_moves_per_s": by_name["legal_moves_per_s"].value,
        "gc_collections": watch.cost.gc_collections,
        "gc_ms": watch.cost.gc_ms,
        "peak_rss_bytes": watch.cost.peak_rss_bytes,
        "peak_of": watch.cost.peak_of,
    }
    checks = _checks(spec.config, by_name["playout_plies_per_s"], threads)
    return EngineResult(row=row, figures=figures, checks=checks)


def legal_rates(spec: BoardSpec, seconds: float, seed: int) -> tuple[float, float]:
    """Return legal sets and legal moves made per second over positions of random games."""
    states = random_positions(spec, SAMPLE, seed=seed)
    moves, offsets = move_buffer(spec, SAMPLE), np.zeros(SAMPLE + 1, np.int32)
    boards, work, view = lay.view(board_tables(spec)), lay.view(scratch()), lay.view(states)
    list_legal(view, SAMPLE, boards, work, moves, offsets)
    rounds, begun_s = 0, time.perf_counter()
    while (took_s := time.perf_counter() - begun_s) < seconds or rounds == 0:
        list_legal(view, SAMPLE, boards, work, moves, offsets)
        rounds += 1
    return rounds * SAMPLE / took_s, rounds * int(offsets[SAMPLE]) / took_s


def two_agents(specs: Sequence[str]) -> tuple[str, str]:
    """Return the two agents of a pair; raises `UsageError` for another number."""
    if len(specs) != 2:
        raise UsageError(
            f"{len(specs)} agents; expected two", where="--agents", hint="heuristic,random"
        )
    return specs[0], specs[1]


def _figure(case: str, name: str, unit: str, samples: list[float]) -> Figure:
    return Figure(case=case, name=name, unit=unit, samples=tuple(samples))


def _playout_figures(
    config: str, rounds: list[dict[str, Any]], prefix: str = ""
) -> tuple[Figure, Figure]:
    return (
        _figure(config, f"{prefix}plies_per_s", "plies/s", [r["plies_per_s"] for r in rounds]),
        _figure(config, f"{prefix}games_per_s", "games/s", [r["games_per_s"] for r in rounds]),
    )


def _checks(config: str, plies: Figure, threads: int) -> tuple[Check, ...]:
    wanted = LEAST_PLIES_PER_S.get(config)
    if wanted is None:
        return ()
    return (
        Check(
            case=config,
            name="random playouts, one core",
            unit="plies/s",
            found=plies.value / threads,
            wanted=wanted,
        ),
    )
