"""Batches: exact bytes, closed in time, waiting where the spool is full."""

import threading
import time

import msgspec
import pytest
import zstandard

from ringrift.cluster import batches
from ringrift.cluster.batches import BatchWriter, GameBatch, read_batch, write_batch
from ringrift.cluster.spool import Spool
from ringrift.core.errors import BusyError, DataError
from ringrift.records import VerificationError, analysis_to_bytes, to_bytes

from .made_games import made_game

SUBJECT = "rr.game.one.made"


@pytest.fixture
def spool(tmp_path):
    with Spool(tmp_path / "spool.db", most_bytes=10**8) as spool:
        yield spool


def kept(spool):
    return [read_batch(one.body) for one in spool.unsent(most=10_000, most_bytes=10**9)]


def test_every_byte_of_records_and_plans_survives(spool):
    games = [made_game(seed) for seed in range(3)]
    with BatchWriter(spool, SUBJECT) as writer:
        writer.plan(b'{"a":1}')
        writer.plan(b'{"a":1}')
        writer.game(*games[0])
        writer.game(games[1][0], None)
        writer.game(games[2][0], games[2][1], games[2][1])
        assert spool.unsent() == []
    (batch,) = kept(spool)
    searched = analysis_to_bytes(games[2][1])
    assert batch.plans == (b'{"a":1}',)
    assert batch.games == (
        (to_bytes(games[0][0]), (analysis_to_bytes(games[0][1]),)),
        (to_bytes(games[1][0]), ()),
        (to_bytes(games[2][0]), (searched, searched)),
    )
    assert writer.games == 3


def test_it_closes_by_bytes_by_records_and_by_age(spool, monkeypatch):
    game = made_game(1)
    monkeypatch.setattr(batches, "CLOSE_AT_BYTES", 4 * len(to_bytes(game[0])))
    writer = BatchWriter(spool, SUBJECT)
    for _ in range(8):
        writer.game(game[0])
    assert [len(batch) for batch in kept(spool)] == [4]  # equal batches are one
    writer.plan(b"one")
    monkeypatch.setattr(batches, "CLOSE_AT_BYTES", 10**9)
    monkeypatch.setattr(batches, "MOST_RECORDS", 3)
    writer.plan(b"two")
    assert spool.state().count == 1
    writer.game(*game)
    assert spool.state().count == 2
    monkeypatch.setattr(batches, "MOST_RECORDS", 500)
    assert [len(batch) for batch in kept(spool)] == [4, 3]
    monkeypatch.setattr(batches, "CLOSE_AFTER_S", 0.2)
    writer.plan(b"three")
    writer.flush_due()
    assert len(kept(spool)) == 2
    time.sleep(0.25)
    writer.flush_due()
    assert [len(batch) for batch in kept(spool)] == [4, 3, 1]
    writer.flush()  # nothing more
    assert len(kept(spool)) == 3


def test_while_the_spool_is_full_it_waits_and_nothing_is_lost(tmp_path):
    with Spool(tmp_path / "spool.db", most_bytes=9000) as spool:
        blocker = spool.add(SUBJECT, bytes(8999))
        writer = BatchWriter(spool, SUBJECT)
        writer.game(*made_game(1))
        thread = threading.Thread(target=writer.flush)
        thread.start()
        time.sleep(0.2)
        assert thread.is_alive()
        spool.remove([blocker])
        thread.join(5)
        assert writer.games == 1
        spool.add(SUBJECT, bytes(9000 - spool.state().bytes))
        stopped = BatchWriter(spool, SUBJECT, stop=lambda: True)
        stopped.game(*made_game(2))
        with pytest.raises(BusyError, match=r"9,000 bytes of 9,000"):
            stopped.flush()


def test_what_is_no_batch_is_refused(tmp_path):
    body = write_batch(GameBatch(plans=(b"x",)))
    packed = zstandard.ZstdCompressor()
    wrong = [
        b"",
        b"no batch",
        body[:-1],
        body[:9] + bytes([body[9] ^ 1]) + body[10:],
        body + body,
        *(
            packed.compress(msgspec.msgpack.encode(tree))
            for tree in (
                ["other/1", [b"x"], []],
                [batches.BATCH_FORMAT, [], []],
                [batches.BATCH_FORMAT, [], [[]]],
                [batches.BATCH_FORMAT, [b"x"] * 501, []],
                [batches.BATCH_FORMAT, [b"x"], [], 1],
                {"plans": 3},
            )
        ),
        packed.compress(bytes(batches.MOST_RAW_BYTES + 1)),
    ]
    for data in wrong:
        with pytest.raises(VerificationError):
            read_batch(data)
    with pytest.raises(DataError, match="0 records"):
        write_batch(GameBatch())
