"""The keeper's process: it answers, it dies and comes back, it loses and repeats nothing."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ringrift.cluster.batches import GameBatch, write_batch
from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import Hub
from ringrift.cluster.keys import node_key
from ringrift.cluster.streams import GAMES, Subjects, ensure
from ringrift.core.errors import RefusedError
from ringrift.core.settings import Settings
from ringrift.loop.actions import FirstChampion
from ringrift.loop.gathering import gather_readonly
from ringrift.loop.keeper import HubAccess, Keeper, KeeperFailed, KeeperGone
from ringrift.models.decisions import read_chain
from ringrift.records import GameStore, to_bytes
from ringrift.records.analysis_bytes import analysis_to_bytes

from ...models.papers import decide
from .grown import CONFIG, new_root, played, random_model, run_of, store_games, trained

NOW = 1.8e9
SETTINGS = Settings()
CONFIGS = (CONFIG, "hex8_2p")
WAIT_S = 30.0


@pytest.fixture
def paths(tmp_path):
    return new_root(tmp_path / "root")


@pytest.fixture
def grown(paths):
    """A root with a champion, a candidate and games."""
    champion = random_model(paths)
    decide(paths.models, "promoted", champion)
    trained(paths, 1, champion, upto=10)
    store_games(paths, [played(n) for n in range(40)])
    return paths


def keeper(paths, hub=None):
    return Keeper(paths, SETTINGS, configs=CONFIGS, hub=hub)


def until(condition, limit_s=WAIT_S):
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_it_answers_survives_kills_and_has_no_torch(grown):
    expected = gather_readonly(grown, SETTINGS, NOW, configs=CONFIGS)
    with keeper(grown) as held:
        found = held.gather(NOW)
        assert found.facts == expected
        assert found.facts[0].candidate is not None
        assert found.collected.error is None
        first = held.pid
        assert "torch" not in Path(f"/proc/{first}/maps").read_text()
        os.kill(first, signal.SIGKILL)
        with pytest.raises(KeeperGone, match="exit code -9"):
            held.gather(NOW)
        assert held.gather(NOW).facts == expected
        second = held.pid
        assert second != first
        # killed while a question is on its way
        os.kill(second, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (second, signal.SIGKILL)).start()
        with pytest.raises(KeeperGone):
            held.gather(NOW)
        assert held.gather(NOW).facts == expected
        last = held.pid
        # a defect of its own is told, and it lives on
        with pytest.raises(KeeperFailed, match="in the keeper"):
            held.act("no action")
        assert held.gather(NOW).facts == expected
        assert held.pid == last
    assert not alive(last)


def test_actions_are_carried_out_once(paths):
    model = random_model(paths)
    with keeper(paths) as held:
        done = held.act(FirstChampion(config=CONFIG, model=model, term=5))
        assert (done.written, done.sequence) == (True, 1)
        done = held.act(FirstChampion(config=CONFIG, model=model, term=5))
        assert (done.written, done.sequence) == (False, 1)
        with pytest.raises(RefusedError, match="term"):
            held.act(FirstChampion(config=CONFIG, model=model, term=4))
        assert held.gather(NOW).facts[0].champion == model
    assert len(read_chain(paths.models / "decisions", CONFIG).decisions) == 1


@pytest.mark.slow
def test_a_store_that_another_process_writes_is_told(grown):
    with keeper(grown) as held:
        with GameStore.open(grown.game_store, writer=True):
            found = held.gather(NOW)
            assert "game store held by process" in found.collected.error
            assert found.facts[0].games == 40
        until(lambda: held.gather(NOW).collected.error is None)


PARENT = """
import sys, time
from pathlib import Path
from ringrift.core.paths import Paths
from ringrift.core.settings import Settings
from ringrift.loop.keeper import Keeper
if __name__ == "__main__":
    with Keeper(Paths(Path(sys.argv[1])), Settings()) as held:
        print(held.pid, flush=True)
        heavy = {"numba", "numpy", "scipy", "torch"} & set(sys.modules)
        print(sorted(heavy), flush=True)
        time.sleep(60)
"""


@pytest.mark.slow
def test_it_ends_with_its_parent_which_stays_light(paths, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, script, paths.root], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline().strip() == "[]"
        assert alive(pid)
        parent.kill()
    until(lambda: not alive(pid), 10)


@pytest.fixture
def hub(paths):
    key = node_key(paths.cluster / "node.nk")
    with Hub(paths.cluster / "hub", users=(key.public,)) as hub:
        yield hub


@pytest.fixture
def bus(hub, paths):
    with Bus(hub.state.url, node_key(paths.cluster / "node.nk"), node="one") as bus:
        bus.run(ensure(bus.js, Subjects(), games_bytes=64 << 20))
        yield bus


def publish(bus, games):
    batch = GameBatch(games=tuple((to_bytes(g), (analysis_to_bytes(a),)) for g, a in games))
    subject = Subjects().game("one", run_of())
    bus.run(bus.js.publish(subject, write_batch(batch), stream=GAMES))


def access(hub, paths):
    return HubAccess(url=hub.state.url, key=paths.cluster / "node.nk", node="one")


@pytest.mark.slow
@pytest.mark.timed
def test_games_reach_the_facts_within_two_seconds(paths, hub, bus):
    with keeper(paths, access(hub, paths)) as held:
        held.gather(NOW)
        publish(bus, [played(n) for n in range(20)])
        began_s = time.monotonic()
        until(lambda: held.gather(NOW).facts[0].games == 20)
        assert time.monotonic() - began_s < 2.0
        found = held.gather(NOW)
        assert found.facts[0].play.next_index == {run_of(): 20}
        assert found.collected.games == 20
        assert found.collected.lag_s < 2.0


def asked_until_gone(held):
    try:
        while True:
            held.gather(NOW)
    except KeeperGone:
        return 1


@pytest.mark.acceptance
def test_kills_at_random_moments_lose_and_repeat_no_game(paths, hub, bus):
    rng = random.Random(3)
    games = [played(n) for n in range(400)]
    gone = 0
    with keeper(paths, access(hub, paths)) as held:
        held.gather(NOW)
        for start in range(0, len(games), 50):
            for at in range(start, start + 50, 10):
                publish(bus, games[at : at + 10])
            if start % 200 == 0:
                time.sleep(rng.random() * 0.2)
                os.kill(held.pid, signal.SIGKILL)
                gone += asked_until_gone(held)
        until(lambda: held.gather(NOW).facts[0].games == len(games))
        facts = held.gather(NOW).facts
    assert gone == 2
    with GameStore.open(paths.game_store) as store:
        assert store.game_ids() == {game.id for game, _ in games}
        assert store.verify_all().failures == ()
    assert facts == gather_readonly(paths, SETTINGS, NOW, configs=CONFIGS)
