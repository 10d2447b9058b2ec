"""The hub's storage is deleted under a running loop: it goes on, and no game is lost or twice."""

import os
import shutil
import signal
import time

import pytest

from ringrift.cluster.hub import read_state
from ringrift.core.paths import Paths

from . import live

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    live.end_hub(folder)


@pytest.mark.parametrize("killed", [True, False], ids=["with the server", "under the server"])
def test_a_loop_goes_on_after_its_hub_lost_its_storage(root, killed):
    hub = Paths(root).cluster / "hub"
    process = live.start(root)
    live.await_(process, root, lambda: live.decisions(root))
    before, games, decided = read_state(hub), live.games(root), len(live.decisions(root))
    if killed:
        os.kill(before.pid, signal.SIGSTOP)
    shutil.rmtree(hub / "js")
    if killed:
        os.kill(before.pid, signal.SIGKILL)
    took_s = live.await_(process, root, lambda: live.games(root) > games + 16, 120)
    live.await_(process, root, lambda: len(live.decisions(root)) >= decided + 2)
    os.killpg(process.pid, signal.SIGINT)
    begun_s = time.monotonic()
    code, _, err = live.finish(process, root)
    assert code == 0, err[-3000:]
    print(f"games again after {took_s:.1f} s, ended in {time.monotonic() - begun_s:.1f} s")
    after = read_state(hub)
    assert after.incarnation > before.incarnation
    live.check_whole(root)
