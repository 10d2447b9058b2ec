"""Builds a pool in a process of its own, to be killed: `pool_builder.py OUTPUT EVERY INPUT...`.

Prints `ready`, then the number of games in the store after each batch of EVERY.
"""

import sys
from pathlib import Path

from ringrift.data.pool import build
from ringrift.data.pool.request import PoolRequest
from ringrift.records import GameStore
from ringrift.rules.warm import warm_up


def main(output, every, *inputs):
    warm_up()
    build.COMMIT_EVERY = build.CHUNK = int(every)
    write = build._Batch.write

    def told(batch, state):
        write(batch, state)
        with GameStore.open(Path(output)) as store:
            print(store.count(), flush=True)

    build._Batch.write = told
    print("ready", flush=True)
    build.build_pool(PoolRequest(output=Path(output), named=tuple(map(Path, inputs))))


if __name__ == "__main__":
    main(*sys.argv[1:])
