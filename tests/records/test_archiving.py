"""A store put aside: whole, under another name, and not while it is in use."""

import pytest

from ringrift.core.errors import BusyError
from ringrift.records import GameStore
from ringrift.records.archiving import archive_store

from .conftest import make_game


def test_a_store_put_aside_keeps_its_games_and_makes_room(tmp_path):
    path = tmp_path / "games.db"
    game = make_game(seed=1)
    with GameStore.open(path, writer=True) as store:
        store.ingest([(game, None)])
        with pytest.raises(BusyError, match="held by process"):
            archive_store(path)
    aside = archive_store(path)
    assert aside.parent == tmp_path
    assert aside.name.startswith("games-2")
    assert not path.exists()
    assert sorted(p.suffix for p in tmp_path.iterdir() if not p.name.startswith(".")) == [".db"]
    with GameStore.open(aside) as store:
        assert store.game_ids() == {game.id}
    assert archive_store(path) is None


def test_a_store_that_somebody_reads_stays(tmp_path):
    path = tmp_path / "games.db"
    with GameStore.open(path, writer=True) as store:
        store.ingest([(make_game(seed=1), None)])
    with GameStore.open(path) as reader:
        assert reader.count() == 1
        with pytest.raises(BusyError, match="in use"):
            archive_store(path)
    assert path.exists()
