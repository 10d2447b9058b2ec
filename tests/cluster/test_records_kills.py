"""kill -9 of whoever carries games, at random instants: what was made is stored, each game once."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from ringrift.cluster.hub import is_healthy
from ringrift.cluster.positions import games_incarnation
from ringrift.cluster.spool import spool_counts
from ringrift.cluster.streams import Subjects, ensure
from ringrift.core.errors import NotRunningError
from ringrift.records import GameStore

from .made_games import made_game

SCRIPT = Path(__file__).with_name("path_processes.py")


class Carriers:
    """Producers, a sender and a collector as processes, which are started again when they die."""

    def __init__(self, folder, games, producers):
        self.folder, self.children, self.producers = folder, {}, producers
        spool, store = str(folder / "spool.db"), str(folder / "store.db")
        firsts = range(0, games, games // producers)
        self.commands = {
            **{
                f"producer{number}": ["produce", spool, str(first), str(first + firsts.step)]
                for number, first in enumerate(firsts)
            },
            "sender": ["send", spool, str(folder)],
            "collector": ["collect", store, str(folder)],
        }

    def __enter__(self):
        for name in self.commands:
            self._start(name)
        return self

    def __exit__(self, *_):
        for child in self.children.values():
            child.kill()
            child.wait()

    def _start(self, name):
        command = [sys.executable, str(SCRIPT), *self.commands[name]]
        self.children[name] = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def kill(self, name):
        self.children[name].kill()

    def keep_alive(self):
        """Start what was killed again; tell whether the producers have finished."""
        finished = 0
        for name, child in self.children.items():
            code = child.poll()
            if code == 0:
                finished += 1
            elif code is not None:
                assert code == -signal.SIGKILL, f"{name} ended with {code}"
                self._start(name)
        return finished == self.producers


def stored(folder):
    with GameStore.open(folder / "store.db") as store:
        return store.game_ids()


def run_with_faults(folder, hub, bus, *, games, producers, faults, pause_s, limit_s, seed):
    rng = random.Random(seed)
    made = {made_game(number)[0].id for number in range(games)}
    end_s = time.monotonic() + limit_s
    with Carriers(folder, games, producers) as path:
        while not (folder / "store.db").exists():
            time.sleep(0.05)
        for fault in faults:
            time.sleep(rng.uniform(*pause_s))
            if fault == "server":
                os.kill(hub.state.pid, signal.SIGKILL)
            elif fault == "storage":
                lose_storage(folder, hub, bus)
            elif fault == "freeze":
                freeze(path, rng.uniform(*pause_s))
            else:
                path.kill(fault)
            path.keep_alive()
        while True:
            done = path.keep_alive() and spool_counts(folder / "spool.db").count == 0
            if done or time.monotonic() > end_s:
                break
            time.sleep(0.05)
        assert done, f"{spool_counts(folder / 'spool.db')} {len(stored(folder))} stored"
    assert stored(folder) == made
    with closing(sqlite3.connect(folder / "store.db")) as rows:
        assert rows.execute("SELECT count(*) FROM games").fetchone()[0] == len(made)
        assert rows.execute("SELECT count(*) FROM analyses").fetchone()[0] == len(made)
        assert rows.execute("SELECT count(*) FROM quarantine").fetchone()[0] == 0


def lose_storage(folder, hub, bus):
    """Take all that the hub has stored away from it, as a power cut with a broken disk would."""
    before, _ = bus.run(games_incarnation(bus.js))
    hub.stop()
    (folder / "hub" / "js" / "jetstream").rename(folder / f"lost-{time.monotonic_ns()}")
    hub.start()
    while True:
        with suppress(NotRunningError):
            bus.run(ensure(bus.js, Subjects(), games_bytes=64 << 20))
            assert bus.run(games_incarnation(bus.js))[0] > before
            return
        time.sleep(0.1)


def freeze(path, seconds):
    child = path.children["collector"]
    child.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    child.send_signal(signal.SIGCONT)


@pytest.mark.slow
def test_games_survive_the_death_of_every_process_on_their_way(tmp_path, hub, bus):
    faults = ["producer0", "collector", "server"]
    run_with_faults(
        tmp_path,
        hub,
        bus,
        games=300,
        producers=1,
        faults=faults,
        pause_s=(0.3, 0.8),
        limit_s=60,
        seed=1,
    )
    assert is_healthy(hub.state.monitor_port)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_twenty_thousand_games_under_kills_of_everything(tmp_path, hub, bus):
    kinds = ["producer0", "producer1", "collector", "sender", "server", "storage", "freeze"]
    rng = random.Random(7)
    faults = [rng.choice(kinds) for _ in range(18)] + kinds
    run_with_faults(
        tmp_path,
        hub,
        bus,
        games=20_000,
        producers=2,
        faults=faults,
        pause_s=(1, 4),
        limit_s=900,
        seed=7,
    )
