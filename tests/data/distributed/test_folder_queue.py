"""Chunks in a folder: one worker each, attempts, time limits, processes that die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.core.errors import BusyError, DataError
from ringrift.data.dataset.blocks import blocks
from ringrift.data.dataset.pack import PackedBlocks
from ringrift.data.distributed.chunks import cut
from ringrift.data.distributed.folder_queue import FolderQueue
from ringrift.data.distributed.publishing import check_blocks
from ringrift.data.distributed.worker import work

TAKER = Path(__file__).with_name("taker.py")


@pytest.fixture
def queue(plan, tmp_path):
    return FolderQueue.file(tmp_path / "queue", cut(plan, 4))


@pytest.fixture
def taker(queue):
    """Start a process that takes a chunk and keeps it; returns it and the chunk's name."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, str(TAKER), str(queue.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_each_chunk_is_given_to_one(queue):
    leases = [queue.take() for _ in range(5)]
    assert [lease.chunk.number for lease in leases[:4]] == [0, 1, 2, 3]
    assert leases[4] is None
    assert not queue.finished()


def test_another_look_at_the_folder_sees_the_same(queue):
    lease = queue.take()
    other = FolderQueue(queue.folder)
    assert other.take().chunk.number == 1
    (attempt,) = other.state(lease.chunk.name).attempts
    assert (attempt.running, attempt.owner.pid) == (True, os.getpid())


def test_work_delivers_every_chunk_once(queue, plan):
    done = work(queue)
    assert (done.chunks, done.games, done.given_up) == (4, len(plan.games), 0)
    assert queue.finished()
    assert len(queue.results()) == 4
    assert not [name for name in names(queue.folder) if name.startswith(".")]


def test_a_chunk_given_up_is_tried_three_times_with_its_reasons(queue):
    for number in (1, 2, 3):
        lease = queue.take()
        assert lease.chunk.number == 0
        lease.give_up(BusyError(f"no {number}", where="here"))
    assert queue.take().chunk.number == 1
    failures = [attempt.failure for attempt in queue.state(queue.names[0]).attempts]
    assert [failure["message"] for failure in failures] == ["no 1", "no 2", "no 3"]
    assert failures[0] == {"message": "no 1", "where": "here", "hint": None, "code": 75}


def test_with_one_chunk_failed_and_the_others_done_it_is_finished(queue):
    for _ in range(3):
        queue.take().give_up(BusyError("no"))
    work(queue)
    assert queue.finished()
    assert len(queue.results()) == 3


def test_a_killed_process_loses_its_chunk_to_the_next(queue, taker):
    process, name = taker()
    assert name == queue.names[0]
    assert queue.state(name).busy(queue.timeout_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    lease = queue.take()
    assert lease.chunk.name == name
    assert [attempt.running for attempt in queue.state(name).attempts] == [False, True]


def test_a_chunk_held_for_too_long_goes_to_the_next(plan, tmp_path, taker):
    queue = FolderQueue.file(tmp_path / "queue", cut(plan, 1), timeout_s=0.3)
    process, name = taker()
    assert queue.take() is None
    time.sleep(0.4)
    assert process.poll() is None
    assert queue.take().chunk.name == name


@pytest.mark.acceptance
def test_processes_that_race_get_different_chunks(plan, tmp_path):
    count = 24
    queue = FolderQueue.file(tmp_path / "queue", cut(plan, count))
    script = [sys.executable, str(TAKER), str(queue.folder), "all"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen(script, **pipes) for _ in range(3)]
    taken = [list(iter(process.stdout.readline, "end\n")) for process in racers]
    for process in racers:
        process.communicate(timeout=60)
    assert sorted(name.strip() for mine in taken for name in mine) == sorted(queue.names)


def test_what_was_done_is_kept_when_it_is_filed_again(queue, plan):
    lease = queue.take()
    lease.release()
    work(queue)
    before = {path.name: path.stat().st_mtime_ns for path in queue.results()}
    damaged = queue.results()[2]
    data = damaged.read_bytes()
    damaged.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    again = FolderQueue.file(queue.folder, cut(plan, 4))
    assert [len(state.attempts) for state in again.states()] == [0, 0, 0, 0]
    kept = {path.name: path.stat().st_mtime_ns for path in again.results()}
    assert kept == {name: at for name, at in before.items() if name != damaged.name}


def test_another_cut_keeps_only_what_fits_it(queue, plan):
    work(queue)
    chunks = cut(plan, 5)
    again = FolderQueue.file(queue.folder, chunks)
    assert len(again.results()) < 4
    for path in again.results():
        check_blocks(path, chunks[again.results().index(path)])
    work(again)
    assert len([name for name in names(queue.folder) if name.endswith(".chunk.json")]) == 5
    assert dict(PackedBlocks(plan, again.results())) == dict(blocks(plan, plan.ids))


def test_a_worker_of_a_removed_job_ends_quietly(queue, plan):
    lease = queue.take()
    lease.scratch.write_bytes(b"blocks")
    queue.remove()
    lease.deliver()
    assert queue.finished()
    assert queue.take() is None
    assert not queue.folder.exists()


def test_a_folder_that_is_no_queue_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        FolderQueue(tmp_path)
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(DataError, match="no queue of chunks"):
        FolderQueue(tmp_path)
