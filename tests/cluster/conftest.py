"""A real hub on loopback, in a folder of the test's own."""

import pytest

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import Hub
from ringrift.cluster.keys import node_key
from ringrift.cluster.streams import Subjects, ensure

GAMES_BYTES = 64 << 20


@pytest.fixture
def key(tmp_path):
    return node_key(tmp_path / "node.nk")


@pytest.fixture
def hub(tmp_path, key):
    with Hub(tmp_path / "hub", users=(key.public,)) as hub:
        yield hub


@pytest.fixture
def bus(hub, key):
    with Bus(hub.state.url, key, node="one") as bus:
        bus.run(ensure(bus.js, Subjects(), games_bytes=GAMES_BYTES))
        yield bus
