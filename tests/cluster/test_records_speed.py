"""What a game costs on its way to the store, and how long it takes; played games of full length."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ringrift.cluster.sender import Sender
from ringrift.cluster.spool import Spool

from .test_records_path import collecting, stored, within

GAMES = 1500
PAUSE_S = 0.06
"""Between two games of a player; there are two."""
SCRIPT = Path(__file__).with_name("path_processes.py")


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_games_reach_the_store_within_two_seconds(tmp_path, hub, bus, key):
    path = tmp_path / "spool.db"
    with (
        Spool(path, most_bytes=10**9) as spool,
        Sender(bus, spool, min_replicas=1) as sender,
        collecting(tmp_path, hub.state.url, key) as told,
    ):
        began_s, cpu_s = time.monotonic(), time.process_time()
        players = [
            subprocess.Popen(
                [sys.executable, str(SCRIPT), "play", path, str(first), str(last), str(PAUSE_S)]
            )
            for first, last in ((0, GAMES // 2), (GAMES // 2, GAMES))
        ]
        assert [player.wait() for player in players] == [0, 0]
        assert within(30, lambda: sum(done.games for done in told) == GAMES)
        took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
        assert sender.drain(10)
        lags = [done.lag_s for done in told[1:] for _ in range(done.games)]  # the first loads code
        idle_s, began_s = time.process_time(), time.monotonic()
        time.sleep(5)
        idle = (time.process_time() - idle_s) / (time.monotonic() - began_s)
    size = bus.run(bus.js.stream_info("GAMES")).state
    print(
        f"{GAMES / took_s:.1f} games/s, {len(told)} commits, {size.bytes / GAMES:.0f} bytes a game"
    )
    print(
        f"sender and collector: {1e3 * cpu_s / GAMES:.2f} CPU ms a game; at rest {100 * idle:.1f} %"
    )
    print(f"hub to store: p50 {np.median(lags):.3f} s, p99 {np.quantile(lags, 0.99):.3f} s")
    assert len(stored(tmp_path)) == GAMES
    assert np.quantile(lags, 0.99) < 0.5
