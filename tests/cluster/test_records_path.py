"""Games from a spool through a real hub into a real store: all, once, in time."""

import json
import threading
import time
from contextlib import contextmanager

import pytest

from ringrift.cluster.batches import BatchWriter, GameBatch, write_batch
from ringrift.cluster.bus import Bus
from ringrift.cluster.collector import Collector
from ringrift.cluster.positions import (
    Contiguous,
    Position,
    Purge,
    confirmed_seq,
    games_incarnation,
    read_positions,
    tell_position,
)
from ringrift.cluster.sender import Sender
from ringrift.cluster.spool import Spool
from ringrift.cluster.streams import Subjects, ensure
from ringrift.core.errors import NotRunningError
from ringrift.evaluation.plans import MatchPlan
from ringrift.records import GameStore, analysis_to_bytes, to_bytes
from ringrift.rules import BoardSpec

from .made_games import AGENTS, made_game

SUBJECT = Subjects().game("one", "made")


def within(limit_s, look):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def spool(tmp_path):
    with Spool(tmp_path / "spool.db", most_bytes=10**8) as spool:
        yield spool


@contextmanager
def collecting(tmp_path, url, key, name="store"):
    """Run a collector in a thread as its owner does: again and again."""
    told, stopped = [], threading.Event()

    def run():
        with GameStore.open(tmp_path / f"{name}.db", writer=True) as store:
            while not stopped.is_set():
                try:
                    with Bus(url, key, node=name) as bus:
                        Collector(
                            bus,
                            Subjects(),
                            store,
                            node=name,
                            dead_letters=tmp_path / "dead",
                            on_commit=told.append,
                        ).run(stopped.is_set)
                except NotRunningError:
                    stopped.wait(0.2)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield told
    finally:
        stopped.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def collected(tmp_path, hub, bus, key):
    with collecting(tmp_path, hub.state.url, key) as told:
        yield told


def stored(tmp_path, name="store"):
    with GameStore.open(tmp_path / f"{name}.db") as store:
        return store.game_ids()


@pytest.mark.timed
def test_games_and_plans_arrive_in_time_and_leave_the_spool(tmp_path, bus, spool, collected):
    plan = MatchPlan.of_games(
        4, purpose="test", spec=BoardSpec.create("square8", 2), agents=AGENTS, seed=1
    )
    games = [made_game(seed) for seed in range(20)]
    with Sender(bus, spool, min_replicas=2) as sender:
        assert within(10, lambda: bus.run(read_positions(bus.js)))
        with BatchWriter(spool, SUBJECT) as writer:
            writer.plan(plan.text)
            for game in games:
                writer.game(*game)
        began_s = time.monotonic()
        assert within(5, lambda: collected)
        assert time.monotonic() - began_s < 2
        assert sender.drain(10)
        assert (sender.state.sent, sender.state.confirmed, sender.state.error) == (1, 1, None)
    (commit,) = collected
    assert (commit.games, commit.duplicates, commit.quarantined) == (20, 0, 0)
    assert (commit.nodes, commit.suspects) == ({"one"}, frozenset())
    assert 0 <= commit.lag_s < 2
    with GameStore.open(tmp_path / "store.db") as store:
        assert store.plans.get(plan.hash).purpose == "test"
        assert store.game_ids() == {record.id for record, _ in games}
        assert list(store.analyses(games[3][0].id)) == [games[3][1]]


def test_a_game_with_two_searches_is_one_game(tmp_path, bus, spool, collected):
    record, analysis = made_game(1)
    other = made_game(1, plies=25)[1]
    second = type(analysis)(
        game=record.id, agent=AGENTS[1].agent_hash, budget={}, plies=analysis.plies[1:]
    )
    assert other.game != record.id
    with Sender(bus, spool, min_replicas=1), BatchWriter(spool, SUBJECT) as writer:
        writer.game(record, analysis, second)
        writer.flush()
        assert within(10, lambda: collected)
    assert (collected[0].games, collected[0].duplicates) == (1, 0)
    with GameStore.open(tmp_path / "store.db") as store:
        assert {one.id for one in store.analyses(record.id)} == {analysis.id, second.id}


