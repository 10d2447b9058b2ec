"""The spool: nothing leaves before it is confirmed, nothing is dropped when it is full."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from ringrift.cluster.spool import Spool, spool_counts
from ringrift.core.errors import BusyError, DataError


@pytest.fixture
def spool(tmp_path):
    with Spool(tmp_path / "spool.db", most_bytes=1000) as spool:
        yield spool


def test_a_batch_leaves_once_its_place_is_confirmed(spool):
    a, b = spool.add("rr.game.one.r", b"a" * 10), spool.add("rr.game.one.r", b"b" * 10)
    assert spool.add("rr.game.one.r", b"a" * 10) == a
    assert [batch.sha256 for batch in spool.unsent()] == [a, b]
    assert not spool.waiting()
    spool.sent([(a, 7), (b, 9)], incarnation=1)
    assert spool.unsent() == []
    assert spool.waiting()
    assert spool.state().count == 2
    assert spool.confirmed(8, incarnation=1) == 1
    assert spool.confirmed(100, incarnation=2) == 0
    assert spool.holds_games()
    assert spool.confirmed(9, incarnation=1) == 1
    assert not spool.holds_games()
    assert (spool.state().count, spool.state().bytes, spool.state().oldest_s) == (0, 0, None)


def test_new_storage_of_the_hub_gets_everything_again(spool):
    a = spool.add("rr.game.one.r", b"a")
    spool.sent([(a, 7)], incarnation=1)
    assert spool.forget_places(1) == 0
    assert spool.unsent() == []
    assert spool.forget_places(2) == 1
    assert [batch.sha256 for batch in spool.unsent()] == [a]
    assert spool.confirmed(100, incarnation=1) == 0


def test_results_are_apart_and_find_room(spool):
    spool.add("rr.game.one.r", b"x" * 1000)
    result = spool.add("rr.result.j", b"done", kind="result")
    assert [one.subject for one in spool.unsent()] == ["rr.game.one.r"]
    (left,) = spool.unsent(kind="result")
    assert (left.sha256, left.body) == (result, b"done")
    spool.remove([result])
    assert spool.unsent(kind="result") == []
    assert (spool.state().count, spool.state().bytes) == (1, 1000)


def test_a_load_is_bounded_by_bytes_but_never_empty(spool):
    for number in range(4):
        spool.add("s", bytes([number]) * 100)
    assert len(spool.unsent(most_bytes=1)) == 1
    assert len(spool.unsent(most_bytes=150)) == 2
    assert len(spool.unsent(most=3)) == 3


def test_threads_share_one_and_a_long_file_gets_short(tmp_path):
    path = tmp_path / "spool.db"
    with Spool(path, most_bytes=10**9) as spool:

        def add(first):
            for number in range(first, first + 36):
                spool.add("s", number.to_bytes(2, "big") * 500_000)

        threads = [threading.Thread(target=add, args=(first,)) for first in (0, 100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [(one.sha256, seq) for seq, one in enumerate(spool.unsent(most_bytes=10**9), 1)]
        assert len(taken) == 72
        spool.sent(taken, incarnation=1)
        assert spool.confirmed(72, incarnation=1) == 72
    assert path.stat().st_size < 1_000_000


def test_a_full_spool_refuses_and_keeps(spool):
    spool.add("s", b"x" * 900)
    with pytest.raises(BusyError, match="900 bytes of 1,000"):
        spool.add("s", b"y" * 101)
    assert spool.state().count == 1
    spool.add("s", b"y" * 100)


KILLED = """
import os, sys
from pathlib import Path
from ringrift.cluster.spool import Spool
spool = Spool(Path(sys.argv[1]), most_bytes=10**9)
for number in range(10**6):
    print(spool.add("s", number.to_bytes(8, "big")), flush=True)
"""


def test_what_was_added_survives_a_kill(tmp_path):
    path = tmp_path / "spool.db"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE
    ) as child:
        told = [child.stdout.readline().decode().strip() for _ in range(50)]
        os.kill(child.pid, signal.SIGKILL)
        told += child.stdout.read().decode().split()
    with Spool(path, most_bytes=10**9) as spool:
        kept = {batch.sha256 for batch in spool.unsent(most=10**6)}
    assert set(told) <= kept
    assert len(kept) <= len(told) + 1
    assert spool_counts(path).count == len(kept)


ADDS = """
import sys
from pathlib import Path
from ringrift.cluster.spool import Spool
with Spool(Path(sys.argv[1]), most_bytes=10**9) as spool:
    for number in range(40):
        spool.add("s", sys.argv[2].encode() + number.to_bytes(2, "big"))
"""


def test_processes_that_begin_together_share_one(tmp_path):
    path = tmp_path / "spool.db"
    children = [
        subprocess.Popen([sys.executable, "-c", ADDS, str(path), name]) for name in ("a", "b", "c")
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert spool_counts(path).count == 120


def test_another_file_is_named(tmp_path):
    (tmp_path / "spool.db").write_bytes(b"no database at all, but long enough to be read as one")
    with pytest.raises(DataError, match=r"spool\.db"):
        Spool(tmp_path / "spool.db", most_bytes=1)
    assert spool_counts(tmp_path / "none.db") is None
