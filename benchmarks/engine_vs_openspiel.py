"""Random playouts of our rules engine next to those of OpenSpiel's C++ games, on one core, in one run.

    python benchmarks/engine_vs_openspiel.py                  # about five minutes
    python benchmarks/engine_vs_openspiel.py --pairs othello,go --seconds 1 --rounds 3

Both sides play uniformly random legal moves to the end of the game, again and again, without Python per move:

* ours: `ringrift.rules.cpu.bench_playouts`, one thread. A move is one recorded ply, bookkeeping plies included.
* OpenSpiel: the rollouts inside its C++ `MCTSBot`. One call of `mcts_search` with `max_simulations=1` evaluates the
  root and nothing else, and its `RandomRolloutEvaluator(n_rollouts=K)` then plays exactly K games from the root in
  C++: no tree is grown, so no move is saved by a tree and none is spent on one. The number of games is exact (checked
  by the visit count of the root). Their moves are K times the mean length of random games, which is measured before, in
  Python, with the same uniform choice from the same root, to a stated standard error.

Ours and theirs take turns (A B A B ...) on the same core, and the medians of the rounds are compared. The rules of the
two sides differ: the table compares engines at comparable work, not the same game.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

METHOD = (
    "ours: plies of finished games / wall time. OpenSpiel: rollouts played by its C++ MCTSBot (max_simulations=1, "
    "n_rollouts=K: exactly K games from the root, no tree) x mean game length / wall time; the mean length is measured "
    "separately from the same root, its standard error is given."
)
CAVEAT = (
    "The rules differ: a move of RingRift is not a move of the game beside it. othello and go do comparable work a "
    "move; havannah, y and chinese_checkers are lighter and printed beside."
)

LIGHT = {3: "chinese_checkers(players=3)", 4: "chinese_checkers(players=4)"}
PAIRS: tuple[tuple[str, str], ...] = (
    ("square8_2p", "othello"),
    ("square19_2p", "go(board_size=19)"),
    ("hexagonal_2p", "havannah(board_size=13)"),
    ("hexagonal_2p", "y(board_size=19)"),
    *(
        (f"{board}_{players}p", LIGHT[players])
        for players in (3, 4)
        for board in ("square8", "hex8", "square19", "hexagonal")
    ),
)

LENGTH_ERROR = 0.003
"""Relative standard error at which the mean game length counts as known."""
LENGTH_CAP_S = 30.0
CALL_S = 0.05
"""Length of one call into OpenSpiel: long enough to hide the call, short enough to end a round in time."""
SHARED_BELOW = 0.97
"""Share of the core below which a measurement is reported as disturbed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timed measurement of one side."""

    moves_per_s: float
    games_per_s: float
    core_share: float
    """CPU time over wall time; below one when something else ran on the core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The median of all rounds of one side of a pair."""

    name: str
    moves_per_s: float
    moves_per_s_min: float
    moves_per_s_max: float
    ns_per_move: float
    moves_per_cpu_s: float
    """The rate over CPU time: what the core would reach alone, where it was shared."""
    games_per_s: float
    moves_per_game: float
    moves_rel_stderr: float
    """Standard error of the count of moves, relative; zero where every move was counted."""
    rounds: int
    core_share_min: float


class OpenSpielGame:
    """Random rollouts of one OpenSpiel game, counted inside its C++ search."""

    def __init__(self, name: str, seed: int) -> None:
        import pyspiel

        self.name = name
        self._pyspiel = pyspiel
        self._game = pyspiel.load_game(name)
        if self._game.get_type().chance_mode != pyspiel.GameType.ChanceMode.DETERMINISTIC:
            raise ValueError(f"{name}: has chance moves, which rollouts would not count as moves")
        self._root = self._game.new_initial_state()
        self.length_mean, self.length_sd, self.length_games = self._measure_length(seed)
        self._rollouts_per_call = 1
        self._bot = self._new_bot(seed)
        self._rollouts_per_call = max(1, round(CALL_S / self._time_one_rollout()))
        self._bot = self._new_bot(seed)
        self.rollouts = 0

    def _new_bot(self, seed: int) -> Any:
        evaluator = self._pyspiel.RandomRolloutEvaluator(self._rollouts_per_call, seed)
        return self._pyspiel.MCTSBot(self._game, evaluator, 2.0, 1, 1000, False, seed, False)

    def _time_one_rollout(self) -> float:
        begin = time.perf_counter()
        games = 0
        while time.perf_counter() < begin + 2 * CALL_S:
            games += self._search()
        return (time.perf_counter() - begin) / games

    def _search(self) -> int:
        """Play one call's rollouts; return how many."""
        node = self._bot.mcts_search(self._root)
        if node.explore_count != 1 or node.children:
            raise RuntimeError(
                f"{self.name}: MCTSBot made {node.explore_count} simulations instead of 1"
            )
        return self._rollouts_per_call

    def _measure_length(self, seed: int) -> tuple[float, float, int]:
        """Play random games in Python until their mean length is known well enough."""
        rng = random.Random(seed)
        lengths: list[int] = []
        end = time.perf_counter() + LENGTH_CAP_S
        while time.perf_counter() < end:
            for _ in range(50):
                state = self._root.clone()
                plies = 0
                while not state.is_terminal():
                    actions = state.legal_actions()
                    state.apply_action(actions[int(rng.random() * len(actions))])
                    plies += 1
                lengths.append(plies)
            mean, sd = statistics.fmean(lengths), statistics.stdev(lengths)
            if len(lengths) >= 200 and sd / math.sqrt(len(lengths)) <= LENGTH_ERROR * mean:
                break
        return mean, sd, len(lengths)

    @property
    def moves_rel_stderr(self) -> float:
        """Relative standard error of rollouts x mean length: of the mean, and of the rollouts' own sum."""
        spread = self.length_sd / self.length_mean
        return spread * math.sqrt(1 / self.length_games + 1 / max(1, self.rollouts))

    def measure(self, seconds: float) -> Sample:
        """Time rollouts for about `seconds`."""
        games = 0
        cpu, begin = time.process_time(), time.perf_counter()
        while time.perf_counter() < begin + seconds:
            games += self._search()
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
        self.rollouts += games
        return Sample(
            moves_per_s=games * self.length_mean / wall,
            games_per_s=games / wall,
            core_share=cpu / wall,
        )


