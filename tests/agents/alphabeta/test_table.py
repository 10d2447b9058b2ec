"""The table never changes a value, and its key tells apart whatever a result depends on."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.agents.alphabeta import table as tt
from ringrift.agents.alphabeta.leaf import heuristic_leaf
from ringrift.agents.alphabeta.workspace import FRAME, RUN
from ringrift.agents.weights import default_profile
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

from ..games import choices
from .positions import agent, decide

FIELDS = {
    "acted": lay.ACTED,
    "recovered": lay.RECOVERED,
    "line debt": lay.LINE_DEBT,
    "territory debt": lay.TERRITORY_DEBT,
    "must-move cell": lay.ONLY,
    "seat to move": lay.CUR,
    "previous mover": lay.PREV,
    "first of the round": lay.LPS_FIRST,
    "seen this round": lay.LPS_SEEN,
    "acting this round": lay.LPS_REAL,
    "exclusive player": lay.LPS_EXCLUSIVE,
    "streak": lay.LPS_STREAK,
    "streak seat": lay.LPS_STREAK_SEAT,
}


def test_an_entry_has_the_size_it_was_planned_with() -> None:
    assert tt.ENTRY.itemsize == 24
    assert len(tt.Table(64).entries) * 24 <= 64 << 20 < len(tt.Table(64).entries) * 48
    assert len(tt.Table(0).entries) == 0


def test_the_key_covers_everything_a_result_depends_on() -> None:
    spec = BoardSpec.create("square8", 3)
    (position,) = choices(spec, 1, seed=3)
    boards = board_tables(spec)
    keys = {"": tt.position_key(position._states[0], boards[0], 1)}
    for name, field in FIELDS.items():
        state = position._states.copy()
        state[0]["misc"][field] ^= 1
        keys[name] = tt.position_key(state[0], boards[0], 1)
    for name in ("hand", "elim", "terr", "out_turn"):
        state = position._states.copy()
        state[0][name][2] += 1
        keys[name] = tt.position_key(state[0], boards[0], 1)
    for whose in range(2, 320):
        keys[f"whose {whose}"] = tt.position_key(position._states[0], boards[0], whose)
    assert len(set(keys.values())) == len(keys)


def entry(table: tt.Table, key: int, depth: int, score: int, choices_: int = 0) -> None:
    run, frame = np.zeros(1, RUN), np.zeros(1, FRAME)
    run["age"], run["since"] = table.age, table.since
    frame["key"], frame["depth"], frame["choices"] = key, depth, choices_
    tt.store(table.entries, run[0], frame[0], score, tt.EXACT)


def test_a_bucket_keeps_the_deeper_entry_and_replaces_the_other() -> None:
    table = tt.Table(1)
    table.next_search(keep=False)
    step = len(table.entries)  # the same bucket again
    entry(table, 5, 6, 100)
    entry(table, 5 + step, 2, 200)
    entry(table, 5 + 2 * step, 3, 300)
    found = {k: tt.find(table.entries, k, table.since) for k in (5, 5 + step, 5 + 2 * step)}
    assert found[5] >= 0
    assert found[5 + 2 * step] >= 0
    assert found[5 + step] == -1
    entry(table, 5 + 3 * step, 7, 400)
    assert tt.find(table.entries, 5, table.since) == -1


def test_entries_of_earlier_games_are_as_good_as_empty() -> None:
    table = tt.Table(1)
    table.next_search(keep=False)
    entry(table, 5, 60, 100)
    table.next_search(keep=True)
    assert tt.find(table.entries, 5, table.since) >= 0
    table.next_search(keep=False)
    assert tt.find(table.entries, 5, table.since) == -1
    entry(table, 5 + len(table.entries), 1, 100)  # takes the first place whatever its depth
    assert tt.find(table.entries, 5 + len(table.entries), table.since) % 2 == 0
    table.age = tt.MAX_AGE
    table.next_search(keep=True)
    assert table.age == table.since == 1
    assert not table.entries.view(np.uint8).any()


def test_proven_scores_are_counted_from_the_node() -> None:
    table = tt.Table(1)
    table.next_search(keep=False)
    entry(table, 5, 1, 100_000_000 - 50_000, choices_=3)
    at = tt.find(table.entries, 5, table.since)
    assert table.entries[at]["score"] == 100_000_000 - 20_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "players", "multi", "width", "depth"),
    [
        ("square8", 2, "paranoid", 0, 4),
        ("square8", 2, "paranoid", 6, 4),
        ("square8", 3, "paranoid", 0, 3),
        ("hex8", 4, "brs", 0, 3),
        ("hex8", 3, "maxn", 0, 2),
        ("hex8", 3, "maxn", 5, 3),
    ],
)
def test_the_table_changes_no_value(
    board: str, players: int, multi: str, width: int, depth: int
) -> None:
    spec = BoardSpec.create(board, players)
    leaf = heuristic_leaf(default_profile(spec.config), full=False)
    without, with_, tiny = (
        agent(spec, leaf, multi=multi, width=width, q=4, tt_mb=mb) for mb in (0, 8, 1)
    )
    tiny._table.entries = tiny._table.entries[:8]  # nearly every entry is replaced
    tiny._search = tiny._search._replace(table=tiny._table.entries)
    saved = 0
    small = [p for p in choices(spec, 40, seed=9) if len(p.legal_packed()) <= 25][:6]
    for position in small:
        for at in range(1, depth + 1):
            plain = decide(without, position, depth=at)
            tabled = decide(with_, position, depth=at)
            assert plain.value == tabled.value == decide(tiny, position, depth=at).value
        saved += plain.nodes - tabled.nodes
    assert saved > 0 or players > 2  # positions seldom meet again within a turn of three seats
