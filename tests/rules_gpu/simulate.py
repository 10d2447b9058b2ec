"""Play the playout kernel in the CUDA simulator and print its results; a subprocess of the tests.

The simulator works only with NUMBA_ENABLE_CUDASIM=1 and NUMBA_DISABLE_JIT=1 set before Numba loads.
"""

import json
import sys

from ringrift.rules import gpu
from ringrift.rules.spec import BoardSpec, parse_config


def main(games: int, max_plies: int, configs: list[str]) -> None:
    results = {}
    for config in configs:
        board, players = parse_config(config)
        spec = BoardSpec.create(board, players, rings_per_player=5)
        played = gpu.random_playouts(spec, games, seed=7, lanes=2, max_plies=max_plies)
        results[config] = [
            played.winner.tolist(),
            played.reason.tolist(),
            played.plies.tolist(),
            played.hash.tolist(),
        ]
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
