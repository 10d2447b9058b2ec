"""NNUE evaluations per second, ours next to torch at batch 1, on one core, in one run.

    python benchmarks/nnue_vs_torch.py                       # half a minute
    python benchmarks/nnue_vs_torch.py --hidden 128 --json

Positions are those of random games of square8 with two players. Ours evaluates each inside compiled
code, as a search does: listing what is active, both seats' accumulators, both outputs, the values.
torch evaluates a float net of the same shape on the same active inputs, listed before and not
counted, as one `EmbeddingBag` and three `Linear` layers for both seats at once; onnxruntime, where
it is installed, the same net without the accumulators. Ours and theirs take turns; medians are
compared, in CPU time of the thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numba
import numpy as np
import torch

from ringrift.nets.nnue import features, forward
from ringrift.nets.nnue.arrays import new_work
from ringrift.nets.nnue.network import Shape, lay_out, quantise, random_weights
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

compiled = numba.njit(error_model="numpy", nogil=True)


@compiled
def run_refresh(states, boards, net, work, out):
    """Evaluate every position from nothing."""
    for i in range(len(states)):
        work.places[0].known = 0
        forward.evaluate(states[i], boards[0], net, work, out)


@compiled
def run_differences(states, boards, net, work, out):
    """Evaluate every position from the one before it."""
    for i in range(len(states)):
        forward.evaluate(states[i], boards[0], net, work, out)


class FloatNet(torch.nn.Module):
    """The float net of the same shape, for the two seats of one position."""

    def __init__(self, weights: dict[str, Any]) -> None:
        super().__init__()
        w = {name: torch.from_numpy(array) for name, array in weights.items()}
        bag = torch.nn.EmbeddingBag.from_pretrained
        self.inputs = bag(w["inputs.weight"], mode="sum", include_last_offset=True)
        self.bias = w["inputs.bias"]
        self.layers = torch.nn.ModuleList()
        for name in ("first", "second", "last"):
            layer = torch.nn.Linear(*reversed(w[f"{name}.weight"].shape))
            layer.weight.data, layer.bias.data = w[f"{name}.weight"], w[f"{name}.bias"]
            self.layers.append(layer)

    def forward(self, active: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Return the value of seat 1."""
        own = (self.inputs(active, offsets) + self.bias).clamp(0, 1)
        x = torch.cat((own, own.flip(0)), 1)
        for layer in self.layers[:2]:
            x = layer(x).clamp(0, 1)
        z = self.layers[2](x)[:, 0]
        return torch.tanh((z[0] - z[1]) / 2)


def collect(count: int, seed: int) -> tuple[Any, Any, Any]:
    """Return states of random games, their legal moves and the offsets of these."""
    rng, spec = np.random.default_rng(seed), BoardSpec.create("square8", 2)
    states, moves = [], []
    while len(states) < count:
        position = Position.of(spec)
        while not position.is_over:
            legal = position.legal_packed()
            states.append(position._states.copy())  # noqa: SLF001 (the compiled form)
            moves.append(legal)
            position.play(int(rng.choice(legal)))
    offsets = np.zeros(len(states) + 1, np.int32)
    offsets[1:] = np.cumsum([len(m) for m in moves])
    return np.concatenate(states), np.concatenate(moves), offsets


def rate(run: Callable[[], int], seconds: float) -> float:
    """Return evaluations per second of CPU time."""
    started, done = time.thread_time(), 0
    while (took := time.thread_time() - started) < seconds:
        done += run()
    return done / took


