"""What the table plays in stretches of compiled code is what the heuristic's `choose` plays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.protocol import Agent
from ringrift.records.record import GameRecord
from ringrift.records.verify import build_record, verify
from ringrift.rules import BoardSpec
from ringrift.selfplay import stretches
from ringrift.selfplay.control import SearchControl
from ringrift.selfplay.generator import selfplay_plans
from ringrift.selfplay.lockstep import Table
from ringrift.selfplay.openings import Openings
from ringrift.selfplay.plans import GamePlan, PlayJob
from ringrift.selfplay.shelf import AgentShelf

from .jobs import SQUARE8, job
from .test_invariants import shrink

LIGHT = "heuristic:mode=light"
DRAWN = "heuristic:mode=light,tau=0.3,eps=0.1,noise=0.2"


class Asked(HeuristicAgent):
    """The heuristic where it is asked for every choice."""


def asked_for_all(agent: Agent) -> Agent:
    if not isinstance(agent, HeuristicAgent):
        return agent
    a = agent
    return Asked(a.spec, a.weights, a.gain, tau=a.tau, eps=a.eps, noise=a.noise)


def play(j: PlayJob, plans: list[GamePlan], *, asked: bool = False) -> dict[int, GameRecord]:
    agents: list[Agent] = list(AgentShelf().agents(j))
    if asked:
        agents = [asked_for_all(agent) for agent in agents]
    table, waiting, found = Table(j, agents, 5), list(plans), {}
    while waiting or table.busy:
        while waiting and table.free:
            table.start(waiting.pop())
        for record, _ in table.step():
            assert record.meta.index is not None
            found[record.meta.index] = record
    return found


def bare(record: GameRecord) -> GameRecord:
    """Leave out when and how long it was played."""
    return replace(record, meta=replace(record.meta, started=None, ms=None))


@pytest.mark.parametrize("most", [0, 1 << 15])
@pytest.mark.parametrize(
    ("agents", "board", "players"),
    [
        ((LIGHT,), "square8", 2),
        ((DRAWN,), "square8", 2),
        ((LIGHT, "random", DRAWN), "hex8", 3),
        (("heuristic",), "square8", 4),
    ],
)
def test_stretches_are_what_choose_plays(
    agents: tuple[str, ...], board: str, players: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "MOST_SCORED", most)
    spec = BoardSpec.create(board, players)
    control = SearchControl(opening_top_k=3)
    j = job(*agents, spec=spec, max_plies=250, control=control, check_invariants=True)
    plans = [
        replace(plan, tau=0.5 if plan.index % 3 == 0 else None, top_k_choices=plan.index % 4)
        for plan in selfplay_plans(
            spec, range(12), 9, openings=Openings(choices=(0, 4)), agents=len(agents)
        )
    ]
    found, wanted = play(j, plans), play(j, plans, asked=True)
    assert {i: bare(r) for i, r in found.items()} == {i: bare(r) for i, r in wanted.items()}
    assert len({r.id for r in found.values()}) == 12


@pytest.mark.parametrize("max_plies", [32, 37, 500])
def test_a_record_is_the_one_its_replay_makes(max_plies: int) -> None:
    j = job(LIGHT, "random", max_plies=max_plies)
    for record in play(j, selfplay_plans(SQUARE8, range(8), 3, agents=2)).values():
        verify(record)
        assert record == build_record(
            SQUARE8,
            record.seed,
            record.agents,
            record.moves,
            marks=record.marks,
            meta=record.meta,
            max_plies=max_plies,
        )


def test_a_breach_in_a_stretch_ends_its_own_game(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "MOST_SCORED", 0)
    j = job(LIGHT, check_invariants=True)
    plans = selfplay_plans(SQUARE8, range(2), 5)
    table = Table(j, AgentShelf().agents(j), 2)
    for plan in plans:
        table.start(plan)
    for _ in range(5):
        assert table.step() == []
    shrink(table, "rings")
    (broken, _), *others = table.step()
    assert not others
    assert broken.result.reason == "abort:INV-RING-CONSERVATION"
    found: list[Any] = []
    while table.busy:
        found += table.step()
    assert found[0][0].moves == play(j, plans)[1].moves
