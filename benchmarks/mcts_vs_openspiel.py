"""Simulations of our tree search next to those of OpenSpiel's C++ `MCTSBot`, on one core, in one run.

    python benchmarks/mcts_vs_openspiel.py                                  # about five minutes
    python benchmarks/mcts_vs_openspiel.py --pairs square8_2p --seconds 1 --rounds 3

Both sides search from the start of their game with `--sims` simulations, again and again:

* OpenSpiel: `MCTSBot` (UCT, no solver) with `RandomRolloutEvaluator(n_rollouts=1)`: one random game a simulation.
* ours with a rollout: `MctsAgent`, whose evaluator plays one uniformly random game from the leaf, in compiled code.
* ours with a constant: the same agent with an evaluator that knows nothing and costs nothing: the tree alone.

Ours searches `--games` games in lock step, as self-play does; OpenSpiel's searches one, since it has no such mode. All
run on one thread of one core and take turns, and the medians of the rounds are compared. The rules differ: the table
compares searches at comparable work, not the same game.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from engine_vs_openspiel import SHARED_BELOW, describe_machine, pin_core, positive
from ringrift.agents.evaluators import ConstantEvaluator
from ringrift.agents.listing import scratch
from ringrift.agents.mcts import MctsAgent, MctsOptions
from ringrift.agents.protocol import Batch, Budget, Evaluator, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.agents.values import final_values
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.playout import playout
from ringrift.rules.spec import parse_config

PAIRS = (
    ("square8_2p", "othello"),
    ("square19_2p", "go(board_size=19)"),
    ("hexagonal_2p", "havannah(board_size=13)"),
    ("square8_3p", "chinese_checkers(players=3)"),
    ("square8_4p", "chinese_checkers(players=4)"),
)
UCT_C = 2.0
MOST_PLIES = 1_000_000


@numba.njit(error_model="numpy")
def play_out(states, n, boards, scratch, work, buffer, seed, values):
    """Play each position to its end at random; `values`: float64[n, players] are the results."""
    for i in range(n):
        work[0] = states[i]
        playout(work[0], boards[0], scratch[0], buffer, seed + i, MOST_PLIES)
        final_values(work[0], boards[0], values[i])


class RandomRollout:
    """Value a position by one random game, call every move alike: as OpenSpiel's evaluator does."""

    def __init__(self, spec: BoardSpec, seed: int) -> None:
        self._players = spec.players
        self._seed = seed
        self._work = lay.zeros(1, lay.STATE)
        self._buffer = np.zeros(spec.max_moves + 32, np.int64)

    def evaluate(self, states: Any, boards: Any, moves: Any, offsets: Any) -> tuple[Any, Any]:
        """Return zeros and results; see `protocol.Evaluator`."""
        n = len(states)
        values = np.zeros((n, self._players))
        play_out(states, n, boards, scratch(), self._work, self._buffer, self._seed, values)
        self._seed += n
        return np.zeros(len(moves), np.float32), values.astype(np.float32)


class Ours:
    """Our search of `games` games in lock step."""

    def __init__(self, config: str, evaluator: str, games: int, sims: int, seed: int) -> None:
        board, players = parse_config(config)
        spec = BoardSpec.create(board, players)
        self.name = f"{config} {evaluator}"
        made: Evaluator = (
            ConstantEvaluator(spec) if evaluator == "constant" else RandomRollout(spec, seed)
        )
        named = ResolvedSpec(text="benchmark", agent_hash="0" * 64)
        self._agent = MctsAgent(named, spec, made, MctsOptions(sims=sims, reuse=False))
        states = np.concatenate([Position.of(spec).record().reshape(1) for _ in range(games)])
        self._batch = Batch(spec, states, [seed + g for g in range(games)])

    def search(self) -> int:
        """Search every game once; return the simulations made."""
        return sum(d.sims for d in self._agent.choose(self._batch, Budget(), Rngs()))


class Theirs:
    """OpenSpiel's search of one game."""

    def __init__(self, name: str, sims: int, seed: int) -> None:
        import pyspiel

        self.name = name
        game = pyspiel.load_game(name)
        evaluator = pyspiel.RandomRolloutEvaluator(1, seed)
        self._bot = pyspiel.MCTSBot(game, evaluator, UCT_C, sims, 1000, False, seed, False)
        self._root = game.new_initial_state()

    def search(self) -> int:
        """Search the start once; return the simulations made."""
        return int(self._bot.mcts_search(self._root).explore_count)


def measure(side: Ours | Theirs, seconds: float) -> tuple[float, float]:
    """Search for about `seconds`; return simulations/s and the share of the core."""
    sims = 0
    cpu, begin = time.process_time(), time.perf_counter()
    while time.perf_counter() < begin + seconds:
        sims += side.search()
    wall = time.perf_counter() - begin
    return sims / wall, (time.process_time() - cpu) / wall