def test_what_fails_is_kept_and_its_node_is_suspected(tmp_path, bus, collected):
    async def publish(body, run):
        await bus.js.publish(Subjects().game("bad", run), body, stream="GAMES")

    record, analysis = made_game(1)
    data = to_bytes(record)
    broken = [data[:-40] + bytes([data[-40] ^ (1 + n)]) + data[-39:] for n in range(11)]
    games = [(game, ()) for game in broken] + [(data, (analysis_to_bytes(analysis),))]
    bus.run(publish(b"no batch", "x.y/z"))
    bus.run(publish(write_batch(GameBatch(games=tuple(games))), "r"))
    bus.run(publish(write_batch(GameBatch(plans=(b"[1]",))), "r"))
    assert within(10, lambda: sum(done.quarantined for done in collected) == 13)
    assert sum(done.games for done in collected) == 1
    reasons = sum((done.reasons for done in collected), start=type(collected[0].reasons)())
    assert reasons["dead_letter"] == 2
    assert reasons["malformed"] == 11
    assert collected[-1].suspects == {"bad"}
    dead = {path.suffix: path for path in sorted((tmp_path / "dead").iterdir(), reverse=True)}
    assert dead[".batch"].read_bytes() == b"no batch"
    assert "node bad\nrun x.y/z\nreason " in dead[".txt"].read_text()
    with GameStore.open(tmp_path / "store.db") as store:
        assert store.quarantine.entries()[0].source == "node bad run r"
    assert bus.run(read_positions(bus.js))["store"].seq == 3  # what failed is done all the same


@pytest.mark.slow
def test_a_second_store_holds_the_spool_until_it_has_come_as_far(tmp_path, hub, bus, key, spool):
    with Sender(bus, spool, min_replicas=2) as sender:
        with collecting(tmp_path, hub.state.url, key, "first") as first:
            bus.run(tell_position(bus.js, "second", now_at(bus, 0)))
            with BatchWriter(spool, SUBJECT) as writer:
                writer.game(*made_game(1))
            assert within(10, lambda: first)
            assert not sender.drain(1)
        with collecting(tmp_path, hub.state.url, key, "second"):
            assert sender.drain(10)
    assert stored(tmp_path, "first") == stored(tmp_path, "second") == {made_game(1)[0].id}


def now_at(bus, seq, *, ago_s=0.0):
    incarnation, _ = bus.run(games_incarnation(bus.js))
    return Position(incarnation=incarnation, seq=seq, games=0, time=time.time() - ago_s)


def test_new_storage_of_the_hub_is_filled_from_the_spool(tmp_path, hub, bus, key, spool):
    made = {made_game(seed)[0].id for seed in range(6)}
    with Sender(bus, spool, min_replicas=1) as sender:
        for seed in range(6):
            with BatchWriter(spool, SUBJECT) as writer:
                writer.game(*made_game(seed))
        assert within(10, lambda: sender.state.sent == 6)
        assert spool.state().count == 6
        before, _ = bus.run(games_incarnation(bus.js))
        hub.stop()
        (tmp_path / "hub" / "js" / "jetstream").rename(tmp_path / "lost")
        hub.start()
        assert within(10, lambda: bus.connected)
        bus.run(ensure(bus.js, Subjects(), games_bytes=64 << 20))
        assert bus.run(games_incarnation(bus.js))[0] > before
        with collecting(tmp_path, hub.state.url, key):
            assert sender.drain(20)
    assert stored(tmp_path) == made


