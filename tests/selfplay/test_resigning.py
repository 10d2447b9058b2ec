"""Decided games: the trigger, soft and hard resignation, audits and the threshold."""

from __future__ import annotations

from typing import Any

import pytest

from ringrift.records.record import GameRecord
from ringrift.records.verify import verify
from ringrift.selfplay.control import Resignation, SearchControl
from ringrift.selfplay.findings import SOFT_FROM
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.plans import Played
from ringrift.selfplay.resigning import AUDITED, Audit, audit, raised, trigger

from .jobs import SQUARE8, job

SPEC = "gumbel:eval=heuristic,m=4,sims=40"
GAMES = 16


def play(**rule: Any) -> dict[int, Played]:
    control = SearchControl(resign=Resignation(threshold=0.5, plies=3, **rule))
    plans = selfplay_plans(SQUARE8, range(GAMES), 21)
    found = {}
    for record, analyses in play_here(job(SPEC, control=control), plans):
        assert record.meta.index is not None
        verify(record, analyses[0])
        found[record.meta.index] = (record, analyses)
    return found


def at(record: GameRecord) -> tuple[int, int] | None:
    for tag in record.meta.tags:
        if tag.startswith("resign:at="):
            ply, seat = tag.removeprefix("resign:at=").split(":")
            return int(ply), int(seat)
    return None


@pytest.fixture(scope="module")
def off() -> dict[int, Played]:
    return play(mode="off")


def test_the_trigger_wants_one_seat_above_the_threshold_in_a_row() -> None:
    found = trigger(Resignation(mode="soft", threshold=0.9, plies=3, audit=0), 1)
    for ply, first in enumerate([0.95, 0.95, 0.9, 0.95, 0.95]):
        assert not found.see(ply, (first, -first))
    assert not found.see(5, (-0.95, 0.95))  # another seat
    assert not found.see(6, (-0.95, 0.95))
    assert found.see(7, (-0.95, 0.95))
    assert (found.ply, found.seat, found.soft_from, found.loser) == (7, 2, 8, None)
    assert not found.see(8, (-0.95, 0.95))
    assert found.tags == ["resign:at=7:2"]


def test_soft_resignation_searches_less_and_plays_on(off: dict[int, Played]) -> None:
    soft, fell = play(mode="soft", audit=0.3), 0
    for index, (record, (analysis,)) in soft.items():
        place = at(record)
        assert record.result.end == "game_over"
        if AUDITED in record.meta.tags:
            assert record.moves == off[index][0].moves
            assert SOFT_FROM not in analysis.budget
            continue
        if place is None:
            continue
        fell += 1
        before = off[index][0]
        assert record.moves[: place[0] + 1] == before.moves[: place[0] + 1]
        assert analysis.budget[SOFT_FROM] == place[0] + 1
        for ply in analysis.plies:
            limit = 40 if ply.ply <= place[0] else 10
            assert ply.sims == limit or (ply.sims < limit and max(ply.root_value) == 1)
    assert fell >= 4


def test_hard_resignation_ends_the_game_for_the_best_seat(off: dict[int, Played]) -> None:
    hard, ended = play(mode="hard", audit=0.3), 0
    for index, (record, _) in hard.items():
        place = at(record)
        audited = AUDITED in record.meta.tags
        if place is None or audited:
            assert record.moves == off[index][0].moves
            continue
        ended += 1
        assert (record.result.end, record.result.reason) == ("resigned", "resignation")
        assert record.result.winner == place[1]
        assert len(record.moves) == place[0]
        assert record.moves == off[index][0].moves[: place[0]]
    assert ended >= 4
    audits = [record for record, _ in hard.values() if AUDITED in record.meta.tags]
    assert audits
    wrong = [r for r in audits if at(r) is not None and r.result.winner != at(r)[1]]  # type: ignore[index]
    assert audit(r for r, _ in hard.values()) == Audit(
        games=sum(at(r) is not None for r in audits), wrong=len(wrong)
    )


def test_the_share_of_audits() -> None:
    rule = Resignation(mode="soft", audit=0.1)
    share = sum(trigger(rule, seed).audited for seed in range(4000)) / 4000
    assert share == pytest.approx(0.1, abs=0.02)
    assert not any(trigger(Resignation(audit=1.0), seed).audited for seed in range(10))


def test_wrong_audits_raise_the_threshold() -> None:
    rule = Resignation(mode="soft")
    assert raised(rule, Audit(games=100, wrong=5)) is rule
    assert raised(rule, Audit(games=100, wrong=6)).threshold == 0.96
    assert raised(rule, Audit()) is rule
    top = Resignation(mode="soft", threshold=0.995)
    assert raised(top, Audit(games=1, wrong=1)).threshold == 0.995
