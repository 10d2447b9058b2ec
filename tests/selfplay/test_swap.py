"""The pie rule in self-play: the offer is answered, and agents move with their identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ringrift.agents.protocol import Batch, Budget, Rngs
from ringrift.agents.swapping import OfferDecision, without_swap
from ringrift.records.record import GameRecord
from ringrift.records.verify import verify
from ringrift.rules import BoardSpec, Position
from ringrift.rules.moves import SWAP
from ringrift.selfplay.control import SearchControl
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.openings import Openings
from ringrift.selfplay.plans import GamePlan, PlayJob
from ringrift.selfplay.shelf import AgentShelf

from .jobs import SEARCH, job

PIE = BoardSpec.create("square8", swap_rule=True)
QUIET = Openings(choices=(0, 0))


def swap_job(*agents: str, probability: float | None = None, **fields: Any) -> PlayJob:
    control = SearchControl(swap_probability=probability)
    return job(*agents, spec=PIE, control=control, **fields)


def plans_of(games: int, openings: Openings = QUIET, agents: int = 1) -> list[GamePlan]:
    return selfplay_plans(PIE, range(games), 11, openings=openings, agents=agents)


def played(j: PlayJob, plans: Sequence[GamePlan]) -> list[GameRecord]:
    found = []
    for record, analyses in play_here(j, plans):
        verify(record, analyses[0] if analyses else None)
        assert [ply for ply, mark in record.marks.items() if mark == "swap"] == [
            ply for ply, move in enumerate(record.moves) if move == SWAP
        ]
        found.append(record)
    return sorted(found, key=lambda r: r.meta.index or 0)


@pytest.mark.parametrize("openings", [QUIET, Openings(choices=(5, 5))])
def test_an_offer_is_accepted_by_lot(openings: Openings) -> None:
    accepted = 0
    for record in played(swap_job("random", probability=0.5), plans_of(60, openings)):
        swapped = record.moves.count(SWAP)
        accepted += swapped
        word = "accepted" if swapped else "declined"
        assert record.meta.tags == (f"swap:{word}:random",)
        randoms = sum(mark == "random" for mark in record.marks.values())
        assert randoms == openings.choices[0]
    assert 18 <= accepted <= 42
    always = played(swap_job("random", probability=1.0), plans_of(4, openings))
    never = played(swap_job("random", probability=0.0), plans_of(4, openings))
    assert [r.moves.count(SWAP) for r in always + never] == [1] * 4 + [0] * 4


def test_after_the_swap_each_agent_moves_for_its_new_seat() -> None:
    j = swap_job("random", "heuristic", probability=1.0)
    agents = AgentShelf().agents(j)
    for record in played(j, plans_of(6, agents=2)):
        assert record.agents_at_end == record.agents[::-1]
        assert record.agents[0].kind == ("random", "heuristic")[(record.meta.index or 0) % 2]
        by_kind = {agent.spec.kind: agent for agent in agents}
        position, order = Position.of(PIE), record.agents
        for move in record.moves:
            if move == SWAP:
                order = order[::-1]
            elif len(position.legal_packed()) > 1:
                agent = by_kind[order[position.current_player - 1].kind]
                states = np.array([position.record()])
                batch = Batch(without_swap(PIE), states, [record.seed])
                assert agent.choose(batch, Budget(), Rngs())[0].move == move
            position.play(move)


def test_the_better_agent_wins_from_either_seat_of_a_swapped_game() -> None:
    records = played(swap_job("random", "heuristic", probability=1.0), plans_of(20, agents=2))
    wins = [r.agents_at_end[r.result.winner - 1].kind for r in records if r.result.winner]
    assert wins.count("heuristic") >= 15
    by_seat = [r.agents[r.result.winner - 1].kind for r in records if r.result.winner]
    assert by_seat.count("random") >= 15  # what reading the seats of the start would say


@pytest.mark.parametrize("openings", [QUIET, Openings(choices=(4, 4))])
def test_the_agent_decides_and_its_values_are_recorded(openings: Openings) -> None:
    answers = []
    for record in played(swap_job(SEARCH), plans_of(24, openings)):
        tags = [tag for tag in record.meta.tags if tag.startswith("swap:")]
        assert len(tags) == 1
        _, word, first, second, margin = tags[0].split(":")
        assert margin == "margin=0.02"
        assert (float(first) - float(second) > 0.02) == (word == "accepted")
        assert record.moves.count(SWAP) == (word == "accepted")
        answers.append(word)
    assert set(answers) == {"accepted", "declined"}


def test_a_swap_in_an_opening_moves_the_agents_too() -> None:
    first = next(record for record in played(swap_job("random", probability=1.0), plans_of(1)))
    opening = first.moves[: first.moves.index(SWAP) + 1]
    plans = [GamePlan(index=0, seed=3, seats=(0, 1), opening=opening)]
    record, _ = next(play_here(swap_job("random", "heuristic"), plans))
    assert record.marks[len(opening) - 1] == "swap"
    assert record.agents_at_end == record.agents[::-1]


def test_an_offer_decision_keeps_its_policy_where_it_declines() -> None:
    j = swap_job(SEARCH)
    for record, analyses in play_here(j, plans_of(12)):
        verify(record, analyses[0])
        at = next(p for p in range(len(record.moves)) if _offered(record, p))
        searched = {p.ply: p for p in analyses[0].plies}
        assert (at in searched) == (record.moves[at] != SWAP)
        assert at not in searched or SWAP not in searched[at].policy


def _offered(record: GameRecord, ply: int) -> bool:
    position = Position.of(record.spec)
    for move in record.moves[:ply]:
        position.play(move)
    return SWAP in position.legal_packed()


def test_offers_are_answered_once() -> None:
    agent = AgentShelf().agents(swap_job(SEARCH))[0]
    record = played(swap_job(SEARCH), plans_of(1))[0]
    at = next(p for p in range(len(record.moves)) if _offered(record, p))
    position = Position.of(PIE)
    for move in record.moves[:at]:
        position.play(move)
    batch = Batch(PIE, np.array([position.record()]), [record.seed])
    assert isinstance(agent.choose(batch, Budget(), Rngs())[0], OfferDecision)
