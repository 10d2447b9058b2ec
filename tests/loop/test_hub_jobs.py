"""The leader's duties at a real hub: streams that are gone are made again."""

from types import SimpleNamespace

import pytest

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import Hub
from ringrift.cluster.keys import node_key
from ringrift.cluster.results_log import ResultsLog
from ringrift.cluster.streams import Subjects, ensure
from ringrift.core.errors import NotRunningError
from ringrift.loop.hub_jobs import HubJobs

SUBJECTS = Subjects()


@pytest.fixture
def bus(tmp_path):
    key = node_key(tmp_path / "node.nk")
    with (
        Hub(tmp_path / "hub", users=(key.public,)) as hub,
        Bus(hub.state.url, key, node="one") as bus,
    ):
        yield bus


@pytest.mark.parametrize("stream", ["RESULTS", "JOBS", "EVENTS", "GAMES"])
def test_a_stream_that_is_gone_is_made_again(bus, stream):
    def repair():
        bus.run(ensure(bus.js, SUBJECTS, games_bytes=1 << 26))

    repair()
    jobs = HubJobs(
        bus,
        SUBJECTS,
        ResultsLog(bus, SUBJECTS),
        SimpleNamespace(acting=True, term=None),
        repair=repair,
    )
    bus.run(bus.js.delete_stream(stream))
    look = jobs.open if stream in ("RESULTS", "JOBS") else jobs.tend
    with pytest.raises(NotRunningError):
        look()
    assert jobs.open() == ()
    jobs.tend()
    assert bus.run(bus.js.stream_info(stream)).state.messages == 0
