"""Jobs through a real hub: one filing, one result, exact round trips."""

import dataclasses
import json
import time

import pytest
from nats.errors import TimeoutError as NoMessage

from ringrift.cluster.jobs import Job, JobQueue, JobResult, Needs, OpenJob, job_of, result_of
from ringrift.cluster.streams import Subjects, ensure
from ringrift.core.errors import DataError


def job(number=1, **changes):
    values = {
        "kind": "selfplay",
        "config": "square8_2p",
        "spec": {"first": number, "games": 32},
        "timeout_s": 60.0,
        "rules_hash": "r",
        "needs": Needs(mem_gb=1.5),
        "term": "1763830000.42",
    }
    return Job(**{**values, **changes})


def result(of, status="done", **changes):
    now = time.time()
    values = {
        "kind": of.kind,
        "config": of.config,
        "node": "one",
        "started_at": now,
        "ended_at": now,
        "attempts": 1,
    }
    return JobResult(job_id=of.id, status=status, **{**values, **changes})


@pytest.fixture
def queue(bus):
    return JobQueue(bus.js, Subjects())


def test_a_job_is_named_by_its_content_alone():
    assert job().id == job(term="1763830001.7", created_at=5.0).id
    assert job().id != job(2).id
    assert job().id != job(needs=Needs(cpu=2)).id
    assert job_of(job().as_bytes()) == job()


@pytest.mark.parametrize(
    ("size", "needs"),
    [
        ("cpu", Needs()),
        ("bigmem", Needs(mem_gb=9)),
        ("gpu", Needs(gpu=1, gpu_mem_gb=8)),
        ("biggpu", Needs(gpu=1, gpu_mem_gb=40)),
    ],
)
def test_the_class_follows_from_the_needs(size, needs):
    assert needs.size == size


def test_a_changed_or_malformed_job_is_refused():
    tree = json.loads(job().as_bytes())
    for change in ({"timeout_s": 1e9}, {"class": "gpu"}, {"kind": "mine"}, {"needs": {"rings": 3}}):
        with pytest.raises(DataError):
            job_of(json.dumps({**tree, **change}).encode())
    for data in (b"", b"[]", b"{}", b"\xff"):
        with pytest.raises(DataError):
            job_of(data)
        with pytest.raises(DataError):
            result_of(data)


def test_filing_the_same_plan_a_hundred_times_leaves_one_job_each(bus, queue):
    answers = [bus.run(queue.file(job(n))) for _ in range(20) for n in range(5)]
    assert answers.count("filed") == 5
    assert answers.count("open") == 95
    assert [known.job.spec["first"] for known in bus.run(queue.open())] == [0, 1, 2, 3, 4]


def test_the_first_result_wins_and_a_finished_job_is_not_filed_again(bus, queue):
    one = job()
    assert bus.run(queue.file(one)) == "filed"
    assert bus.run(queue.result(one.id)) is None
    assert bus.run(queue.store(result(one, numbers={"games": 32})))
    assert not bus.run(queue.store(result(one, status="failed")))
    found = bus.run(queue.result(one.id))
    assert (found.status, found.numbers) == ("done", {"games": 32})
    assert bus.run(queue.file(one)) == "done"


def test_a_job_is_pulled_done_and_gone(bus, queue):
    one = job()
    bus.run(queue.file(one))

    async def work():
        name = await queue.consumer(one.kind, one.needs.size, one.prio)
        pulled = await bus.js.pull_subscribe_bind(consumer=name, stream="JOBS")
        (message,) = await pulled.fetch(1, timeout=3)
        taken = job_of(message.data)
        await queue.store(result(taken))
        await message.ack_sync(timeout=2)
        with pytest.raises(NoMessage):
            await pulled.fetch(1, timeout=0.2)
        return taken

    taken = bus.run(work())
    assert (taken.id, dict(taken.spec)) == (one.id, dict(one.spec))
    assert bus.run(queue.open()) == []


def test_what_nobody_can_do_is_written_off_and_can_be_tried_again(bus, queue):
    one = job()
    bus.run(queue.file(one))
    (open_job,) = bus.run(queue.open())
    lost = result(one, status="failed", error={"type": "oom", "message": "9 GB", "tail": ""})
    assert bus.run(queue.give_up(open_job, lost))
    assert bus.run(queue.open()) == []
    assert bus.run(queue.result(one.id)).error["type"] == "oom"
    bus.run(queue.remove(OpenJob(job=one, seq=open_job.seq)))  # gone already: no error
    bus.run(queue.forget(one.id))
    again = dataclasses.replace(one, reason="retried by hand")
    assert bus.run(queue.file(again)) == "filed"


def test_streams_are_made_once_and_repaired(bus):
    made = ensure(bus.js, Subjects(), games_bytes=64 << 20)
    assert bus.run(made) == []

    async def spoil():
        config = (await bus.js.stream_info("JOBS")).config
        await bus.js.update_stream(config.evolve(max_msgs=7))
        return await ensure(bus.js, Subjects(), games_bytes=64 << 20)

    assert bus.run(spoil()) == ["stream JOBS: max_msgs repaired"]
