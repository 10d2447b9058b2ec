"""Chunks over HTTP: games go out as shards, blocks come back; workers that vanish or lie."""

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from ringrift.core.errors import BusyError, DataError, NotRunningError, RefusedError
from ringrift.data.dataset.blocks import blocks
from ringrift.data.dataset.options import ExportOptions
from ringrift.data.dataset.pack import PackedBlocks
from ringrift.data.dataset.plan import plan_export
from ringrift.data.distributed import remote_queue
from ringrift.data.distributed.authorization import Authorization
from ringrift.data.distributed.chunk_service import ChunkService
from ringrift.data.distributed.chunks import cut
from ringrift.data.distributed.folder_queue import FolderQueue
from ringrift.data.distributed.inventory import Inventory
from ringrift.data.distributed.remote_queue import RemoteQueue
from ringrift.data.distributed.serving import ExportServer
from ringrift.data.distributed.worker import make_blocks, work

from .games import make_store

TOKEN = "a-token-of-more-than-sixteen"


@pytest.fixture
def queue(plan, tmp_path):
    return FolderQueue.file(tmp_path / "queue", cut(plan, 3))


@pytest.fixture
def coordinator(queue, tmp_path):
    """A coordinator's server; `service` is what answers for the chunks."""
    shards = tmp_path / "shards"
    shards.mkdir()
    service = ChunkService([queue], shards)
    with ExportServer(Inventory(shards), port=0, service=service) as server:
        server.service = service
        yield server
    service.close()


@pytest.fixture
def remote(coordinator, tmp_path):
    def make(**options):
        folder = tmp_path / "worker"
        folder.mkdir(exist_ok=True)
        return RemoteQueue(coordinator.url, folder, worker="far", patience_s=0.5, **options)

    return make


def all_blocks(queue, plan):
    return dict(PackedBlocks(plan, queue.results()))


def test_a_worker_elsewhere_makes_the_same_blocks(remote, queue, plan, tmp_path):
    done = work(remote())
    assert (done.chunks, done.games, done.given_up) == (3, len(plan.games), 0)
    assert all_blocks(queue, plan) == dict(blocks(plan, plan.ids))
    assert list((tmp_path / "worker").iterdir()) == []


def test_workers_here_and_elsewhere_share_the_chunks(remote, queue, plan):
    far = remote().take()
    work_here = threading.Thread(target=work, args=(queue,))
    work_here.start()
    make_blocks(far.chunk, far.plan, far.scratch)
    far.deliver()
    work_here.join()
    assert all_blocks(queue, plan) == dict(blocks(plan, plan.ids))
    assert [len(state.attempts) for state in queue.states()] == [1, 1, 1]


def test_while_all_chunks_are_taken_nothing_is_given_and_it_is_not_over(remote, queue):
    held = [queue.take() for _ in range(3)]
    far = remote()
    assert (far.take(), far.finished()) == (None, False)
    del held


def test_a_silent_worker_loses_its_chunk(remote, queue, coordinator, plan):
    lease = remote().take()
    coordinator.service._lease_s = 0.0
    time.sleep(0.01)
    coordinator.service.drop_silent()
    (attempt,) = queue.state(lease.chunk.name).attempts
    assert (attempt.running, attempt.failure["message"]) == (False, "worker far fell silent")
    make_blocks(lease.chunk, lease.plan, lease.scratch)
    lease.deliver()  # too late, and no error
    assert queue.results() == []
    work(queue)
    assert all_blocks(queue, plan) == dict(blocks(plan, plan.ids))


def test_a_living_worker_keeps_its_chunk(remote, queue, coordinator, monkeypatch):
    monkeypatch.setattr(remote_queue, "RENEW_S", 0.05)
    coordinator.service._lease_s = 0.5
    lease = remote().take()
    for _ in range(10):
        time.sleep(0.1)
        coordinator.service.drop_silent()
    assert coordinator.service.workers() == ["far"]
    lease.release()


def test_what_a_worker_could_not_do_is_told(remote, queue):
    remote().take().give_up(BusyError("no memory", where="there", hint="more"))
    (attempt,) = queue.state(queue.names[0]).attempts
    assert attempt.failure == {
        "message": "far: no memory",
        "where": "there",
        "hint": "more",
        "code": 75,
    }


def test_blocks_of_another_chunk_are_refused(remote, queue, plan):
    lease = remote().take()
    other = cut(plan, 3)[1]
    make_blocks(other, other.plan, lease.scratch)
    with pytest.raises(DataError, match="are missing"):
        lease.deliver()
    assert queue.results() == []
    assert "are missing" in queue.state(lease.chunk.name).attempts[0].failure["message"]


