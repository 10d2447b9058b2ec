"""What a hub should hold: missing and altered streams are found, put right, or named."""

import pytest
from nats.js.api import RetentionPolicy, StreamConfig

from ringrift.cluster.attempts import Attempts, FailedAttempt
from ringrift.cluster.jobs import JobResult
from ringrift.cluster.results_log import ResultsLog
from ringrift.cluster.streams import Subjects, ensure, examine
from ringrift.core.errors import NotRunningError

from .agents import file, job, queue_of
from .conftest import GAMES_BYTES

SUBJECTS = Subjects()


def conditions(bus):
    found = bus.run(examine(bus.js, SUBJECTS, games_bytes=GAMES_BYTES))
    return {each.name: each.condition for each in found if each.condition != "ok"}


def repair(bus, **options):
    return bus.run(ensure(bus.js, SUBJECTS, games_bytes=GAMES_BYTES, **options))


def test_a_hub_of_ours_is_as_it_should_be(bus):
    assert conditions(bus) == {}
    assert repair(bus) == []
    found = bus.run(examine(bus.js, SUBJECTS, games_bytes=1 << 20))
    assert {each.condition for each in found} == {"ok"}  # the size follows the free disk


def test_missing_ones_are_found_and_made(bus):
    for name in ("GAMES", "KV_lease", "OBJ_models"):
        bus.run(bus.js.delete_stream(name))
    assert conditions(bus) == {"GAMES": "missing", "lease": "missing", "models": "missing"}
    assert repair(bus) == ["stream GAMES made", "bucket lease made", "object store models made"]
    assert conditions(bus) == {}


def test_altered_settings_are_found_and_put_right(bus):
    for name, change in (
        ("RESULTS", {"max_age": 500.0}),
        ("KV_nodes", {"max_age": 0.0, "duplicate_window": 100.0}),
        ("KV_desired", {"max_msgs_per_subject": 1}),
    ):
        config = bus.run(bus.js.stream_info(name)).config
        bus.run(bus.js.update_stream(config.evolve(**change)))
    assert conditions(bus) == dict.fromkeys(("RESULTS", "nodes", "desired"), "differs")
    (results,) = (
        each
        for each in bus.run(examine(bus.js, SUBJECTS, games_bytes=GAMES_BYTES))
        if each.name == "RESULTS"
    )
    assert str(results) == "stream RESULTS: max_age 500.0; expected 1209600.0"
    assert repair(bus) == [
        "stream RESULTS: max_age repaired",
        "bucket nodes: max_age repaired",
        "bucket desired: max_msgs_per_subject repaired",
    ]
    assert conditions(bus) == {}


def test_another_retention_is_named_and_made_anew_only_when_asked(bus):
    bus.run(bus.js.delete_stream("JOBS"))
    bus.run(bus.js.add_stream(StreamConfig(name="JOBS", subjects=["rr.job.>"], allow_direct=True)))
    assert conditions(bus) == {"JOBS": "wrong"}
    with pytest.raises(
        NotRunningError, match=r"stream JOBS: retention limits; expected workqueue.*--repair"
    ):
        repair(bus)
    assert repair(bus, remake=True) == ["stream JOBS made anew"]
    found = bus.run(bus.js.stream_info("JOBS")).config.retention
    assert found == RetentionPolicy.WORK_QUEUE
    assert conditions(bus) == {}


def anew(bus):
    """Make the streams of a hub anew, as after a lost disk."""
    for name in ("RESULTS", "EVENTS", "JOBS"):
        bus.run(bus.js.delete_stream(name))
    repair(bus)


def result(one):
    return JobResult(
        job_id=one.id,
        kind=one.kind,
        config=one.config,
        node="one",
        status="done",
        started_at=1.0,
        ended_at=1e12,
        attempts=1,
    )


def test_results_are_read_from_the_start_of_a_new_stream(bus):
    jobs = [job("match") for _ in range(4)]
    log = ResultsLog(bus, SUBJECTS)
    for one in jobs[:3]:
        bus.run(queue_of(bus).store(result(one)))
    assert len(log.read()) == 3
    assert log.read() == []
    bus.run(bus.js.delete_stream("RESULTS"))
    with pytest.raises(NotRunningError, match="no stream RESULTS"):
        log.read()
    repair(bus)
    # one that is known and one that is not, both at places that were read before
    bus.run(queue_of(bus).store(result(jobs[0])))
    bus.run(queue_of(bus).store(result(jobs[3])))
    assert [one.job_id for one in log.read()] == [jobs[3].id]
    assert set(log.results) == {one.id for one in jobs}
    assert log.read() == []


def test_failed_attempts_count_from_the_start_of_a_new_stream(bus):
    leader = Attempts(bus.js, SUBJECTS)
    bad = job("train", how="data")

    def fail(attempt):
        failed = FailedAttempt(
            job_id=bad.id,
            kind=bad.kind,
            config=bad.config,
            node="one",
            attempt=attempt,
            at=1.0,
            error={"type": "DataError", "message": "bad", "tail": ""},
        )
        bus.run(leader.tell(failed))

    file(bus, bad)
    fail(1), fail(2)
    assert bus.run(leader.settle("lead")) == []
    anew(bus)
    file(bus, bad)
    fail(1)
    assert bus.run(leader.settle("lead")) == []
    fail(2), fail(3)
    (settled,) = bus.run(leader.settle("lead"))
    assert (settled.job_id, settled.attempts) == (bad.id, 3)


def test_a_retry_of_another_process_is_not_written_off_again(bus):
    bad = job("train", how="data")
    leader = Attempts(bus.js, SUBJECTS)
    file(bus, bad)
    for attempt in (1, 2, 3):
        failed = FailedAttempt(
            job_id=bad.id,
            kind=bad.kind,
            config=bad.config,
            node="one",
            attempt=attempt,
            at=1.0,
            error={"type": "DataError", "message": "bad", "tail": ""},
        )
        bus.run(leader.tell(failed))
    assert len(bus.run(leader.settle("lead"))) == 1
    bus.run(Attempts(bus.js, SUBJECTS).retry(bad.id))
    assert bus.run(leader.settle("lead")) == []
    assert [one.job.id for one in bus.run(queue_of(bus).open())] == [bad.id]