def torch_runner(weights: dict[str, Any], states: Any, boards: Any) -> Callable[[], int]:
    """Return a call that evaluates 64 positions one by one in torch."""
    net = FloatNet(weights).eval()
    inputs = []
    for state in states[:: max(1, len(states) // 64)][:64]:
        both = np.repeat(state.reshape(1), 2)
        found, counts = features.active(both, boards, "square8", np.array([1, 2], np.int8))
        active = np.concatenate([found[i, : counts[i]] for i in range(2)]).astype(np.int64)
        offsets = np.array([0, counts[0], counts.sum()], np.int64)
        inputs.append((torch.from_numpy(active), torch.from_numpy(offsets)))

    def run() -> int:
        with torch.inference_mode():
            for active, offsets in inputs:
                net(active, offsets)
        return len(inputs)

    return run


def onnx_runner(hidden: int) -> Callable[[], int] | None:
    """Return a call of onnxruntime on the layers behind the accumulators, if it is installed."""
    if not find_spec("onnxruntime") or not find_spec("onnx"):
        return None
    import io

    import onnxruntime

    layers = torch.nn.Sequential(
        torch.nn.Linear(2 * hidden, 32), torch.nn.Hardtanh(0, 1), torch.nn.Linear(32, 32),
        torch.nn.Hardtanh(0, 1), torch.nn.Linear(32, 1),
    )  # fmt: skip
    file = io.BytesIO()
    torch.onnx.export(layers, (torch.zeros(2, 2 * hidden),), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options)
    name, x = session.get_inputs()[0].name, np.zeros((2, 2 * hidden), np.float32)

    def run() -> int:
        for _ in range(64):
            session.run(None, {name: x})
        return 64

    return run


def measure(hidden: int, seconds: float, rounds: int, seed: int) -> dict[str, Any]:
    """Return median evaluations per second of each way for one width."""
    states, moves, offsets = collect(2000, seed)
    boards = board_tables(BoardSpec.create("square8", 2))
    shape = Shape(board="square8", players=2, hidden=hidden, policy=True)
    weights = random_weights(shape, seed=seed)
    net = lay_out(quantise(weights, shape), shape)
    work, out, scratch = new_work(net, 2, places=2), np.zeros(2), lay.zeros(1, lay.SCRATCH)
    logits = np.zeros(len(moves), np.float32)
    values = np.zeros((len(states), 2), np.float32)

    def ours(run: Callable[..., None]) -> Callable[[], int]:
        def call() -> int:
            run(states, boards, net, work, out)
            return len(states)

        return call

    def policy() -> int:
        forward.evaluate_policy(states, boards, scratch, net, work, moves, offsets, logits, values)
        return len(states)

    runners: dict[str, Callable[[], int]] = {
        "refresh": ours(run_refresh),
        "incremental": ours(run_differences),
        "incremental with policy": policy,
        "torch, batch 1": torch_runner(weights, states, boards),
    }
    onnx = onnx_runner(hidden)
    if onnx is not None:
        runners["onnxruntime, layers only"] = onnx
    for run in runners.values():
        run()
    rates: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, run in runners.items():
            rates[name].append(rate(run, seconds))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    spread = max((max(r) - min(r)) / statistics.median(r) for r in rates.values())
    _, counts = features.active(states, boards, "square8", np.ones(len(states), np.int8))
    per_move_ns = (1e9 / medians["incremental with policy"] - 1e9 / medians["incremental"]) / (
        len(moves) / len(states)
    )
    return {
        "hidden": hidden,
        "evaluations_per_s": medians,
        "refresh_to_torch": medians["refresh"] / medians["torch, batch 1"],
        "incremental_to_torch": medians["incremental"] / medians["torch, batch 1"],
        "active_inputs": float(counts.mean()),
        "moves": len(moves) / len(states),
        "policy_ns_per_move": per_move_ns,
        "largest_spread": spread,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, nargs="*", default=[128, 256])
    parser.add_argument("--seconds", type=float, default=0.4, help="per way and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    load = os.getloadavg()[0]
    results = [measure(h, args.seconds, args.rounds, args.seed) for h in args.hidden]
    conditions = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("numba", "numpy", "torch")},
        "load_before": load,
        "seed": args.seed,
        "rounds": args.rounds,
        "seconds": args.seconds,
    }
    if args.json:
        print(json.dumps({"results": results, **conditions}))
        return 0
    print("| H | way | evaluations/s | to torch |\n| --: | --- | --: | --: |")
    for result in results:
        theirs = result["evaluations_per_s"]["torch, batch 1"]
        for name, found in result["evaluations_per_s"].items():
            print(f"| {result['hidden']} | {name} | {found:,.0f} | {found / theirs:.1f} |")
    last = results[-1]
    print(
        f"\nsquare8_2p, random games, {last['active_inputs']:.0f} active inputs a seat, "
        f"{last['moves']:.0f} moves a position; policy "
        + ", ".join(f"{r['policy_ns_per_move']:.0f} ns a move at H={r['hidden']}" for r in results)
        + f"\nlargest spread of a way over its rounds {max(r['largest_spread'] for r in results):.0%}"
        f"\n{json.dumps(conditions)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
