"""Games of an older gate are checked again; datasets that hold one that fails are marked stale."""

import json

import pytest

from ringrift.data.pool import rechecking
from ringrift.data.pool.rechecking import recheck_older
from ringrift.records import GameStore
from ringrift.records.gate import GATE_VERSION

from ...records.tables import change, rows, tamper
from .files import lines_of, make_game, pool, refused, stored

GAMES = [make_game(seed=seed) for seed in range(6)]


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines_of(*GAMES)))
    pool(tmp_path / "pool.db", path)
    return tmp_path / "pool.db"


@pytest.fixture
def datasets(tmp_path):
    folder = tmp_path / "npz"
    for name, games in (("one", GAMES[:3]), ("two", GAMES[3:])):
        place = folder / "square8_2p" / name
        place.mkdir(parents=True)
        ids = sorted(game.id for game in games)
        (place / "manifest.json").write_text(json.dumps({"game_ids": ids}))
    return folder


def older(store, *games):
    for game in games:
        change(store, "UPDATE games SET gate_version = 0 WHERE id = ?", game.id)


def versions(store):
    return {row[0] for row in rows(store, "SELECT gate_version FROM games WHERE status='verified'")}


def test_games_of_this_gate_are_not_read(store, datasets):
    tamper(store, "UPDATE games SET plies = plies + 1 WHERE id = ?", GAMES[0].id)
    assert recheck_older(store, datasets).games == 0


def test_an_older_game_that_holds_is_noted(store, datasets):
    older(store, *GAMES[:4])
    found = recheck_older(store, datasets)
    assert (found.games, found.failures, found.stale) == (4, (), ())
    assert versions(store) == {GATE_VERSION}
    assert recheck_older(store, datasets).games == 0


def test_one_that_fails_leaves_and_its_datasets_are_stale(store, datasets):
    older(store, *GAMES)
    tamper(store, "UPDATE games SET winner = 3 - winner WHERE id = ?", GAMES[1].id)
    planned = recheck_older(store, datasets, dry_run=True)
    assert len(stored(store)) == 6
    assert list(datasets.rglob("stale.json")) == []
    found = recheck_older(store, datasets)
    assert [failure.id for failure in found.failures] == [GAMES[1].id]
    assert found.failures == planned.failures
    assert set(stored(store)) == {game.id for game in GAMES} - {GAMES[1].id}
    assert [row[0] for row in refused(store)] == [found.failures[0].reason]
    one = datasets / "square8_2p" / "one"
    assert found.stale == (one,)
    assert json.loads((one / "stale.json").read_text())["games"] == [GAMES[1].id]
    older(store, GAMES[0])
    tamper(store, "UPDATE games SET plies = 7 WHERE id = ?", GAMES[0].id)
    recheck_older(store, datasets)
    both = sorted([GAMES[0].id, GAMES[1].id])
    assert json.loads((one / "stale.json").read_text())["games"] == both
    with GameStore.open(store) as opened:
        assert opened.count() == 4


def test_a_recheck_that_was_killed_is_run_again(store, datasets, monkeypatch):
    older(store, *GAMES)
    tamper(store, "UPDATE games SET plies = 7 WHERE id = ?", GAMES[1].id)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rechecking.GameStore, "pass_gate", killed)
    with pytest.raises(KeyboardInterrupt):
        recheck_older(store, datasets)
    monkeypatch.undo()
    assert recheck_older(store, datasets).games == 5
    assert versions(store) == {GATE_VERSION}
