"""The training loop beside a bare PyTorch loop over preloaded batches: same net, batch and numbers.

python benchmarks/trainer_vs_bare.py                        # about four minutes on two cores
python benchmarks/trainer_vs_bare.py --kinds nnue --repeat 15 --seconds 3
python benchmarks/trainer_vs_bare.py --config hexagonal_2p --size small --device cuda --json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version

import torch

from ringrift.agents.benchmarks.results import machine as machine_facts
from ringrift.training.request import Machine, Shape
from ringrift.training.speed import LEAST_RATIO, measure_kind, random_samples


def cases(kinds: list[str], devices: list[str]) -> list[tuple[str, str, bool]]:
    """Return (kind, device, streaming): the convolutional net also encoding on the way."""
    found = [(kind, device, False) for device in devices for kind in kinds]
    return found + [("cnn", device, True) for device in devices if "cnn" in kinds]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="*", default=list(LEAST_RATIO), choices=list(LEAST_RATIO))
    parser.add_argument("--config", default="square8_2p")
    parser.add_argument("--size", default="tiny", help="of the convolutional net")
    parser.add_argument("--hidden", type=int, default=256, help="of the NNUE")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=2.0, help="per loop and turn")
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--device", nargs="*", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    devices = args.device or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    facts = machine_facts()
    conditions = {
        **facts["machine"],
        "gpu": torch.cuda.get_device_name() if "cuda" in devices else None,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("ringrift", "torch", "numba", "numpy")},
        "seconds": args.seconds,
        "repeat": args.repeat,
        "seed": args.seed,
    }
    tables = random_samples(args.config, samples=args.samples, seed=args.seed)
    rows = []
    for kind, device, streaming in cases(args.kinds, devices):
        result = measure_kind(
            kind,
            tables,
            shape=Shape(size=args.size, hidden=args.hidden),
            machine=Machine(device=device, threads=args.threads),
            batch_size=args.batch_size,
            seconds=args.seconds,
            rounds=args.repeat,
            seed=args.seed,
            streaming=streaming,
        )
        rows.append(result.row)
        print(f"{kind} {device}: {result.row['ratio']:.3f}", file=sys.stderr)
    if args.json:
        print(json.dumps({"results": rows, **conditions}))
        return 0
    print(
        "| net | device, numbers | threads | batch | trainer, samples/s | bare, samples/s "
        "| ratio (95 %) | wanted | feed to bare |\n| --- | --- | --: | --: | --: | --: | --: | --: | --: |"
    )
    for row in rows:
        interval = "" if row["ratio_low"] is None else (
            f" ({row['ratio_low']:.3f} to {row['ratio_high']:.3f})"
        )  # fmt: skip
        print(
            f"| {row['kind']}{' encoding on the way' if row['streaming'] else ''} "
            f"| {row['device']}, {row['numbers']} | {row['threads']} | {row['batch_samples']} "
            f"| {row['trainer_samples_per_s']['median']:,.0f} "
            f"| {row['bare_samples_per_s']['median']:,.0f} | {row['ratio']:.3f}{interval} "
            f"| {LEAST_RATIO[row['kind']]:.2f} | {row['feed_ratio']:.1f} |"
        )
    print(f"\n{args.config}, random games\n{json.dumps(conditions)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