def measure_pair(
    pair: tuple[str, str], options: argparse.Namespace, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure the three sides of a pair in turn."""
    config, name = pair
    say(f"compiling {config}")
    sides: list[Ours | Theirs] = [
        Ours(config, "constant", options.games, options.sims, options.seed),
        Ours(config, "rollout", options.games, options.sims, options.seed),
        Theirs(name, options.sims, options.seed),
    ]
    for side in sides:
        side.search()
    samples: list[list[tuple[float, float]]] = [[] for _ in sides]
    for turn in range(options.rounds):
        for side, found in zip(sides, samples, strict=True):
            say(f"{side.name}, round {turn + 1} of {options.rounds}")
            found.append(measure(side, options.seconds))
    rates = [statistics.median(rate for rate, _ in found) for found in samples]
    on_cpu = [statistics.median(rate / share for rate, share in found) for found in samples]
    return {
        "config": config,
        "openspiel": name,
        "constant_sims_per_s": rates[0],
        "rollout_sims_per_s": rates[1],
        "openspiel_sims_per_s": rates[2],
        "sims_per_cpu_s": on_cpu,
        "core_share_min": min(share for found in samples for _, share in found),
    }


def print_table(report: dict[str, Any]) -> None:
    """Print the report as Markdown."""
    print("| ours | constant, sims/s | rollout, sims/s | OpenSpiel | rollout, sims/s | ratios |")
    print("| --- | ---: | ---: | --- | ---: | ---: |")
    for row in report["results"]:
        theirs = row["openspiel_sims_per_s"]
        ratios = (
            f"{row['constant_sims_per_s'] / theirs:.1f}, {row['rollout_sims_per_s'] / theirs:.2f}"
        )
        print(
            f"| {row['config']} | {row['constant_sims_per_s']:,.0f} | {row['rollout_sims_per_s']:,.0f} "
            f"| {row['openspiel']} | {theirs:,.0f} | {ratios} |"
        )
    machine, conditions = report["machine"], report["conditions"]
    print(f"\nMachine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}.")
    print(
        "Versions: "
        + ", ".join(f"{k} {v}" for k, v in machine.items() if k not in ("cpu", "cores", "system"))
    )
    print(
        f"Conditions: one thread pinned to core {conditions['core']}; ours {conditions['games']} games in lock step, "
        f"OpenSpiel one; {conditions['sims']} simulations a search from the start; {conditions['rounds']} rounds of "
        f"{conditions['seconds']:g} s a side in turn, median; load average before {conditions['load_before']:.2f}."
    )
    worst = min(row["core_share_min"] for row in report["results"])
    if worst < SHARED_BELOW:
        print(
            f"DISTURBED: something else ran on the core, the worst measurement had {worst:.0%} of it; simulations per "
            "second of CPU time (constant, rollout, OpenSpiel):"
        )
        for row in report["results"]:
            print(f"  {row['config']}: " + ", ".join(f"{r:,.0f}" for r in row["sims_per_cpu_s"]))


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--pairs", default="all", metavar="LIST", help="configurations (default: all)"
    )
    parser.add_argument(
        "--seconds", type=positive(float), default=3.0, help="per side and round (default: 3)"
    )
    parser.add_argument(
        "--rounds", type=positive(int), default=5, help="measurements a side (default: 5)"
    )
    parser.add_argument("--games", type=positive(int), default=64, help="of ours at once")
    parser.add_argument("--sims", type=positive(int), default=200, help="simulations a search")
    parser.add_argument("--core", type=int, help="core to run on (default: the last one allowed)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write JSON to FILE as well")
    options = parser.parse_args(arguments)
    wanted = options.pairs.split(",")
    pairs = [pair for pair in PAIRS if "all" in wanted or pair[0] in wanted]
    if not pairs:
        parser.error(f"--pairs {options.pairs!r} names none of {', '.join(p for p, _ in PAIRS)}")
    try:
        import pyspiel  # noqa: F401 - asked for before minutes are spent
    except ImportError:
        parser.error("OpenSpiel is not installed; try: pip install 'ringrift[bench]'")
    load = os.getloadavg()[0]
    core = pin_core(options.core)

    def say(doing: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{doing}", end="", file=sys.stderr, flush=True)

    results = [measure_pair(pair, options, say) for pair in pairs]
    say("")
    report = {
        "results": results,
        "machine": describe_machine(),
        "conditions": {
            "core": core,
            "load_before": load,
            **{
                name: getattr(options, name)
                for name in ("games", "sims", "rounds", "seconds", "seed")
            },
        },
    }
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print_table(report)
    if options.output:
        part = options.output.with_name(options.output.name + ".part")
        part.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        part.replace(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
