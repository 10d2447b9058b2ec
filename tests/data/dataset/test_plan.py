"""Which games make a dataset: views only, filters with their names, never the hold-out."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from ringrift.core.errors import DataError, NegativeResult, UsageError
from ringrift.data.dataset import (
    ExportOptions,
    Plan,
    blocks,
    configurations,
    plan_export,
    views,
    write_dataset,
)
from ringrift.data.dataset.block import read_block, write_block
from ringrift.records import AgentRef, GameStore
from ringrift.rules import BoardSpec
from ringrift.rules import moves as mv

from .made_games import RANDOM, SEARCHER, SQUARE8, game, store_of, trainable


def plan(stores, config="square8_2p", *, uses=None, weights=None, **options):
    return plan_export(stores, config, ExportOptions(**options), uses=uses, weights=weights)


def ids(pairs):
    return sorted(record.id for record, _ in pairs)


def make(plan, folder):
    return write_dataset(plan, dict(blocks(plan, plan.ids)), folder)


def test_only_trainable_and_validation_games_are_planned(tmp_path):
    train, val = trainable(3), trainable(1, split="val")
    others = [
        *trainable(2, split="holdout"),
        game(900, purpose="match"),
        game(901, purpose="human"),
    ]
    found = plan([store_of(tmp_path / "g.db", [*train, *val, *others])])
    assert list(found.ids) == ids([*train, *val])
    assert found.held_out == 2
    assert found.considered == 4


@pytest.fixture
def guarded(monkeypatch):
    """Every table and view that SQL of the exporter touches, and from within which view."""
    touched = set()
    opened = views.open_sqlite

    def watched(path, *, readonly=False):
        connection = opened(path, readonly=readonly)

        def look(action, first, second, database, view):
            if action == sqlite3.SQLITE_READ:
                touched.add((first, view))
            elif action not in (
                sqlite3.SQLITE_SELECT,
                sqlite3.SQLITE_FUNCTION,
                sqlite3.SQLITE_PRAGMA,
            ):
                touched.add((f"action {action}", first))
            return sqlite3.SQLITE_OK

        connection.set_authorizer(look)
        return connection

    monkeypatch.setattr(views, "open_sqlite", watched)
    return touched


def test_no_statement_reaches_the_raw_games_table(tmp_path, guarded):
    spec = BoardSpec.create("hex8", 3)
    store = store_of(tmp_path / "g.db", [*trainable(3), *trainable(1, split="val"), game(1, spec)])
    assert configurations([store]) == ["hex8_3p", "square8_2p"]
    for name in ("all", "auto"):
        found = plan([store], window=name, exclude_recovery=True)
        make(found, tmp_path / name)
    read = {table for table, _ in guarded}
    assert {"games", "trainable", "validation", "holdout", "analyses"} <= read
    assert {view for table, view in guarded if table == "games"} == {
        "trainable",
        "validation",
        "holdout",
    }
    assert not any(table.startswith("action") for table, _ in guarded)


@pytest.mark.parametrize("view", ["trainable", "validation", "holdout"])
@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("config = 'square8_2p' AND seq > 0 ORDER BY seq", "games_page"),
        ("id IN ('a', 'b', 'c')", "sqlite_autoindex_games_1"),
        ("play_hash IN ('a', 'b', 'c')", "games_play"),
    ],
)
def test_a_view_looks_for_copies_by_the_play_and_reads_no_table(tmp_path, view, condition, index):
    store = store_of(tmp_path / "g.db", [game(1)])
    with closing(sqlite3.connect(store)) as connection:
        sql = f"EXPLAIN QUERY PLAN SELECT id FROM {view} WHERE {condition}"
        steps = [row[3] for row in connection.execute(sql)]
    assert f"INDEX {index} " in steps[0]
    assert any("other USING INDEX games_play (play_hash=?)" in step for step in steps)


def test_a_holdout_game_moved_into_training_fails_the_export(tmp_path):
    leaked = trainable(1, split="holdout")
    store = store_of(tmp_path / "g.db", [*trainable(3), *leaked])
    plan([store])
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE games SET split = 'train' WHERE id = ?", (leaked[0][0].id,))
    with pytest.raises(NegativeResult, match="hold-out leak") as error:
        plan([store])
    assert leaked[0][0].id in str(error.value)


def test_a_play_that_another_store_holds_out_fails_the_export(tmp_path):
    pairs = trainable(12)
    first = store_of(tmp_path / "a.db", pairs)
    second = tmp_path / "b.db"
    store_of(second, pairs)
    with GameStore.open(second, writer=True) as store:
        assert store.raise_holdout(60) > 0
    plan([first])
    with pytest.raises(NegativeResult, match="hold-out leak"):
        plan([first, second])


def test_a_play_hash_that_is_not_the_game_s_is_refused_when_its_moves_are_read(tmp_path):
    pairs = trainable(2)
    store = store_of(tmp_path / "g.db", pairs)
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("DROP TRIGGER games_fixed")
        connection.execute(
            "UPDATE games SET play_hash = ? WHERE id = ?", ("f" * 64, pairs[0][0].id)
        )
    found = plan([store])
    with pytest.raises(DataError, match="play_hash: found ffff"):
        dict(blocks(found, found.ids))


def test_a_target_that_is_no_legal_move_fails_the_export(tmp_path, monkeypatch):
    found = plan([store_of(tmp_path / "g.db", trainable(2))])
    real = views.stored_analysis

    def altered(data):
        identity, analysis = real(data)
        analysis.table.moves[7] = mv.NO_REGION
        return identity, analysis

    monkeypatch.setattr(views, "stored_analysis", altered)
    with pytest.raises(NegativeResult, match="mass on an illegal move"):
        make(found, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_distribution_that_does_not_arrive_fails_the_export(tmp_path, monkeypatch):
    import ringrift.data.dataset.targets as module

    found = plan([store_of(tmp_path / "g.db", trainable(2))])
    monkeypatch.setattr(module, "_entries", lambda s, policy: (s.moves, s.counts, s.offsets * 0))
    with pytest.raises(NegativeResult, match="lost policy"):
        make(found, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_seat_with_too_many_samples_fails_the_export(tmp_path):
    spec = BoardSpec.create("square8", 2)
    pairs = trainable(30, spec, most=90)
    found = plan([store_of(tmp_path / "g.db", pairs)], require_completed=False)
    made = dict(blocks(found, found.ids))
    for identity, data in made.items():
        header, arrays = read_block(data)
        movers = np.ones_like(arrays["mover"])
        made[identity] = write_block(header, {**arrays, "mover": movers})
    with pytest.raises(NegativeResult, match=r"seat skew: seat 1 has 100.0%"):
        write_dataset(found, made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_to_learn_from_is_said_so(tmp_path):
    store = store_of(tmp_path / "g.db", trainable(2, split="holdout"))
    with pytest.raises(NegativeResult, match="zero samples"):
        plan([store])
    store = store_of(tmp_path / "h.db", trainable(2))
    with pytest.raises(NegativeResult, match=r"zero samples.*2 min_moves"):
        plan([store], min_moves=10_000)


def test_each_filter_counts_what_it_leaves_out(tmp_path):
    pairs = trainable(6)
    short = trainable(2, first=200, most=30)
    by_random = trainable(2, first=300, agents=[SEARCHER, RANDOM], searched=0.0)
    store = store_of(tmp_path / "g.db", [*pairs, *short, *by_random])
    base = plan([store])
    assert dict(base.excluded) == {"incomplete": 2}
    assert len(plan([store], require_completed=False).games) == 10
    assert plan([store], exclude_random=True).excluded["random"] == 2
    assert plan([store], exclude_timeout=True, require_completed=False).excluded == {"timeout": 2}
    assert plan([store], ai_types=("gumbel",)).excluded["ai_types"] == 2
    assert "ai_types" not in plan([store], ai_types=("gumbel:sims=8", "random")).excluded
    assert plan([store], min_simulations=8).excluded["min_simulations"] == 2
    lengths = sorted(len(record.moves) for record, _ in [*pairs, *by_random])
    assert plan([store], min_moves=lengths[2]).excluded["min_moves"] == 2
    assert plan([store], max_moves=lengths[2]).excluded["max_moves"] == 5
    with_slides = sum(
        any(move & mv.KIND_MASK == mv.RECOVER for move in record.moves)
        for record, _ in [*pairs, *by_random]
    )
    assert plan([store], exclude_recovery=True).excluded.get("recovery", 0) == with_slides


def test_the_newest_games_are_kept(tmp_path):
    pairs = trainable(6)  # a later seed started later
    found = plan([store_of(tmp_path / "g.db", pairs)], max_games=2)
    assert list(found.ids) == ids(pairs[-2:])
    assert found.excluded == {"max_games": 4}


def test_games_that_a_lineage_has_used_up_are_left_out(tmp_path):
    pairs = trainable(4)
    uses = {pairs[0][0].id: 8.0, pairs[1][0].id: 7.9, pairs[2][0].id: 30.0}
    found = plan([store_of(tmp_path / "g.db", pairs)], uses=uses)
    assert list(found.ids) == ids([pairs[1], pairs[3]])
    assert found.excluded == {"max_reuse": 2}


def test_one_dataset_holds_one_specification(tmp_path):
    longer = BoardSpec.create("square8", 2, lps_rounds=5)
    pairs = [*trainable(3), *trainable(2, longer)]
    found = plan([store_of(tmp_path / "g.db", pairs)])
    assert found.spec == SQUARE8
    assert list(found.ids) == ids(pairs[:3])
    assert found.excluded == {"other_spec": 2}


def test_a_play_counts_once_whichever_store_holds_it(tmp_path):
    pairs = trainable(4)
    again = [AgentRef(spec="gumbel:sims=8", agent_hash="9" * 64) for _ in range(2)]
    copy = game(pairs[0][0].seed, agents=again)
    first = store_of(tmp_path / "a.db", pairs)
    second = store_of(tmp_path / "b.db", [pairs[1], copy])
    found = plan([first, second])
    smallest = min(pairs[0][0].id, copy[0].id)
    assert list(found.ids) == sorted([smallest, *(record.id for record, _ in pairs[1:])])
    assert found.duplicates == 1
    one = plan([store_of(tmp_path / "c.db", [*pairs, copy])])
    assert (one.ids, one.duplicates) == (found.ids, 1)


def test_a_plan_travels_as_json(tmp_path):
    found = plan([store_of(tmp_path / "g.db", trainable(3))], ai_types=("gumbel",), window=100)
    again = Plan.from_dict(found.as_dict())
    assert again == found
    assert again.request == found.request
    with pytest.raises(DataError, match="no plan"):
        Plan.from_dict({"games": []})


@pytest.mark.parametrize(
    "wrong",
    [
        {"contents": "all"},
        {"encoder": "planes9"},
        {"sample_every": 0},
        {"splits": ("train", "holdout")},
        {"surprise_weight": 1.5},
        {"window": "some"},
        {"window": 0},
        {"max_reuse": 0},
        {"policy_target": "best"},
    ],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(UsageError):
        ExportOptions(**wrong)
