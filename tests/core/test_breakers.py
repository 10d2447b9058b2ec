"""Circuit breakers and retries, against real servers on loopback where contact matters."""

import asyncio
import http.server
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from ringrift.core import hidden
from ringrift.core.breakers import FILE, BreakerOpen, Breakers, read_breakers, shown_error
from ringrift.core.retries import Retries


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


class Refused(OSError):
    pass


def failing(breaker, times, error=Refused):
    for _ in range(times):
        with pytest.raises(error), breaker.guard():
            raise error("connection refused")


def passing(breaker, times):
    for _ in range(times):
        breaker.call(lambda: None)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    """A server that counts what reaches it and answers with `answers`, 500 when there is none."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.hits += 1
            self.send_response(self.server.answers.pop(0) if self.server.answers else 500)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hits, server.answers = 0, []
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status


def test_five_failures_block_the_sixth_call_without_contact(server, clock):
    breaker = Breakers(clock=clock).get("sink")
    for _ in range(5):
        with pytest.raises(urllib.error.HTTPError):
            breaker.call(fetch, server.url)
    assert server.hits == 5
    assert breaker.state == "open"
    with pytest.raises(BreakerOpen) as caught:
        breaker.call(fetch, server.url)
    assert server.hits == 5
    assert caught.value.exit_code == 75
    assert "sink" in str(caught.value)
    assert "300 s" in str(caught.value)
    assert "HTTP Error 500" in str(caught.value)


def test_after_300_seconds_three_probes_close_it(server, clock):
    breaker = Breakers(clock=clock).get("sink")
    failing(breaker, 5)
    clock.now_s = 299.9
    with pytest.raises(BreakerOpen):
        breaker.call(fetch, server.url)
    assert server.hits == 0
    clock.now_s = 300.0
    server.answers = [200] * 3
    states = []
    for _ in range(3):
        assert breaker.call(fetch, server.url) == 200
        states.append(breaker.state)
    assert states == ["half-open", "half-open", "closed"]
    failing(breaker, 4)
    assert breaker.state == "closed", "it takes five again"
    failing(breaker, 1)
    assert breaker.state == "open"


@pytest.mark.parametrize("passed", [0, 1, 2])
def test_one_failed_probe_reopens_for_the_whole_time(clock, passed):
    breaker = Breakers(clock=clock).get("host")
    failing(breaker, 5)
    clock.now_s = 300.0
    passing(breaker, passed)
    failing(breaker, 1)
    assert breaker.state == "open"
    clock.now_s = 599.0
    with pytest.raises(BreakerOpen):
        passing(breaker, 1)
    clock.now_s = 600.0
    passing(breaker, 3)
    assert breaker.state == "closed"


def test_only_failures_in_a_row_open_it(clock):
    breaker = Breakers(clock=clock).get("host")
    for _ in range(5):
        failing(breaker, 4)
        passing(breaker, 1)
    assert breaker.state == "closed"


def test_an_answer_that_is_an_error_is_no_failure_of_the_dependency(clock):
    breaker = Breakers(clock=clock).get("host", ignore=(KeyError,))
    failing(breaker, 20, error=KeyError)
    assert breaker.state == "closed"
    assert breaker.status().last_error is None


def test_ctrl_c_and_cancelled_tasks_count_as_nothing(clock):
    breaker = Breakers(clock=clock).get("host")
    failing(breaker, 4)
    for error in (KeyboardInterrupt, asyncio.CancelledError):
        with pytest.raises(error), breaker.guard():
            raise error
    assert breaker.status().failures == 4
    failing(breaker, 1)
    clock.now_s = 300.0
    with pytest.raises(KeyboardInterrupt), breaker.guard():
        raise KeyboardInterrupt
    passing(breaker, 3)
    assert breaker.state == "closed", "an interrupted probe leaves room for the next"


def test_calls_run_side_by_side_but_probes_one_at_a_time(clock):
    breaker = Breakers(clock=clock).get("host")
    both = threading.Barrier(2, timeout=10)
    threads = [threading.Thread(target=breaker.call, args=(both.wait,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken
    failing(breaker, 5)
    clock.now_s = 300.0
    with breaker.guard(), pytest.raises(BreakerOpen, match="while a probe runs"):
        passing(breaker, 1)
    passing(breaker, 2)
    assert breaker.state == "closed"


def test_a_call_begun_before_it_opened_says_nothing_later(clock):
    breaker = Breakers(clock=clock).get("host")
    late = breaker.guard()
    late.__enter__()
    failing(breaker, 5)
    clock.now_s = 300.0
    passing(breaker, 1)
    late.__exit__(None, None, None)
    assert breaker.status().probes_passed == 1


def test_it_counts_across_threads(clock):
    breaker = Breakers(failures=200, clock=clock).get("host")
    threads = [threading.Thread(target=failing, args=(breaker, 25)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert breaker.state == "open"


def test_it_guards_awaited_calls(clock):
    breaker = Breakers(clock=clock).get("hub")

    async def call():
        with breaker.guard():
            await asyncio.sleep(0)
            raise Refused("no route")

    async def run():
        return await asyncio.gather(*(call() for _ in range(5)), return_exceptions=True)

    assert all(isinstance(error, Refused) for error in asyncio.run(run()))
    assert breaker.state == "open"


def test_another_process_sees_states_and_last_error_while_this_one_lives(tmp_path):
    script = """
