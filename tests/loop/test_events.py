"""The event log: numbers that only rise, whole lines, old files that go, readers that keep up."""

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time

from ringrift.loop import events as module
from ringrift.loop.events import Events, follow_events, read_events


def kinds(folder, **wanted):
    return [event["kind"] for event in read_events(folder, **wanted)]


def test_an_event_is_one_line_with_the_fields_of_the_document(tmp_path):
    written = Events(tmp_path).write("job_filed", "square8_2p", 3, "j1", job_kind="match")
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line) == written
    assert list(written) == ["seq", "at", "kind", "config", "cycle", "job", "data"]
    assert written["at"].endswith("Z")
    assert (written["config"], written["cycle"], written["job"]) == ("square8_2p", 3, "j1")
    assert written["data"] == {"job_kind": "match"}


def test_a_number_that_is_not_finite_is_unknown(tmp_path):
    Events(tmp_path).write("training_progress", loss=float("nan"), parts=[float("inf"), 1.0])
    (event,) = read_events(tmp_path)
    assert event["data"] == {"loss": None, "parts": [None, 1.0]}


def test_numbers_rise_over_restarts_and_a_torn_line_is_cut(tmp_path):
    for _ in range(2):
        log = Events(tmp_path)
        log.write("loop_started")
        log.write("loop_stopped")
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"seq": 5, "kind": "torn')
    Events(tmp_path).write("loop_started")
    numbers = [event["seq"] for event in read_events(tmp_path)]
    assert numbers == [1, 2, 3, 4, 5]
    assert b"torn" not in (tmp_path / "events.jsonl").read_bytes()


WRITER = """
import sys
from pathlib import Path
from ringrift.loop.events import Events
log = Events(Path(sys.argv[1]))
print("up", flush=True)
while True:
    log.write("training_progress", text="x" * 400)
"""


def test_kill_9_at_any_moment_leaves_whole_lines_and_numbers_go_on(tmp_path):
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    Events(tmp_path).write("loop_stopped")
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    numbers = [json.loads(line)["seq"] for line in lines]
    assert numbers == list(range(1, len(lines) + 1))
    assert len(lines) > 10


def test_threads_share_the_log(tmp_path):
    log = Events(tmp_path)
    threads = [
        threading.Thread(target=lambda: [log.write("error") for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event["seq"] for event in read_events(tmp_path)] == list(range(1, 201))


def test_the_log_is_rotated_and_ten_files_stay_in_order(tmp_path):
    log = Events(tmp_path, rotate_bytes=1000)
    for number in range(200):
        log.write("error", number=number, text="x" * 100)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == sorted(["events.jsonl", *(f"events.{n}.jsonl" for n in range(1, 10))])
    numbers = [event["data"]["number"] for event in read_events(tmp_path)]
    assert numbers == list(range(numbers[0], 200))
    assert numbers[0] > 0
    assert Events(tmp_path).write("error")["seq"] == 201


def test_what_is_wanted_is_found(tmp_path):
    log = Events(tmp_path)
    log.write("loop_started")
    log.write("promoted", "square8_2p")
    log.write("promoted", "hex8_2p")
    assert kinds(tmp_path, kinds=["promoted"], config="hex8_2p") == ["promoted"]
    assert kinds(tmp_path, config="hex8_2p") == ["loop_started", "promoted"]
    assert kinds(tmp_path, since=time.time() + 10) == []
    assert len(kinds(tmp_path, since=time.time() - 10)) == 3


def test_a_deleted_log_costs_history_only(tmp_path):
    log = Events(tmp_path)
    log.write("loop_started")
    (tmp_path / "events.jsonl").unlink()
    assert log.write("error")["seq"] == 2
    assert kinds(tmp_path) == ["error"]


def test_a_disk_that_takes_nothing_does_not_end_the_loop(tmp_path):
    told = []
    log = Events(tmp_path / "log", on_event=told.append)
    (tmp_path / "log").rmdir()
    (tmp_path / "log").write_text("in the way")
    log.write("error")
    assert len(told) == 1


def test_a_follower_sees_each_event_once_over_rotation_and_deletion(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    log = Events(tmp_path, rotate_bytes=2000)
    log.write("loop_started")
    ended = threading.Event()
    seen = []

    def follow():
        new = follow_events(tmp_path, ended.is_set, after=1)
        seen.extend(event["seq"] for event in new)

    reader = threading.Thread(target=follow)
    reader.start()
    for _ in range(60):
        log.write("error", text="x" * 100)
        time.sleep(0.002)
    time.sleep(0.1)
    (tmp_path / "events.jsonl").unlink()
    time.sleep(0.1)
    log.write("loop_stopped")
    time.sleep(0.1)
    ended.set()
    reader.join(10)
    assert seen == list(range(2, 63))