def measure_ours(config: str, seconds: float, seed: int) -> Sample:
    """Time our playouts for about `seconds`."""
    from ringrift.rules.cpu import bench_playouts

    cpu, begin = time.process_time(), time.perf_counter()
    found = bench_playouts(config, seconds, threads=1, seed=seed)
    share = (time.process_time() - cpu) / (time.perf_counter() - begin)
    return Sample(
        moves_per_s=found["plies_per_s"], games_per_s=found["games_per_s"], core_share=share
    )


def summarise(name: str, samples: list[Sample], *, moves_rel_stderr: float) -> Side:
    """Reduce the rounds of one side to medians."""
    rates = [sample.moves_per_s for sample in samples]
    rate = statistics.median(rates)
    games = statistics.median(sample.games_per_s for sample in samples)
    return Side(
        name=name,
        moves_per_s=rate,
        moves_per_s_min=min(rates),
        moves_per_s_max=max(rates),
        ns_per_move=1e9 / rate,
        moves_per_cpu_s=statistics.median(s.moves_per_s / s.core_share for s in samples),
        games_per_s=games,
        moves_per_game=statistics.median(s.moves_per_s / s.games_per_s for s in samples),
        moves_rel_stderr=moves_rel_stderr,
        rounds=len(samples),
        core_share_min=min(sample.core_share for sample in samples),
    )


