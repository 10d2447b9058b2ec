"""Evaluate positions with the kernel in the CUDA simulator and print the values; a subprocess.

The simulator works only with NUMBA_ENABLE_CUDASIM=1 and NUMBA_DISABLE_JIT=1 set before Numba loads.
"""

import json
import sys

from ringrift.agents.benchmarks.evaluation_gpu import evaluate_on_gpu
from ringrift.agents.weights import default_profile
from ringrift.rules import BoardSpec, Position


def main(config: str, players: int, moves: list[list[str]]) -> None:
    spec = BoardSpec.create(config, players)
    profile = default_profile(spec.config)
    values = []
    for line in moves:
        position = Position.of(spec)
        for move in line:
            position.play(int(move))
        states = position._states
        values += evaluate_on_gpu(spec, states, profile.effective(), profile.gain).tolist()
    print(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.load(sys.stdin))