import sys, time
from pathlib import Path
from ringrift.core.breakers import Breakers
breaker = Breakers(Path(sys.argv[1])).get("provider")
for _ in range(5):
    try:
        with breaker.guard():
            raise TimeoutError("no answer from https://me:hunter22@host/x?api_key=abcdef")
    except TimeoutError:
        pass
print("open", flush=True)
time.sleep(60)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "open\n"
        failing(Breakers(tmp_path).get("host"), 1)
        rows = {row.name: row for row in read_breakers(tmp_path)}
        assert set(rows) == {"host", "provider"}
        assert rows["provider"].state == "open"
        assert rows["provider"].failures == 5
        assert rows["provider"].pid == child.pid
        assert rows["provider"].last_error.startswith("TimeoutError: no answer")
        text = (tmp_path / FILE).read_text()
        assert "hunter22" not in text
        assert "abcdef" not in text
        assert json.loads(text)["schema"] == 1
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert [row.name for row in read_breakers(tmp_path)] == ["host"]


def test_a_state_file_that_cannot_be_written_fails_no_call(tmp_path):
    (tmp_path / "data").write_text("no folder")
    breaker = Breakers(tmp_path).get("host")
    failing(breaker, 5)
    assert breaker.state == "open"


def test_a_damaged_state_file_reads_as_none(tmp_path):
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_text('{"breakers": [{"name": 1}]}')
    assert read_breakers(tmp_path) == []


def test_errors_are_shown_in_one_line_without_secrets(monkeypatch):
    monkeypatch.setattr(hidden, "_known", set())
    monkeypatch.setattr(hidden, "_ordered", ())
    hidden.hide_secret("s3cr3t-value")
    shown = shown_error(ValueError("bad\n token=abc s3cr3t-value"))
    assert shown == "ValueError: bad token=*** ***"
    assert shown_error(ValueError()) == "ValueError"


def retried(retries, on, function, *arguments):
    for attempt in retries.of(on, what="server"):
        with attempt:
            return function(*arguments)
    return None


def test_retries_make_as_many_tries_as_the_settings_say(server, capfd):
    retries = Retries(attempts=3, base_delay_s=0.001, max_delay_s=0.002)
    server.answers = [500, 500, 200]
    assert retried(retries, urllib.error.HTTPError, fetch, server.url) == 200
    assert server.hits == 3
    with pytest.raises(urllib.error.HTTPError):
        retried(retries, urllib.error.HTTPError, fetch, server.url)
    assert server.hits == 6
    assert capfd.readouterr().out == "", "standard output carries results only"


def test_retries_do_not_touch_other_errors_or_an_open_breaker(server, clock):
    breaker = Breakers(failures=1, clock=clock).get("host")
    failing(breaker, 1)
    with pytest.raises(BreakerOpen):
        retried(Retries(base_delay_s=0.001), OSError, breaker.call, fetch, server.url)
    assert server.hits == 0


def test_retries_wait_without_blocking_the_loop():
    async def run():
        tries = 0
        async for attempt in Retries(attempts=3, base_delay_s=0.001).of(OSError, what="x"):
            with attempt:
                tries += 1
                if tries < 3:
                    raise Refused("later")
        return tries

    assert asyncio.run(run()) == 3