def measure_pairs(
    pairs: list[tuple[str, str]],
    *,
    seconds: float,
    rounds: int,
    seed: int,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure all pairs, ours and theirs in turn, `rounds` times."""
    games: dict[str, OpenSpielGame] = {}
    for name in dict.fromkeys(theirs for _, theirs in pairs):
        say(f"length of {name}")
        games[name] = OpenSpielGame(name, seed)
    for config in dict.fromkeys(ours for ours, _ in pairs):
        say(f"compiling {config}")
        measure_ours(config, 0.1, seed)
    samples: dict[tuple[str, str], tuple[list[Sample], list[Sample]]] = {p: ([], []) for p in pairs}
    for turn in range(rounds):
        for at, (ours, theirs) in enumerate(pairs, start=1):
            say(f"round {turn + 1}/{rounds}, pair {at}/{len(pairs)}: {ours} | {theirs}")
            mine, peers = samples[ours, theirs]
            mine.append(measure_ours(ours, seconds, seed + (turn << 32)))
            peers.append(games[theirs].measure(seconds))
    results = []
    for (ours, theirs), (mine, peers) in samples.items():
        game = games[theirs]
        left = summarise(ours, mine, moves_rel_stderr=0.0)
        right = summarise(theirs, peers, moves_rel_stderr=game.moves_rel_stderr)
        results.append(
            {
                "ours": asdict(left),
                "openspiel": asdict(right) | {"length_games": game.length_games},
                "ratio": left.moves_per_s / right.moves_per_s,
                "ratio_cpu": left.moves_per_cpu_s / right.moves_per_cpu_s,
            }
        )
    return results


def pin_core(core: int | None) -> int | None:
    """Keep this process, and the threads it starts, on one core; return it, or `None` where that is not possible."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = os.sched_getaffinity(0)
    chosen = max(allowed) if core is None else core
    if chosen not in allowed:
        raise ValueError(f"--core {chosen} is not one of {', '.join(map(str, sorted(allowed)))}")
    os.sched_setaffinity(0, {chosen})
    return chosen


def describe_machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, system, versions, load."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    family = [line.partition(":")[2].strip() for line in lines if line.startswith("cpu family")]
    cpu = models[0] if models else platform.processor() or platform.machine()
    return {
        "cpu": cpu + (f" (family {family[0]})" if family else ""),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{
            name: version(name) for name in ("ringrift", "open-spiel", "numba", "llvmlite", "numpy")
        },
    }


def table_lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield the report as Markdown."""
    head = (
        "ours",
        "moves/s",
        "ns/move",
        "moves/game",
        "OpenSpiel",
        "moves/s",
        "ns/move",
        "moves/game",
        "ratio",
    )
    rows = []
    for result in report["results"]:
        cells = []
        for side in (result["ours"], result["openspiel"]):
            cells += [
                side["name"],
                f"{side['moves_per_s']:,.0f}",
                f"{side['ns_per_move']:,.0f}",
                f"{side['moves_per_game']:,.0f}",
            ]
        rows.append([*cells, f"{result['ratio']:.2f}"])
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    left = {0, 4}

    def line(cells: tuple[str, ...] | list[str]) -> str:
        padded = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join(padded) + " |"

    yield line(head)
    rules = ("-" * w if i in left else "-" * (w - 1) + ":" for i, w in enumerate(widths))
    yield "| " + " | ".join(rules) + " |"
    yield from map(line, rows)
    machine, conditions = report["machine"], report["conditions"]
    errors = [result["openspiel"]["moves_rel_stderr"] for result in report["results"]]
    spreads = [
        (side["moves_per_s_max"] - side["moves_per_s_min"]) / side["moves_per_s"]
        for result in report["results"]
        for side in (result["ours"], result["openspiel"])
    ]
    yield ""
    yield f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}."
    yield "Versions: " + ", ".join(
        f"{name} {machine[name]}" for name in machine if name not in ("cpu", "cores", "system")
    )
    yield (
        f"Conditions: one thread pinned to core {conditions['core']}, {conditions['rounds']} rounds of "
        f"{conditions['seconds']:g} s a side in turn, median; largest spread (max - min) / median {max(spreads):.0%}; "
        f"load average before {conditions['load_before']:.2f}; seed {conditions['seed']}."
    )
    if conditions["core_share_min"] < SHARED_BELOW:
        yield (
            f"DISTURBED: something else ran on the core, the worst measurement had {conditions['core_share_min']:.0%} "
            "of it. Run again on a quiet machine; until then, moves per second of CPU time:"
        )
        for result in report["results"]:
            ours, theirs = result["ours"], result["openspiel"]
            yield (
                f"  {ours['name']} {ours['moves_per_cpu_s']:,.0f}, {theirs['name']} {theirs['moves_per_cpu_s']:,.0f}, "
                f"ratio {result['ratio_cpu']:.2f}"
            )
    yield f"Method: {report['method']} Largest standard error of the moves counted: {max(errors):.2%}."
    yield report["caveat"]


def chosen_pairs(words: str) -> list[tuple[str, str]]:
    """Return the pairs that a comma list names: a game, a configuration, a board, or players as `3p`."""
    wanted = {word.strip() for word in words.split(",")}

    def named(pair: tuple[str, str]) -> bool:
        ours, theirs = pair
        return bool(wanted & {"all", ours, *ours.split("_"), theirs, theirs.partition("(")[0]})

    found = [pair for pair in PAIRS if named(pair)]
    if not found:
        names = ", ".join(dict.fromkeys(name for pair in PAIRS for name in pair))
        raise ValueError(f"--pairs {words!r} names none of {names}")
    return found


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Make a parser of positive numbers for argparse."""

    def parse(word: str) -> float:
        value = kind(word)
        if not (value > 0 and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"{word} is not a positive number")
        return value

    parse.__name__ = f"positive {kind.__name__}"
    return parse


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description="Random playouts of our engine next to OpenSpiel's C++ games, on one core.",
        epilog=CAVEAT,
    )
    parser.add_argument(
        "--seconds", type=positive(float), default=2.0, help="per side and round (default: 2)"
    )
    parser.add_argument(
        "--rounds", type=positive(int), default=5, help="measurements a side (default: 5)"
    )
    parser.add_argument(
        "--pairs",
        default="all",
        metavar="LIST",
        help="games, configurations, boards or players, e.g. othello,square19,3p (default: all)",
    )
    parser.add_argument("--core", type=int, help="core to run on (default: the last one allowed)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to FILE as well")
    options = parser.parse_args(arguments)
    try:
        pairs = chosen_pairs(options.pairs)
        load = os.getloadavg()[0]
        core = pin_core(options.core)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if options.output and not options.output.parent.is_dir():
        parser.error(f"--output: {options.output.parent} is not a folder")
    try:
        import pyspiel  # noqa: F401 - asked for before minutes are spent
    except ImportError:
        parser.error("OpenSpiel is not installed; try: pip install 'ringrift[bench]'")

    begin = time.monotonic()

    def say(doing: str) -> None:
        if sys.stderr.isatty():
            print(
                f"\r\033[K{time.monotonic() - begin:4.0f} s  {doing}",
                end="",
                file=sys.stderr,
                flush=True,
            )

    results = measure_pairs(
        pairs, seconds=options.seconds, rounds=options.rounds, seed=options.seed, say=say
    )
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    sides = [side for result in results for side in (result["ours"], result["openspiel"])]
    report = {
        "results": results,
        "machine": describe_machine(),
        "conditions": {
            "core": core,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "seed": options.seed,
            "load_before": load,
            "core_share_min": min(side["core_share_min"] for side in sides),
        },
        "method": METHOD,
        "caveat": CAVEAT,
    }
    text = json.dumps(report, indent=2) if options.json else "\n".join(table_lines(report))
    print(text)
    if options.output:
        part = options.output.with_name(options.output.name + ".part")
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
