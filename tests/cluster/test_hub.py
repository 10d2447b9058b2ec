"""The embedded server: quick, found again after its owner, restarted, honest about what is wrong."""

import json
import os
import shutil
import signal
import stat
import time
from types import SimpleNamespace

import pytest

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import Hub, is_healthy, read_state, server_program
from ringrift.cluster.keys import node_key
from ringrift.cluster.streams import Subjects, ensure, games_bytes
from ringrift.core.errors import DataError, NotRunningError, RefusedError

from .conftest import GAMES_BYTES


def within(limit_s, look):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(0.05)
    return False


def test_it_starts_answers_and_ends(tmp_path, key):
    with Hub(tmp_path / "hub", users=(key.public,)) as hub:
        state = hub.state
        assert is_healthy(state.monitor_port)
        assert read_state(tmp_path / "hub") == state
        assert os.getsid(state.pid) == state.pid  # a session of its own
    assert not state.process.alive
    with pytest.raises(NotRunningError):
        _ = hub.state


def test_a_server_that_runs_is_taken_over_with_its_streams(tmp_path, hub, bus, key):
    second = Hub(tmp_path / "hub", users=(key.public,))
    try:
        assert second.start() == hub.state
        with Bus(second.state.url, key, node="two") as other:
            names = {info.config.name for info in other.run(other.js.streams_info())}
        assert {"GAMES", "JOBS", "RESULTS", "KV_lease", "OBJ_models"} <= names
    finally:
        second._stopping.set()  # the fixture ends the server


def test_a_killed_server_comes_back_at_its_address_with_its_storage(hub, bus):
    before = hub.state
    bus.run(bus.js.publish("rr.event.test", b"kept"))
    os.kill(before.pid, signal.SIGKILL)
    assert within(15, lambda: hub.restarts == 1 and is_healthy(hub.state.monitor_port))
    after = hub.state
    assert (after.port, after.incarnation) == (before.port, before.incarnation)
    assert after.pid != before.pid
    assert within(10, lambda: bus.connected)
    assert bus.run(bus.js.get_last_msg("EVENTS", "rr.event.test")).data == b"kept"


def test_a_small_disk_holds_the_streams_also_when_it_has_filled(tmp_path, key, monkeypatch):
    """The server reserves what streams may take, and refuses one for which its limit is too low."""
    folder = tmp_path / "hub"
    for free in (2_500_000_000, 200_000_000):
        disk = SimpleNamespace(total=4_000_000_000, free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda path, disk=disk: disk)
        with (
            Hub(folder, users=(key.public,)) as hub,
            Bus(hub.state.url, key, node="one") as bus,
        ):
            size = games_bytes(folder, 20.0)
            made = bus.run(ensure(bus.js, Subjects(), games_bytes=size))
            assert bool(made) == (free > 1e9)  # the second time all is there
            info = bus.run(bus.js.stream_info("GAMES"))
            assert info.config.max_bytes > 5e8


def test_new_storage_has_a_higher_incarnation(tmp_path, key):
    folder = tmp_path / "hub"
    with Hub(folder, users=(key.public,)) as hub:
        first = hub.state.incarnation
    (folder / "js" / "jetstream").rename(tmp_path / "gone")
    with Hub(folder, users=(key.public,)) as hub:
        assert hub.state.incarnation > first


def test_a_server_whose_storage_was_deleted_begins_anew(hub, bus, tmp_path):
    before = hub.state
    shutil.rmtree(tmp_path / "hub" / "js")
    assert within(15, lambda: hub.restarts == 1 and is_healthy(hub.state.monitor_port))
    assert hub.state.incarnation > before.incarnation
    assert hub.state.port == before.port
    assert within(10, lambda: bus.connected)
    assert len(bus.run(ensure(bus.js, Subjects(), games_bytes=GAMES_BYTES))) == 10


def test_a_stranger_is_refused_and_told(tmp_path, hub):
    stranger = node_key(tmp_path / "other.nk")
    with pytest.raises(RefusedError, match="does not know this node's key"):
        Bus(hub.state.url, stranger, node="two").connect()


def test_a_key_is_for_its_owner_and_stays(tmp_path):
    path = tmp_path / "keys" / "node.nk"
    first = node_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert node_key(path) == first
    assert first.seed not in repr(first)
    path.write_text("nothing\n")
    with pytest.raises(DataError, match="no node key"):
        node_key(path)


def test_a_program_that_is_too_old_or_missing_is_named(tmp_path):
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho 'nats-server: v2.9.1'\n")
    old.chmod(0o755)
    with pytest.raises(RefusedError, match=r"v2\.9\.1.*expected >=2\.11"):
        server_program(str(old))
    with pytest.raises(NotRunningError):
        server_program(str(tmp_path / "none"))


def test_a_server_that_cannot_start_says_its_last_words(tmp_path, key):
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "js").write_text("a file where a folder belongs")
    with pytest.raises(NotRunningError, match=r"not get healthy.*storage directory is not a dir"):
        Hub(folder, users=(key.public,)).start()


def test_a_damaged_state_is_named(tmp_path):
    (tmp_path / "hub.json").write_text(json.dumps({"pid": 1}))
    with pytest.raises(DataError, match=r"hub\.json"):
        read_state(tmp_path)
