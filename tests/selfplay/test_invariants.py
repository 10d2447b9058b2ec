"""Breaches of the rules' invariants end a game with their name; sound games have none."""

from __future__ import annotations

from typing import Any

import pytest

from ringrift.rules import BoardSpec
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.lockstep import Table
from ringrift.selfplay.shelf import AgentShelf

from .jobs import SQUARE8, job


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 4)])
def test_sound_games_are_the_same_with_the_checks_on(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    plans = selfplay_plans(spec, range(20), 5)
    checked = job("random", spec=spec, max_plies=1200, check_invariants=True)
    found = {r.id for r, _ in play_here(checked, plans)}
    assert found == {r.id for r, _ in play_here(job("random", spec=spec, max_plies=1200), plans)}


def shrink(table: Table, field: str) -> None:
    table._watches[field][0] += 1000


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("sum", "INV-S-MONOTONIC"),
        ("elim", "INV-ELIMINATION-MONOTONIC"),
        ("rings", "INV-RING-CONSERVATION"),
        ("low", "INV-HASH"),
    ],
)
def test_a_breach_ends_its_own_game_at_its_ply(field: str, name: str) -> None:
    j = job("random", check_invariants=True)
    table = Table(j, AgentShelf().agents(j), 2)
    for plan in selfplay_plans(SQUARE8, range(2), 5):
        table.start(plan)
    for _ in range(10):
        assert table.step() == []
    before = int(table._plies[0])
    shrink(table, field)
    (record, _), *others = table.step()
    assert not others
    assert (record.result.end, record.result.reason) == ("aborted", f"abort:{name}")
    assert record.result.plies == before + (name != "INV-HASH")
    found: list[Any] = []
    while table.busy:
        found += table.step()
    assert [r.result.end for r, _ in found] == ["game_over"]


def test_a_tally_that_is_wrong_shows() -> None:
    j = job("random", check_invariants=True)
    table = Table(j, AgentShelf().agents(j), 1)
    table.start(selfplay_plans(SQUARE8, range(1), 5)[0])
    for _ in range(10):
        table.step()
    table._states["hand"][0, 1] -= 1
    (record, _) = table.step()[0]
    assert record.result.reason == "abort:INV-HASH"
