"""Which stores may be learned from: each fault is found by its code, and refused with it."""

import json

import pytest

from ringrift.core.errors import DataError, RefusedError
from ringrift.core.paths import Paths
from ringrift.data.registry import read_registry, register, registry_path
from ringrift.data.verify_sources import CODES, check_sources, require_sources
from ringrift.records import GameStore
from ringrift.records.recheck import Failure

from ..records.conftest import make_game
from ..records.tables import change, rows, tamper

GAMES = [make_game(seed=seed, limit=8) for seed in range(12)]


@pytest.fixture
def root(tmp_path):
    Paths(tmp_path).create()
    return tmp_path


@pytest.fixture
def store(root):
    """A store of ten games, registered."""
    path = root / "data" / "games" / "games.db"
    with GameStore.open(path, writer=True) as opened:
        opened.ingest([(game, None) for game in GAMES[:10]])
    register(root, path)
    return path


def codes(*paths, registry=None):
    return [problem.code for problem in check_sources(list(paths), registry)]


def swap_two_ids(path):
    """Give a game the id of one that is not here: as many games, other ids."""
    (old,) = rows(path, "SELECT id FROM games WHERE seq = 1")[0]
    tamper(path, "UPDATE games SET id = ? WHERE id = ?", "f" * 64, old)


def test_what_was_registered_may_be_learned_from(root, store):
    assert check_sources([store]) == []
    require_sources([store])
    entry = read_registry(registry_path(root))[store.resolve()]
    assert (entry.kind, entry.games, entry.games_upto) == ("canonical", 10, 10)


def test_the_hash_of_the_ids_is_that_of_the_sorted_ids(root, store):
    import hashlib

    ids = "".join(f"{identity}\n" for identity in sorted(game.id for game in GAMES[:10]))
    entry = read_registry(registry_path(root))[store.resolve()]
    assert entry.ids_hash == hashlib.sha256(ids.encode()).hexdigest()


def test_the_root_may_be_moved(root, store, tmp_path_factory):
    del store
    moved = tmp_path_factory.mktemp("elsewhere") / "root"
    root.rename(moved)
    assert codes(moved / "data" / "games" / "games.db") == []


def test_games_that_came_later_are_no_fault(store):
    with GameStore.open(store, writer=True) as opened:
        opened.ingest([(game, None) for game in GAMES])
    assert codes(store) == []


PLANTED = {
    "missing": lambda path: path.unlink(),
    "schema": lambda path: change(path, "PRAGMA user_version = 1"),
    "not_canonical": lambda path: change(
        path, "UPDATE meta SET value = 'selfplay' WHERE key = 'kind'"
    ),
    "gate_outdated": lambda path: tamper(path, "UPDATE games SET gate_version = 0 WHERE seq = 3"),
    "count_mismatch": lambda path: change(
        path, "UPDATE games SET status = 'quarantined' WHERE seq = 4"
    ),
    "hash_mismatch": swap_two_ids,
}


@pytest.mark.parametrize("code", CODES)
def test_each_fault_is_found_by_its_code_alone_and_refused_with_it(store, code):
    PLANTED[code](store)
    (problem,) = check_sources([store])
    assert problem.code == code
    assert problem.detail
    with pytest.raises(RefusedError, match=code) as caught:
        require_sources([store])
    assert caught.value.exit_code == 4
    assert caught.value.where == str(store)
    assert caught.value.hint


def test_a_store_of_self_play_is_refused_without_a_registry_too(tmp_path):
    path = tmp_path / "run.db"
    GameStore.open(path, writer=True, kind="selfplay").close()
    assert codes(path) == ["not_canonical"]


def test_a_game_withdrawn_by_a_recheck_asks_for_the_pool(root, store):
    with GameStore.open(store, writer=True) as opened:
        opened.withdraw([Failure(id=GAMES[0].id, reason="hash", ply=1, detail="x")])
    assert codes(store) == ["count_mismatch"]
    register(root, store)
    assert codes(store) == []


def test_several_faults_of_several_stores_are_all_named(root, store):
    other = root / "other.db"
    GameStore.open(other, writer=True, kind="selfplay").close()
    PLANTED["gate_outdated"](store)
    PLANTED["count_mismatch"](store)
    missing = root / "none.db"
    text = root / "games.jsonl"
    text.write_text("{}\n")
    found = check_sources([store, other, missing, text])
    assert [(p.db, p.code) for p in found] == [
        (str(store), "gate_outdated"),
        (str(store), "count_mismatch"),
        (str(other), "not_canonical"),
        (str(missing), "missing"),
        (str(text), "schema"),
    ]


def test_a_registry_that_is_named_wins(root, store, tmp_path):
    named = tmp_path / "named" / "data" / "registry.json"
    named.parent.mkdir(parents=True)
    tree = json.loads(registry_path(root).read_text())
    (entry,) = tree["stores"].values()
    entry["games"] = 11
    tree["stores"] = {str(store): entry}
    named.write_text(json.dumps(tree))
    assert codes(store, registry=named) == ["count_mismatch"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "field $"),
        ("[]", "field format"),
        ('{"format": "ringrift.registry/1"}', "field stores"),
        ('{"format": "ringrift.registry/1", "stores": {"a.db": 3}}', "field stores.a.db"),
        (
            '{"format": "ringrift.registry/1", "stores": {"a.db": {"kind": "canonical"}}}',
            "field stores.a.db.gate_version",
        ),
    ],
)
def test_a_damaged_registry_is_named_with_its_field(root, store, text, place):
    registry_path(root).write_text(text)
    with pytest.raises(DataError) as caught:
        check_sources([store])
    assert caught.value.where == f"{registry_path(root)} {place}"
    with pytest.raises(DataError):
        register(root, store)
    assert registry_path(root).read_text() == text


def test_stores_are_registered_beside_one_another(root, store):
    other = root / "data" / "games" / "canonical.db"
    GameStore.open(other, writer=True).close()
    register(root, other)
    assert set(read_registry(registry_path(root))) == {store.resolve(), other.resolve()}
    shown = json.loads(registry_path(root).read_text())["stores"]
    assert list(shown) == ["data/games/canonical.db", "data/games/games.db"]