def test_damaged_blocks_are_refused(remote, queue):
    lease = remote().take()
    lease.scratch.write_bytes(b"RRPACK02 and nothing more than that")
    with pytest.raises(DataError, match=r"a damaged file of blocks|no file of blocks"):
        lease.deliver()
    assert queue.results() == []


def test_games_that_do_not_arrive_are_told(remote, queue, coordinator):
    games_of = coordinator.service._games_of
    coordinator.service._games_of = lambda chunk: dict([*games_of(chunk).items()][1:])
    assert remote().take() is None
    failure = queue.state(queue.names[0]).attempts[0].failure
    assert "no shard" in failure["message"]


def test_games_that_do_not_hold_are_refused(remote, queue, coordinator, plan, monkeypatch):
    """The shards are those of other games: the worker looks at what is inside."""
    other = cut(plan, 3)[2]
    games_of = coordinator.service._games_of
    monkeypatch.setattr(coordinator.service, "_games_of", lambda chunk: games_of(other))
    assert remote().take() is None
    failure = queue.state(queue.names[0]).attempts[0].failure
    assert "do not hold here" in failure["message"]
    assert failure["code"] == 4


def test_a_mirror_with_rotten_shards_does_no_harm(remote, queue, plan, rot, tmp_path, serve):
    remote().take().give_up(BusyError("enough"))
    shards = {path.name: path.read_bytes() for path in coordinator_files(tmp_path)}
    mirror = serve(shards)
    for path in mirror.folder.iterdir():
        rot(path, path.stat().st_size // 2)
    work(remote(mirrors=(mirror.url,)))
    assert all_blocks(queue, plan) == dict(blocks(plan, plan.ids))


def coordinator_files(tmp_path):
    return [path for path in (tmp_path / "shards").rglob("*") if path.is_file()]


def test_after_the_coordinator_there_is_nobody(remote, coordinator):
    far = remote()
    coordinator.close()
    with pytest.raises(NotRunningError, match="the coordinator cannot be reached"):
        far.take()


def test_a_server_of_files_alone_is_no_coordinator(serve, tmp_path):
    far = RemoteQueue(serve({}).url, tmp_path, worker="far")
    with pytest.raises(NotRunningError, match="no coordinator"):
        far.take()


def test_a_wrong_token_is_refused(queue, tmp_path):
    service = ChunkService([queue], tmp_path / "shards")
    token = Authorization(token=TOKEN)
    with ExportServer(Inventory(tmp_path), port=0, service=service, authorization=token) as server:
        for wrong in (Authorization(), Authorization(token=TOKEN + "x")):
            far = RemoteQueue(server.url, tmp_path, worker="far", authorization=wrong)
            with pytest.raises(RefusedError):
                far.take()
    assert queue.state(queue.names[0]).attempts == ()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/chunks/take", b"[]", 400),
        ("POST", "/chunks/take", b"x" * 70_000, 400),
        ("POST", f"/leases/{'0' * 32}/renew", b"{}", 410),
        ("POST", f"/leases/{'0' * 32}/failed", b"{", 410),
        ("PUT", f"/leases/{'0' * 32}/blocks", b"x", 410),
        ("POST", f"/leases/{'0' * 32}/blocks", b"x", 405),
        ("POST", "/leases/../x", b"", 404),
        ("GET", "/chunks/take", None, 404),
    ],
)
def test_other_requests_get_their_status(coordinator, method, path, body, status):
    request = urllib.request.Request(coordinator.url + path, data=body, method=method)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == status
    assert json.loads(caught.value.read())["error"]


def test_plans_over_two_stores_go_out_as_shards_of_both(plan, store, tmp_path):
    second = make_store(tmp_path / "more.db", 6, first=100)
    both = plan_export([store, second], "square8_2p", ExportOptions())
    assert {game.store for game in both.games} == {0, 1}
    queue = FolderQueue.file(tmp_path / "queue", cut(both, 2))
    service = ChunkService([queue], tmp_path / "shards")
    (tmp_path / "shards").mkdir()
    with ExportServer(Inventory(tmp_path / "shards"), port=0, service=service) as server:
        work(RemoteQueue(server.url, tmp_path, worker="far"))
    assert all_blocks(queue, both) == dict(blocks(both, both.ids))
    assert replace(both, stores=()).request == both.request
