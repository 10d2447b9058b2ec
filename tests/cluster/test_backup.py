"""A backup of a running hub: whole, private, and good for restoring into another server."""

import json
import os
import stat
import tarfile

import pytest

from ringrift.cluster.backup import back_up
from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import Hub
from ringrift.cluster.reading import read_from
from ringrift.cluster.streams import Subjects
from ringrift.core.paths import Paths

from .agents import file, job, queue_of


@pytest.fixture
def paths(tmp_path):
    paths = Paths(tmp_path)
    (paths.cluster / "hub").mkdir(parents=True)
    (paths.cluster / "claims").write_text("+ 1 x\n")
    (paths.cluster / "node.nk").write_text("a secret\n")
    paths.decisions.mkdir(parents=True)
    (paths.decisions / "hex8_2p.jsonl").write_text("{}\n")
    return paths


async def restore(bus, name, told, data):
    """Give a server what another wrote, as its own tools do."""
    question = json.dumps({"config": told["config"], "state": told["state"]}).encode()
    answer = await bus.client.request(f"$JS.API.STREAM.RESTORE.{name}", question, timeout=5)
    subject = json.loads(answer.data)["deliver_subject"]
    for start in range(0, len(data), 100_000):
        await bus.client.request(subject, data[start : start + 100_000], timeout=5)
    return json.loads((await bus.client.request(subject, b"", timeout=5)).data)


def test_a_backup_can_be_restored_elsewhere(hub, bus, paths, tmp_path, key):
    jobs = [job(s=1.0) for _ in range(20)]
    file(bus, *jobs)
    bodies = [os.urandom(50_000) for _ in range(20)]  # more than a chunk, and than a window
    for body in bodies:
        bus.run(bus.js.publish("rr.game.one.r", body))
    made = back_up(bus, hub.state, paths, tmp_path / "hub.tar")
    assert {each.name: each.messages for each in made.streams if each.messages} == {
        "GAMES": 20,
        "JOBS": 20,
    }
    assert made.bytes == (tmp_path / "hub.tar").stat().st_size > 1_000_000
    assert stat.S_IMODE((tmp_path / "hub.tar").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob(".*partial")] == []
    with tarfile.open(tmp_path / "hub.tar") as archive:
        names = archive.getnames()
        read = {name: archive.extractfile(name).read() for name in names}
    assert names[0] == "hub/KV_committed/backup.json"
    assert {"files/cluster/claims", "files/models/decisions/hex8_2p.jsonl"} <= set(names)
    assert not any(b"a secret" in data for data in read.values())
    assert json.loads(read["backup.json"])["hub"]["incarnation"] == hub.state.incarnation

    with (
        Hub(tmp_path / "second", users=(key.public,)) as second,
        Bus(second.state.url, key, node="two") as other,
    ):
        for name in ("JOBS", "GAMES"):
            told = json.loads(read[f"hub/{name}/backup.json"])
            answer = other.run(restore(other, name, told, read[f"hub/{name}/stream.tar.s2"]))
            assert "error" not in answer
        assert [one.job.id for one in other.run(queue_of(other).open())] == [one.id for one in jobs]
        config = other.run(other.js.stream_info("GAMES")).config
        other.run(other.js.update_stream(config.evolve(allow_direct=True)))
        stored = other.run(read_from(other.js, "GAMES", Subjects().game("*", "*")))
        assert [each.data for each in stored] == bodies


def test_a_backup_that_fails_leaves_nothing(hub, bus, paths, tmp_path):
    (tmp_path / "hub.tar").mkdir()
    with pytest.raises(OSError, match=r"hub\.tar"):
        back_up(bus, hub.state, paths, tmp_path / "hub.tar")
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
