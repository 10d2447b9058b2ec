"""Whole files, locks and databases: what a kill at any instant leaves behind."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ringrift.core.errors import BusyError, DataError, UsageError
from ringrift.core.files import (
    PARTIAL_SUFFIX,
    file_system,
    lock,
    open_sqlite,
    read_owner,
    remove_partial,
    transaction,
    write_atomic,
)


def start(code: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_write_replaces_the_whole_file_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "a.json"
    write_atomic(path, b"old")
    write_atomic(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_failing_writer_keeps_the_old_bytes(tmp_path):
    path = tmp_path / "a"
    write_atomic(path, b"old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        write_atomic(path, fail)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


WRITER = """
import sys
from pathlib import Path
from ringrift.core.files import write_atomic
path = Path(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    number += 1
    write_atomic(path, bytes([number % 251]) * 200_000)
"""


def kill_writer(path: Path, delay_s: float) -> bytes:
    writer = start(WRITER, str(path))
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(delay_s)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    return path.read_bytes()


@pytest.mark.slow
def test_kill_at_100_random_instants_leaves_old_or_new_bytes_whole(tmp_path):
    path = tmp_path / "a"
    write_atomic(path, b"\0" * 200_000)
    moments = random.Random(7)
    seen = set()
    for _ in range(100):
        content = kill_writer(path, moments.uniform(0, 0.05))
        assert len(content) == 200_000
        assert len(set(content)) == 1
        seen.add(content[0])
    assert len(seen) >= 2, "the writer must have been killed before and after writes"
    remove_partial(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_kill_between_write_and_rename_keeps_the_old_file_and_a_named_partial(tmp_path):
    path = tmp_path / "a"
    write_atomic(path, b"old")
    code = """
    import os, signal, sys
    from pathlib import Path
    from ringrift.core.files import write_atomic
    def die(file):
        file.write(b"new")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    write_atomic(Path(sys.argv[1]), die)
    """
    assert start(code, str(path)).wait() == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = remove_partial(tmp_path)
    assert left.name.startswith(".a.")
    assert left.name.endswith(PARTIAL_SUFFIX)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


HOLDER = """
import sys, time
from pathlib import Path
from ringrift.core.files import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_held_lock_names_its_holder_and_is_free_at_once_after_kill(tmp_path):
    path = tmp_path / "deep" / "loop.lock"
    holder = start(HOLDER, str(path))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError) as caught, lock(path, what="the loop's lock"):
        pass
    assert f"process {holder.pid}" in str(caught.value)
    assert "started 20" in str(caught.value)
    assert caught.value.exit_code == 75
    holder.kill()
    holder.wait()
    with lock(path) as owner:
        assert owner.pid == os.getpid()
        assert read_owner(path) == owner
    assert read_owner(path) is None


def test_the_same_process_cannot_hold_a_lock_twice(tmp_path):
    path = tmp_path / "lock"
    with lock(path), pytest.raises(BusyError), lock(path):
        pass
    with lock(path):
        pass


def test_a_forked_worker_does_not_keep_its_killed_parents_lock(tmp_path):
    path = tmp_path / "lock"
    code = """
    import os, sys, time
    from pathlib import Path
    from ringrift.core.files import lock
    with lock(Path(sys.argv[1])):
        child = os.fork()
        if child == 0:
            os.close(1)
            time.sleep(30)
            os._exit(0)
        print(child, flush=True)
        time.sleep(60)
    """
    parent = start(code, str(path))
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        with lock(path, timeout_s=1.0):
            os.kill(child, 0)  # the child is still there
    finally:
        os.kill(child, signal.SIGKILL)


def test_lock_waits_until_its_timeout(tmp_path):
    path = tmp_path / "lock"
    with lock(path):
        before_s = time.monotonic()
        with pytest.raises(BusyError), lock(path, timeout_s=0.2):
            pass
        assert time.monotonic() - before_s >= 0.2


def test_sqlite_is_opened_with_the_durable_settings(tmp_path):
    connection = open_sqlite(tmp_path / "games.db")
    pragma = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert pragma == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 20_000,
    }
    connection.close()


def test_a_failed_transaction_leaves_nothing(tmp_path):
    connection = open_sqlite(tmp_path / "g.db")
    connection.execute("CREATE TABLE t(x INT) STRICT")

    def fail():
        with transaction(connection):
            connection.execute("INSERT INTO t VALUES (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (2)")
    assert connection.execute("SELECT x FROM t").fetchall() == [(2,)]


def test_readonly_connections_cannot_write_and_need_the_file(tmp_path):
    path = tmp_path / "odd ?#%name.db"
    with pytest.raises(DataError) as caught:
        open_sqlite(path, readonly=True)
    assert caught.value.where == str(path)
    open_sqlite(path).execute("CREATE TABLE t(x INT)")
    reader = open_sqlite(path, readonly=True)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("INSERT INTO t VALUES (1)")


def test_a_file_that_is_no_database_is_a_data_error(tmp_path):
    path = tmp_path / "g.db"
    path.write_bytes(b"not a database at all, but long enough to look at" * 30)
    with pytest.raises(DataError) as caught:
        open_sqlite(path)
    assert caught.value.exit_code == 6


def test_network_file_systems_are_refused(tmp_path, monkeypatch):
    assert file_system(tmp_path) is not None
    monkeypatch.setattr("ringrift.core.files.file_system", lambda _path: "nfs4")
    with pytest.raises(UsageError, match="nfs4"):
        open_sqlite(tmp_path / "g.db")
