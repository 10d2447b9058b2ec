"""Several nodes: their match games come together, and what is false stays out."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from ringrift.core.alerts import AlertBook
from ringrift.core.errors import NotRunningError, RefusedError, UsageError
from ringrift.core.ids import canonical_json
from ringrift.core.paths import Paths
from ringrift.evaluation.ratings.service import RatingSource
from ringrift.evaluation.reconciliation import EloReconciler
from ringrift.records import GameStore
from ringrift.records.game_bytes import to_bytes

from .played import match_game

CONFIG = "square8_2p"
GAMES = 12


@pytest.fixture(scope="module")
def games():
    return [match_game(seed) for seed in range(GAMES)]


@pytest.fixture
def nodes(tmp_path, games):
    """Two roots: one holds the first nine games and a plan, the other the last nine."""
    roots = {"here": tmp_path / "here", "there": tmp_path / "there"}
    for name, part in (("here", games[:9]), ("there", games[3:])):
        paths = Paths(roots[name])
        paths.create()
        with GameStore.open(paths.games / "games.db", writer=True) as store:
            store.ingest([(game, None) for game in part])
            text = canonical_json({"format": "ringrift.plan/1", "node": name})
            store.plans.add(text, config=CONFIG, purpose="manual")
    return roots


def stored(root):
    return root / "data" / "games" / "games.db"


def leaderboard(root):
    paths = Paths(root)
    RatingSource.of_root(paths).tree(CONFIG)
    files = sorted(paths.ratings.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return files[-1].name, files[-1].read_bytes()


def alter(root, record, changed):
    """Put other bytes and columns into the row of a game, as no store would."""
    with closing(sqlite3.connect(stored(root))) as connection:
        connection.execute("DROP TRIGGER games_fixed")
        connection.execute(
            "UPDATE games SET record = ?, winner = ?, ranks = ? WHERE id = ?",
            (to_bytes(changed), changed.result.winner, str(list(changed.result.ranks)), record.id),
        )
        connection.commit()


def with_other_winner(record):
    result = record.result
    return replace(
        record, result=replace(result, winner=3 - result.winner, ranks=result.ranks[::-1])
    )


def test_overlapping_stores_come_together_in_one_round_each_way(nodes):
    here, there = (EloReconciler(nodes[name]) for name in ("here", "there"))
    before = here.check_drift(str(nodes["there"]))
    (drift,) = before.configs
    assert (len(drift.missing_here), len(drift.missing_there), drift.disputed) == (3, 3, ())
    assert drift.largest == before.largest
    by_agent = {agent.spec: agent for agent in drift.agents}
    assert by_agent["random"].difference == 0.0
    result = here.sync_from_remote(str(nodes["there"]))
    assert (result.fetched, result.known, result.refused, result.plans) == (3, 6, (), 1)
    result = there.sync_from_remote(str(stored(nodes["here"])))
    assert (result.fetched, result.known, result.refused, result.plans) == (3, 9, (), 1)
    assert leaderboard(nodes["here"]) == leaderboard(nodes["there"])
    again = here.sync_from_remote(str(nodes["there"]))
    assert (again.fetched, again.known, again.plans) == (0, 12, 0)
    after = here.check_drift(str(nodes["there"]))
    assert (after.largest, after.games) == (0.0, 0)


def test_the_order_of_joining_changes_no_byte(nodes, tmp_path, games):
    for order, name in ((("here", "there"), "one"), (("there", "here"), "two")):
        root = tmp_path / name
        Paths(root).create()
        EloReconciler(root, peers=[str(nodes[node]) for node in order]).reconcile_all()
    assert leaderboard(tmp_path / "one") == leaderboard(tmp_path / "two")
    with GameStore.open(stored(tmp_path / "one")) as store:
        assert store.game_ids() == {game.id for game in games}


@pytest.mark.parametrize("number", [5, 10])  # a game that both have, and one that is new here
def test_a_changed_winner_is_refused_and_named_with_its_node(nodes, games, number):
    record = games[number]
    alter(nodes["there"], record, with_other_winner(record))
    here, peer = EloReconciler(nodes["here"]), str(nodes["there"])
    result = here.sync_from_remote(peer)
    ((refused),) = result.refused
    assert (refused.id, refused.node) == (record.id, peer)
    assert "winner" in refused.reason
    assert result.fetched == (3 if number == 5 else 2)
    with GameStore.open(stored(nodes["here"])) as store:
        kept = store.get(record.id)
        assert (kept is None) == (number == 10)
        assert kept is None or kept[0].result == record.result
    book = AlertBook(nodes["here"] / "data" / "coordination" / "alerts.db", readonly=True)
    (alert,) = book.alerts()
    assert (alert.kind, alert.state) == ("conflict", "firing")
    assert alert.values["node"] == peer
    book.close()
    assert here.sync_from_remote(peer).fetched == 0


def test_a_false_copy_of_ours_gives_way_to_the_right_one(nodes, games):
    record = games[5]
    alter(nodes["here"], record, with_other_winner(record))
    (refused,) = EloReconciler(nodes["here"]).sync_from_remote(str(nodes["there"])).refused
    assert (refused.id, refused.node) == (record.id, "here")
    with GameStore.open(stored(nodes["here"])) as store:
        assert store.get(record.id)[0].result == record.result
        assert store.quarantined()[0]["reason"] == "conflict"


def test_other_versions_and_absent_nodes_are_told(nodes, tmp_path):
    here = EloReconciler(nodes["here"], peers=["node-7", str(nodes["there"])])
    with pytest.raises(NotRunningError, match="no job bus"):
        here.check_drift("node-7")
    with pytest.raises(NotRunningError, match="no game store there"):
        here.check_drift(str(tmp_path))
    with pytest.raises(UsageError, match="no node"):
        EloReconciler(nodes["here"]).check_drift()
    report = here.reconcile_all()
    assert list(report.failed) == ["node-7"]
    assert report.results[0].fetched == 3
    with closing(sqlite3.connect(stored(nodes["there"]))) as connection:
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(RefusedError, match="store of version 1"):
        here.sync_from_remote(str(nodes["there"]))