@pytest.mark.slow
def test_a_store_that_is_lost_is_filled_from_the_stream(tmp_path, hub, bus, key, spool):
    with (
        Sender(bus, spool, min_replicas=1) as sender,
        collecting(tmp_path, hub.state.url, key) as told,
    ):
        for seed in range(3):
            with BatchWriter(spool, SUBJECT) as writer:
                writer.game(*made_game(seed))
        assert sender.drain(10)
    assert sum(done.games for done in told) == 3
    for path in tmp_path.glob("store.db*"):
        path.unlink()
    with collecting(tmp_path, hub.state.url, key) as told:
        assert within(10, lambda: sum(done.games for done in told) == 3)
    with collecting(tmp_path, hub.state.url, key) as told:  # and nothing comes twice
        time.sleep(1)
    assert told == []


def test_a_full_hub_refuses_and_the_spool_keeps(tmp_path, hub, bus, key):
    def resize(most_bytes):
        async def change():
            config = (await bus.js.stream_info("GAMES")).config
            await bus.js.update_stream(config.evolve(max_bytes=most_bytes))

        bus.run(change())

    resize(500)
    with Spool(tmp_path / "spool.db", most_bytes=2000) as spool:
        with BatchWriter(spool, SUBJECT) as writer:
            writer.game(*made_game(1))
        spool.add(SUBJECT, bytes(1700 - spool.state().bytes))
        with Sender(bus, spool, min_replicas=1) as sender:
            assert within(5, lambda: "maximum bytes" in (sender.state.error or ""))
            assert sender.state.full == 0.85
            assert (sender.state.sent, spool.state().count) == (0, 2)
            resize(64 << 20)
            with collecting(tmp_path, hub.state.url, key):
                assert sender.drain(10)
            assert within(2, lambda: sender.state.error is None)
    assert stored(tmp_path) == {made_game(1)[0].id}


def test_the_stream_is_purged_up_to_what_all_had_ten_minutes_ago(bus):
    purge = Purge()

    def run(at):
        return bus.run(purge.run(bus.js, at))

    for number in range(10):
        bus.run(bus.js.publish(SUBJECT, bytes([number])))
    now = time.time()
    bus.run(tell_position(bus.js, "a", now_at(bus, 4)))
    bus.run(tell_position(bus.js, "b", now_at(bus, 7)))
    bus.run(tell_position(bus.js, "gone", now_at(bus, 1, ago_s=4000)))
    assert run(now) == 1
    bus.run(tell_position(bus.js, "a", now_at(bus, 9)))
    assert run(now + 300) == 1
    assert run(now + 599) == 1
    assert run(now + 601) == 5
    assert run(now + 899) == 5
    assert run(now + 901) == 8
    assert bus.run(bus.js.stream_info("GAMES")).state.messages == 3


def test_positions_are_contiguous():
    done = Contiguous(4)
    done.add([6, 7, 3])
    assert done.position == 4
    done.add([5])
    assert done.position == 7
    done.add([10, 12])
    done.rise(9)
    assert done.position == 10
    done.rise(2)
    done.add([11])
    assert done.position == 12


@pytest.mark.parametrize(
    ("positions", "min_replicas", "expected"),
    [
        ([], 2, 0),
        ([(1, 5, 0)], 2, 5),
        ([(1, 5, 0), (1, 8, 0)], 2, 5),
        ([(1, 5, 0), (1, 8, 0)], 1, 8),
        ([(1, 5, 9000), (1, 8, 0)], 2, 8),
        ([(1, 5, 9000)], 2, 5),
        ([(2, 5, 0)], 2, 0),
        ([(2, 5, 0), (1, 8, 0)], 2, 0),
        ([(1, 5, 0), (1, 8, 0), (1, 9, 0)], 2, 8),
    ],
)
def test_enough_collectors_confirm(positions, min_replicas, expected):
    told = {
        str(n): Position(incarnation=i, seq=seq, games=0, time=1e9 - ago)
        for n, (i, seq, ago) in enumerate(positions)
    }
    found = confirmed_seq(told, incarnation=1, min_replicas=min_replicas, now=1e9)
    assert found == expected


def test_a_malformed_position_is_named(bus):
    bus.run(bus.js.publish("$KV.committed.x", json.dumps({"seq": 1}).encode()))
    with pytest.raises(Exception, match=r"no position of a collector.*committed\.x"):
        bus.run(read_positions(bus.js))
