"""Batches of positions on CPU threads: the only place of the rules that knows of threads."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.hashing import hash_high, hash_low
from ringrift.rules.jitconf import rule
from ringrift.rules.playout import playout
from ringrift.rules.spec import BoardSpec, parse_config
from ringrift.rules.turn import reset

MAX_PLIES = 1_000_000
CHUNK = 64
"""Games a thread plays per call: long enough that the interpreter is not seen."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Playouts:
    """Results of a batch, one entry per game: `winner`, `reason`, `plies`, `hash` (int64[G])."""

    winner: Array
    reason: Array
    plies: Array
    hash: Array


@rule
def playout_range(states, boards, scratch, out, seed, lo, hi, max_plies, results):
    """Play the games lo..hi-1 from the start on `states[0]`; fill `results` (int64[G, 4])."""
    s = states[0]
    b = boards[0]
    w = scratch[0]
    total = 0
    for g in range(lo, hi):
        reset(s, b)
        plies = playout(s, b, w, out, seed + g, max_plies)
        total += plies
        results[g, 0] = s.misc[lay.WINNER]
        results[g, 1] = s.misc[lay.REASON]
        results[g, 2] = plies
        results[g, 3] = ((hash_high(s, b) ^ 0x80000000) - 0x80000000) * 4294967296 + hash_low(s, b)
    return total


class _Lane:
    """The working memory of one thread, in blocks of its own so that lanes share no cache line."""

    def __init__(self, spec: BoardSpec) -> None:
        self.states = lay.view(lay.zeros(1, lay.STATE))
        self.scratch = lay.view(lay.zeros(1, lay.SCRATCH))
        self.out = np.zeros(spec.max_moves + 32, np.int64)


def random_playouts(
    spec: BoardSpec, games: int, *, seed: int = 0, threads: int = 1, max_plies: int = MAX_PLIES
) -> Playouts:
    """Play `games` random games from the start; game g depends on seed + g alone."""
    boards = lay.view(board_tables(spec))
    results = np.zeros((games, 4), np.int64)
    starts = iter(range(0, games, CHUNK))
    lock = threading.Lock()

    def work(lane: _Lane) -> None:
        while True:
            with lock:
                lo = next(starts, None)
            if lo is None:
                return
            hi = min(lo + CHUNK, games)
            playout_range(
                lane.states, boards, lane.scratch, lane.out, seed, lo, hi, max_plies, results
            )

    with ThreadPoolExecutor(threads) as pool:
        for task in [pool.submit(work, _Lane(spec)) for _ in range(threads)]:
            task.result()
    winner, reason, plies, hashes = results.T
    return Playouts(winner=winner, reason=reason, plies=plies, hash=hashes)


def bench_playouts(config: str, seconds: float, threads: int = 1, seed: int = 42) -> dict[str, Any]:
    """Play random games for a while; return plies/s and games/s over the games that finished.

    Compilation and a first chunk per thread are not timed.
    """
    board, players = parse_config(config)
    spec = BoardSpec.create(board, players)
    boards = lay.view(board_tables(spec))
    chunk = CHUNK if spec.cells < 100 else 4
    plies, games = [0] * threads, [0] * threads
    ready = threading.Barrier(threads + 1)

    def work(t: int) -> None:
        lane, results, lo = _Lane(spec), np.zeros((chunk, 4), np.int64), 0

        def play(base: int) -> int:
            return int(
                playout_range(
                    lane.states, boards, lane.scratch, lane.out, base, 0, chunk, MAX_PLIES, results
                )
            )

        base = seed + (t << 24)
        play(base)
        ready.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            lo += chunk
            plies[t] += play(base + lo)
            games[t] += chunk

    with ThreadPoolExecutor(threads) as pool:
        tasks = [pool.submit(work, t) for t in range(threads)]
        ready.wait()
        begin = time.perf_counter()
        for task in tasks:
            task.result()
        elapsed = time.perf_counter() - begin
    return {
        "configuration": spec.config,
        "plies_per_s": sum(plies) / elapsed,
        "games_per_s": sum(games) / elapsed,
        "plies": sum(plies),
        "games": sum(games),
        "threads": threads,
        "seconds": elapsed,
    }


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
