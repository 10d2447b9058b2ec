"""A hundred thousand games: the bounds of data.md 10."""

import sys
import time
from pathlib import Path

import pytest

from ringrift.data.statistics.cache import SummaryCache
from ringrift.data.statistics.gathering import Inputs
from ringrift.data.statistics.report import count_inputs, report

sys.path.insert(0, str(Path(__file__).parent))
from many_games import fill

sys.path.pop(0)

GAMES = 100_000
PLAYS = 2_000
REPLAYED_S = 60.0
CACHED_S = 10.0


@pytest.mark.acceptance
@pytest.mark.timed
@pytest.mark.timeout(1200)
def test_a_hundred_thousand_games_on_two_cores(tmp_path):
    inputs = Inputs(stores=[fill(tmp_path / "games.db", GAMES, PLAYS)])
    seconds = []
    for _ in range(2):
        began_s = time.perf_counter()
        with SummaryCache(tmp_path / "cache.db") as cache:
            tree = report(count_inputs(inputs, cache, workers=2), inputs)
        seconds.append(time.perf_counter() - began_s)
        assert tree["games"] == GAMES
        assert tree["total"]["quality"]["duplicate_plays"] == GAMES - PLAYS
    print(f"{GAMES} games: {seconds[0]:.1f} s replayed, {seconds[1]:.1f} s kept")
    assert seconds[0] < REPLAYED_S
    assert seconds[1] < CACHED_S
