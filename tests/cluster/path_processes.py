"""Processes of the records path, most of which tests kill.

produce SPOOL FIRST LAST       games of these seeds into a spool
send SPOOL FOLDER              a spool to the hub whose key and state are in FOLDER
collect STORE FOLDER           the hub's games into a store
play SPOOL FIRST LAST SECONDS  games of full length at an even pace; prints what the writer takes
"""

import random
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from made_games import made_game

from ringrift.cluster.batches import BatchWriter
from ringrift.cluster.bus import Bus
from ringrift.cluster.collector import Collector
from ringrift.cluster.hub import read_state
from ringrift.cluster.keys import node_key
from ringrift.cluster.sender import Sender
from ringrift.cluster.spool import Spool
from ringrift.cluster.streams import Subjects
from ringrift.core.errors import NotRunningError
from ringrift.records import GameStore

MOST_BYTES = 10**9
GAMES_A_BATCH = 10


def produce(path, first, last):
    with (
        Spool(Path(path), most_bytes=MOST_BYTES) as spool,
        BatchWriter(spool, Subjects().game("one", "made")) as writer,
    ):
        for seed in range(int(first), int(last)):
            writer.game(*made_game(seed))
            if seed % GAMES_A_BATCH == 0:
                writer.flush()


def play(path, first, last, seconds):
    rng = random.Random(first)
    made = [made_game(seed, plies=136) for seed in range(40)]
    costs_ms = []
    with (
        Spool(Path(path), most_bytes=MOST_BYTES) as spool,
        BatchWriter(spool, Subjects().game("one", "made")) as writer,
    ):
        for seed in range(int(first), int(last)):
            time.sleep(float(seconds) * rng.uniform(0.5, 1.5))
            record, analysis = made[seed % len(made)]
            record = replace(record, seed=seed)
            analysis = replace(analysis, game=record.id)
            began_s = time.perf_counter()
            writer.game(record, analysis)
            costs_ms.append(1e3 * (time.perf_counter() - began_s))
    mean, p99 = statistics.mean(costs_ms), statistics.quantiles(costs_ms, n=100)[-1]
    print(f"writer: {mean:.2f} ms a game, p99 {p99:.2f} ms", flush=True)


def send(path, folder):
    with (
        Spool(Path(path), most_bytes=MOST_BYTES) as spool,
        connected(folder, "sender") as bus,
        Sender(bus, spool, min_replicas=1),
    ):
        time.sleep(3600)


def collect(path, folder):
    with GameStore.open(Path(path), writer=True) as store:
        while True:
            try:
                with connected(folder, "keeper") as bus:
                    dead = Path(folder) / "dead"
                    collector = Collector(bus, Subjects(), store, node="keeper", dead_letters=dead)
                    collector.run(lambda: False)
            except NotRunningError:
                time.sleep(0.2)


def connected(folder, node):
    """Return a connection to the hub of a folder, as soon as there is one."""
    folder = Path(folder)
    while True:
        bus = Bus(read_state(folder / "hub").url, node_key(folder / "node.nk"), node=node)
        try:
            bus.connect()
        except NotRunningError:
            time.sleep(0.2)
        else:
            return Entered(bus)


class Entered:
    """A connection that is made already, as a context manager."""

    def __init__(self, bus):
        self.bus = bus

    def __enter__(self):
        return self.bus

    def __exit__(self, *_):
        self.bus.close()


if __name__ == "__main__":
    {"produce": produce, "play": play, "send": send, "collect": collect}[sys.argv[1]](*sys.argv[2:])
