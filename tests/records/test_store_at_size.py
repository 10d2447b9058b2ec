"""A store of a million games: what is asked of it often is answered at once, and reading streams."""

import dataclasses
import resource
import time
from itertools import islice

import pytest

from ringrift.core.errors import UsageError
from ringrift.records import GameStore, to_bytes
from ringrift.records.ingest import Ingest
from ringrift.records.store import COMMIT_EVERY

from .conftest import make_game
from .filler import MODELS, PLIES, STARTED, fill, small_games
from .tables import counts_agree, rows

SMALL, LARGE = 3_000, 1_000_000
ANSWER_MS, INGEST_MS = 50, 5
SEEN_BYTES = 64 * 1024 * 1024


def questions(games):
    """What is asked of a store of `games`, by name, each with what fits its answer."""
    return {
        "counts by configuration": (lambda s: s.counts(), None),
        "count of one configuration": (lambda s: s.count("hex8_2p", purpose="match"), None),
        "ids since a number": (
            lambda s: list(islice(s.ids(after_seq=games - 1_000), 1_000)),
            1_000,
        ),
        "ids from the middle": (lambda s: list(islice(s.ids(after_seq=games // 2), 1_000)), 1_000),
        "newest page": (lambda s: s.rows(limit=50), 50),
        "page of a configuration": (lambda s: s.rows("hex8_2p", limit=50), 50),
        "page of a configuration without any": (lambda s: s.rows("hex8_4p", limit=50), 0),
        "page of a run": (lambda s: s.rows(run="r9", limit=50), 50),
        "page of an old run": (lambda s: s.rows(run="r0", limit=50), 50),
        "page of a purpose": (lambda s: s.rows(purpose="match", limit=50), 50),
        "page of a purpose without any": (lambda s: s.rows(purpose="human", limit=50), 0),
        "page of a reason": (lambda s: s.rows(reason="ring_elimination", limit=3), 3),
        "page of a common model": (lambda s: s.rows(model=MODELS["common"], limit=50), 50),
        "page of a rare model": (lambda s: s.rows(model=MODELS["rare"], limit=50), 1),
        "page of the last hour": (lambda s: s.rows(since=STARTED + games - 20, limit=50), 20),
        "page of a year": (lambda s: s.rows(since=STARTED, limit=50), 50),
        "one game": (lambda s: [s.get(s.find(s.rows(limit=1)[0]["id"][:12]))], 1),
        "model by its beginning": (lambda s: [s.find_model("aaaaaa")], 1),
        "newest number": (lambda s: s.max_seq(), None),
    }


def test_questions_are_answered_rightly(tmp_path):
    path = tmp_path / "games.db"
    fill(path, SMALL, plays=200)
    assert counts_agree(path)
    everything = rows(
        path,
        "SELECT seq, id, config, run, purpose, reason, ingested_at FROM games ORDER BY seq DESC",
    )
    with GameStore.open(path) as store:
        for name, (ask, size) in questions(SMALL).items():
            answer = ask(store)
            assert size is None or len(answer) == size, name
        assert store.counts() == {"hex8_2p": SMALL // 10, "square8_2p": SMALL * 9 // 10}
        for column, key in ((2, "config"), (3, "run"), (4, "purpose"), (5, "reason")):
            for value in {row[column] for row in everything}:
                wanted = [row[1] for row in everything if row[column] == value]
                given = {key: value}
                assert [row["id"] for row in store.rows(**given)] == wanted
                assert store.count(**given) == len(wanted)
                assert [i for _, i in store.ids(**given)] == wanted[::-1]
        since = STARTED + 2_900
        wanted = [row[1] for row in everything if row[6] >= since and row[2] == "hex8_2p"]
        assert [row["id"] for row in store.rows("hex8_2p", since=since)] == wanted
        assert store.count("hex8_2p", since=since) == len(wanted) == 10
        (rare,) = store.rows(model=MODELS["rare"])
        assert rare["seq"] == SMALL // 2 + 1
        assert store.count(model=MODELS["rare"]) == 1
        assert len(store.rows(model=MODELS["common"])) == SMALL - 1
        assert [i for _, i in store.ids(model=MODELS["rare"])] == [rare["id"]]
        assert store.find_model("b" * 64) == MODELS["rare"]
        with pytest.raises(UsageError, match="none starts"):
            store.find_model("cccccc")


def test_a_model_at_several_seats_is_listed_once(tmp_path):
    game = make_game("hex8", 3, seed=1)
    two = (game.agents[0], game.agents[1], game.agents[0])
    game = dataclasses.replace(game, agents=two)
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        store.ingest([(game, None)])
        assert [row["id"] for row in store.rows(model=two[0].model_id)] == [game.id]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "games.db"
    seconds = fill(path, LARGE)
    print(f"{LARGE:,} games in {seconds:.0f} s, {path.stat().st_size / 1e9:.2f} GB")
    return path


@pytest.mark.timed
@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_a_million_games_are_answered_within_50_ms(large):
    slow = {}
    with GameStore.open(large) as store:
        for name, (ask, size) in questions(LARGE).items():
            times = []
            for _ in range(3):
                began_s = time.perf_counter()
                answer = ask(store)
                times.append(1000 * (time.perf_counter() - began_s))
            assert size is None or len(answer) == size, name
            print(f"{name}: first {times[0]:.1f} ms, best {min(times):.1f} ms")
            if min(times) >= ANSWER_MS:
                slow[name] = min(times)
    assert slow == {}


@pytest.mark.timed
@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_ingest_beside_a_million_games_is_fast_enough(large, monkeypatch):
    """p99 of square8 games of full length, each with its share of the commit of its 500."""
    times = []
    take = Ingest.take

    def timed(self, item):
        began_s = time.perf_counter()
        take(self, item)
        times.append(time.perf_counter() - began_s)

    monkeypatch.setattr(Ingest, "take", timed)
    best_ms = float("inf")
    with GameStore.open(large, writer=True) as store:
        store.ingest([(make_game(seed=10_000), None)])
        for _ in range(3):
            first = 20_000 + store.max_seq()
            items = [(to_bytes(make_game(seed=first + i)), None) for i in range(COMMIT_EVERY)]
            times.clear()
            began_s = time.perf_counter()
            assert store.ingest(items).added == COMMIT_EVERY
            total_s = time.perf_counter() - began_s
            p99_s = sorted(times)[int(0.99 * COMMIT_EVERY)]
            share_s = (total_s - sum(times)) / COMMIT_EVERY
            print(f"p99 {1000 * p99_s:.2f} ms + commit {1000 * share_s:.2f} ms a game")
            best_ms = min(best_ms, 1000 * (p99_s + share_s))
    assert best_ms < INGEST_MS


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_reading_a_million_games_streams(large):
    with GameStore.open(large) as store:
        next(store.records())
        list(islice(store.ids(), 10_000))
        before = _peak_bytes()
        read = sum(1 for _ in store.ids())
        assert read >= LARGE
        grown = _peak_bytes() - before
        print(f"ids of {read:,} games: peak memory grew by {grown / 1e6:.1f} MB")
        assert grown < SEEN_BYTES
        began_s = time.perf_counter()
        plies = sum(len(game.moves) for _, game, _ in islice(store.records(), LARGE))
        assert plies >= LARGE * PLIES
        grown = _peak_bytes() - before
        seconds = time.perf_counter() - began_s
        print(f"{LARGE:,} records in {seconds:.0f} s: peak memory grew by {grown / 1e6:.1f} MB")
        assert grown < SEEN_BYTES


def _peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_small_games_of_the_filler_verify(tmp_path):
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        games = [(game, None) for game, _ in small_games(30)]
        assert store.ingest(games).added == 30
        assert store.verify_all().failures == ()
