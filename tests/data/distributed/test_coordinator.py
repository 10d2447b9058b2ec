"""Chunks handed out, workers killed, and the dataset of a single process at the end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ringrift.core.errors import BusyError
from ringrift.core.interrupt import Terminated
from ringrift.data.dataset import Dataset, blocks, write_dataset
from ringrift.data.distributed.chunk_service import ChunkService
from ringrift.data.distributed.chunks import cut
from ringrift.data.distributed.coordinator import ChunkFailed, Coordinator, Sharing
from ringrift.data.distributed.folder_queue import FolderQueue
from ringrift.data.distributed.inventory import Inventory
from ringrift.data.distributed.publishing import merge, publish
from ringrift.data.distributed.remote_queue import RemoteQueue
from ringrift.data.distributed.serving import ExportServer
from ringrift.data.distributed.worker import make_blocks, work
from ringrift.data.export.run import Exporter

from .games import make_store

TAKER = Path(__file__).with_name("taker.py")
AT_ONCE = Sharing(chunks=4, workers=2, others_s=0.0)


@pytest.fixture(scope="module")
def single(plan, tmp_path_factory):
    """The dataset that one process makes."""
    return write_dataset(plan, dict(blocks(plan, plan.ids)), tmp_path_factory.mktemp("one") / "x")


def parts(manifest):
    return [(part.name, part.sha256) for part in manifest.parts]


def shared_out(plan, folder, sharing=AT_ONCE, **run):
    with Coordinator([plan], folder / "queues", sharing) as coordinator:
        coordinator.run(**run)
        (merged,) = coordinator.merged()
        done = publish(merged, Exporter(output=folder / "npz"))
        attempts = [len(state.attempts) for queue in coordinator.queues for state in queue.states()]
        coordinator.remove()
    return done, attempts


@pytest.mark.acceptance
def test_4_chunks_over_2_processes_give_the_dataset_of_one(plan, single, tmp_path):
    pids = set()
    folder = tmp_path / "queues"

    def look():
        for path in folder.glob("*/*.try-1"):
            text = path.read_text()
            pids.update([json.loads(text)["pid"]] if text else [])

    done, attempts = shared_out(plan, tmp_path, each_look=look)
    assert (done.manifest.id, parts(done.manifest)) == (single.id, parts(single))
    assert attempts == [1, 1, 1, 1]
    assert os.getpid() not in pids
    assert len(Dataset.open(done.path)) == single.samples
    assert [path.name for path in folder.iterdir() if path.is_dir()] == []


def test_the_same_again_makes_nothing(plan, single, tmp_path):
    def helper(folder):
        while not list(folder.glob("*/job.json")):
            time.sleep(0.01)
        work(FolderQueue(next(folder.glob("*/job.json")).parent))

    for existing in (False, True):
        other = threading.Thread(target=helper, args=(tmp_path / "queues",))
        other.start()
        done, _ = shared_out(plan, tmp_path, Sharing(chunks=2, others_s=60.0))
        other.join()
        assert (done.existing, done.manifest.id) == (existing, single.id)


def test_a_worker_killed_within_a_chunk_loses_nothing(plan, single, tmp_path):
    """A process that has taken a chunk dies; its chunk is tried once more, and no sample doubles."""
    killed = []

    def kill_the_first():
        if killed:
            return
        (queue,) = (tmp_path / "queues").glob("*/job.json")
        script = [sys.executable, str(TAKER), str(queue.parent)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(script, **pipes) as process:
            killed.append(process.stdout.readline().strip())
            process.send_signal(signal.SIGKILL)
        helper = threading.Thread(target=work, args=(FolderQueue(queue.parent),))
        helper.start()

    sharing = Sharing(chunks=4, others_s=60.0)
    done, attempts = shared_out(plan, tmp_path, sharing, each_look=kill_the_first)
    assert len(killed) == 1
    assert sorted(attempts) == [1, 1, 1, 2]
    assert (done.manifest.id, parts(done.manifest)) == (single.id, parts(single))
    assert done.made == 0
    assert done.manifest.samples == single.samples


@pytest.mark.acceptance
def test_own_workers_killed_again_and_again_lose_nothing(tmp_path):
    """Every worker of this host is killed within its first chunk, twice; three attempts suffice."""
    from ringrift.data.dataset import ExportOptions, plan_export

    store = make_store(tmp_path / "games.db", 300)
    plan = plan_export([store], "square8_2p", ExportOptions())
    whole = write_dataset(plan, dict(blocks(plan, plan.ids)), tmp_path / "one")
    killed = []

    def kill_one():
        for path in sorted((tmp_path / "queues").glob("*/*.try-*")):
            text = path.read_text()
            if len(killed) < 2 and text and path.suffix != ".failed":
                killed.append(json.loads(text)["pid"])
                os.kill(killed[-1], signal.SIGKILL)
                return

    def wait_and_kill():
        while len(killed) < 2:
            try:
                kill_one()
            except (ProcessLookupError, ValueError, FileNotFoundError):
                continue
            time.sleep(0.002)

    killer = threading.Thread(target=wait_and_kill)
    killer.start()
    done, attempts = shared_out(plan, tmp_path, Sharing(chunks=4, workers=2, others_s=0.0))
    killer.join()
    assert sum(attempts) in {4 + 1, 4 + 2}  # one may have died between two chunks
    assert max(attempts) <= 3
    assert (done.manifest.id, parts(done.manifest)) == (whole.id, parts(whole))


def test_workers_over_http_give_the_same_dataset(plan, single, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    with Coordinator([plan], tmp_path / "queues", Sharing(chunks=3, others_s=60.0)) as coordinator:
        service = ChunkService(coordinator.queues, shards)
        with ExportServer(Inventory(shards), port=0, service=service) as server:
            folders = [tmp_path / name for name in ("a", "b")]
            for folder in folders:
                folder.mkdir()
            workers = [
                threading.Thread(
                    target=work, args=(RemoteQueue(server.url, folder, worker=folder.name),)
                )
                for folder in folders
            ]
            for worker in workers:
                worker.start()
            coordinator.run(each_look=service.drop_silent)
            for worker in workers:
                worker.join()
        (merged,) = coordinator.merged()
        assert publish(merged, Exporter(output=tmp_path / "npz")).manifest.id == single.id


def test_an_interrupted_export_goes_on_with_what_was_done(plan, single, tmp_path):
    def queue():
        return FolderQueue(next((tmp_path / "queues").glob("*/job.json")).parent)

    def one_chunk_and_stop():
        lease = queue().take()
        make_blocks(lease.chunk, lease.plan, lease.scratch)
        lease.deliver()
        raise Terminated

    sharing = Sharing(chunks=3, others_s=60.0)
    with pytest.raises(Terminated):
        shared_out(plan, tmp_path, sharing, each_look=one_chunk_and_stop)
    (kept,) = queue().results()
    at = kept.stat().st_mtime_ns

    def the_rest():
        assert kept.stat().st_mtime_ns == at
        work(queue())

    done, attempts = shared_out(plan, tmp_path, sharing, each_look=the_rest)
    assert done.manifest.id == single.id
    assert attempts == [0, 1, 1]


def test_a_chunk_that_fails_each_time_ends_it_with_the_reason(plan, tmp_path):
    def fail():
        for job in (tmp_path / "queues").glob("*/job.json"):
            lease = FolderQueue(job.parent).take()
            if lease is not None:
                lease.give_up(BusyError("no memory", where="there", hint="more"))

    with pytest.raises(ChunkFailed, match="failed 3 times: no memory") as caught:
        shared_out(plan, tmp_path, Sharing(chunks=1, others_s=60.0), each_look=fail)
    assert (caught.value.exit_code, caught.value.where, caught.value.hint) == (75, "there", "more")
    assert not (tmp_path / "npz").exists()


def test_two_coordinators_of_one_export_are_refused(plan, tmp_path):
    with (
        Coordinator([plan], tmp_path, AT_ONCE),
        pytest.raises(BusyError, match="distributed export held by process"),
        Coordinator([plan], tmp_path, AT_ONCE),
    ):
        pass


def test_chunks_worked_on_by_hand_merge_to_the_same_dataset(plan, single, tmp_path):
    queue = FolderQueue.file(tmp_path / "queue", cut(plan, 4))
    work(queue)
    (merged,) = merge(queue.results()[::-1])
    assert publish(merged, Exporter(output=tmp_path / "npz")).manifest.id == single.id
