"""Matches as a whole: kills, parallelism, speed, and intervals that hold what they should."""

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unhurried import UNHURRIED

from ringrift.core.errors import DataError
from ringrift.evaluation.match_folder import match_report
from ringrift.evaluation.matches import stored, stored_games
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice, plan_of_text
from ringrift.evaluation.players import MatchPlayers, play_match
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

pytestmark = pytest.mark.acceptance

RINGRIFT = Path(sys.executable).with_name("ringrift")
KILLS = 5


def plan_of(games, *specs, config=("square8", 2), seed=42):
    spec = BoardSpec.create(*config)
    return MatchPlan.of_games(
        games,
        purpose="manual",
        spec=spec,
        agents=tuple(participant(text, spec) for text in specs),
        seed=seed,
        openings=OpeningChoice(),
    )


def match(root, *words):
    """Start `ringrift eval match` in a root of its own."""
    return subprocess.Popen(
        [RINGRIFT, "--root", root, "--yes", "eval", "match", *words, "--no-wait", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **UNHURRIED},
    )


def answer_of(process):
    out, _ = process.communicate(timeout=900)
    assert process.returncode == 0, out
    return json.loads(out)


def games_in(root, run=None):
    """How many games are stored, or the ids of those of a match by index."""
    path = root / "data" / "games" / "games.db"
    if not path.is_file():
        return 0 if run is None else {}
    if run is None:
        try:
            with GameStore.open(path) as store:
                return store.count()
        except DataError:
            return 0  # just being made
    with GameStore.open(path) as store:
        plan = plan_of_text(store.plans.get(run).text)
        return {game.meta.index: game.id for game in stored_games(plan, store)}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_five_times_and_resumed_a_match_is_the_same(tmp_path, workers):
    words = ("--agent", "heuristic", "--agent", "random", "--games", "200")
    whole = answer_of(match(tmp_path / "whole", *words, "-j", "1"))
    wanted = games_in(tmp_path / "whole", whole["run"])
    assert len(wanted) == 200
    root = tmp_path / "killed"
    for kill in range(KILLS):
        process = match(root, *words, "-j", workers)
        while games_in(root) < 20 * (kill + 1):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert games_in(root) < 200
    found = answer_of(match(root, *words, "-j", workers))
    assert found["run"] == whole["run"]
    assert games_in(root, found["run"]) == wanted
    assert json.dumps(found["counts"]) == json.dumps(whole["counts"])


@pytest.mark.parametrize("config", [("square8", 2), ("square8", 3), ("square8", 4)])
def test_equal_agents_score_an_equal_share_over_2000_blocks(tmp_path, config):
    players = config[1]
    plan = plan_of(2000 * players, "random", "random", config=config)
    with MatchPlayers() as pool, GameStore.open(tmp_path / "g.db", writer=True) as store:
        result = play_match(plan, store, pool)
        assert stored(plan, store).result().counts == result.counts
    assert (result.games, result.invalid) == (2000 * players, None)
    assert result.interval.low <= 1 / players <= result.interval.high
    json.dumps(match_report(plan, result), allow_nan=False)


@pytest.mark.timed
def test_random_against_random_keeps_both_cores_busy_and_records_200_games_a_second(tmp_path):
    with MatchPlayers(workers=2) as pool, GameStore.open(tmp_path / "g.db", writer=True) as store:
        play_match(plan_of(200, "random", "random", seed=1), store, pool)  # code is loaded
        begun_s, used_s = time.monotonic(), _cpu_s(pool)
        result = play_match(plan_of(4000, "random", "random"), store, pool)
        seconds = time.monotonic() - begun_s
        busy = (_cpu_s(pool) - used_s) / seconds / 2
    print(f"{result.games / seconds:.0f} games/s, {100 * busy:.0f} % of two cores")
    assert result.games / seconds >= 200
    assert busy >= 0.9


def _cpu_s(pool):
    """CPU seconds of this process and the living workers of a pool."""
    ticks = 0
    for pid in pool._pool.pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def test_another_installation_plays_through_the_line_protocol(tmp_path):
    agent = "heuristic:mode=light"
    command = shlex.join([str(RINGRIFT), "play", "engine", "--agent", agent])
    spec = BoardSpec.create("square8", 2)
    there, here = participant(f"engine:{command}", spec), participant("random", spec)
    assert there.agent_hash != participant(agent, spec).agent_hash
    plan = plan_of(20, f"engine:{command}", "random")
    with MatchPlayers(workers=2) as pool, GameStore.open(tmp_path / "g.db", writer=True) as store:
        result = play_match(plan, store, pool)
        seated = {name.spec for game in stored_games(plan, store) for name in game.agents}
    assert (result.games, result.complete, result.capped) == (20, True, 0)
    assert seated == {there.spec, here.spec}
    assert result.score > 0.5
