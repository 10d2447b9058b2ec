"""The answer to the swap offer (rules.md 18)."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.agents.factory import identify, make_agent
from ringrift.agents.protocol import Agent, Batch, Budget, Budgets, Decision, Rngs
from ringrift.agents.spec import ResolvedSpec, parse_spec, resolve
from ringrift.agents.swapping import OfferDecision, SwapAware, swap_offers, without_swap
from ringrift.core.errors import DataError
from ringrift.rules import BoardSpec, Position
from ringrift.rules.moves import SWAP

from .games import batch_of, choices

PIE = BoardSpec.create("square8", swap_rule=True)
PLAIN = without_swap(PIE)


def offer(board: BoardSpec = PIE, first: str = "P 3,3 1") -> Position:
    """The position after player 1's first turn."""
    position = Position.of(board)
    position.play(first)
    while position.current_player == 1:
        position.play(int(position.legal_packed()[0]))
    return position


class Valued:
    """An agent that has a value for every position, and checks that it never sees an offer."""

    def __init__(self, value: tuple[float, float] | None) -> None:
        self.spec: ResolvedSpec = resolve(parse_spec("heuristic"))
        self.value = value

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        assert not positions.spec.swap_rule
        moves = [
            Position(positions.spec, positions.states[i : i + 1]) for i in range(len(positions))
        ]
        return [Decision(move=int(p.legal_packed()[0]), value=self.value) for p in moves]


def answer(inner: Agent, position: Position, margin: float = 0.02) -> Decision:
    agent = SwapAware(inner.spec, PIE, inner, margin=margin)
    return agent.choose(batch_of([position], [5]), Budget(), Rngs())[0]


def test_offers_are_found_where_the_rules_make_them() -> None:
    position, seen = Position.of(PIE), []
    for _ in range(40):
        offered = SWAP in position.legal_packed()
        assert swap_offers(PIE, position.record().reshape(1)).tolist() == [offered]
        seen.append(offered)
        position.play(int(position.legal_packed()[0]))
    assert sum(seen) == 1
    assert not swap_offers(PLAIN, offer().record().reshape(1)).any()


@pytest.mark.parametrize(
    ("first", "margin", "swaps"),
    [(0.011, 0.02, True), (0.0099, 0.02, False), (-0.5, 0.02, False), (0.011, 0.03, False)],
)
def test_it_swaps_where_seat_1_is_better_by_more_than_the_margin(
    first: float, margin: float, swaps: bool
) -> None:
    decision = answer(Valued((first, -first)), offer(), margin)
    assert isinstance(decision, OfferDecision)
    assert decision.offer.swapped is swaps
    assert decision.offer.values == (first, -first)
    assert decision.offer.margin == margin
    assert (decision.move == SWAP) is swaps
    assert decision.move in offer().legal_packed()


def test_other_positions_are_answered_as_without_the_rule() -> None:
    positions = [Position.of(PIE), *choices(PLAIN, 6)]
    positions[1:] = [p for p in positions[1:] if p.ply > 12]
    batch = batch_of(positions)
    plain = make_agent("heuristic", PLAIN).choose(
        Batch(PLAIN, batch.states, batch.seeds), Budget(), Rngs()
    )
    pie = make_agent("heuristic", PIE).choose(
        Batch(PIE, batch.states, batch.seeds), Budget(), Rngs()
    )
    assert pie == plain
    assert not any(isinstance(decision, OfferDecision) for decision in pie)


def test_an_offer_in_a_batch_is_answered_as_alone() -> None:
    agent = make_agent("gumbel:eval=heuristic,sims=8", PIE)
    opening, after = Position.of(PIE), offer()
    together = agent.choose(batch_of([opening, after], [1, 2]), Budget(), Rngs())
    (alone,) = agent.choose(batch_of([after], [2]), Budget(), Rngs())
    assert together[1].move == alone.move
    assert isinstance(together[1], OfferDecision)
    assert together[1].offer == alone.offer  # type: ignore[attr-defined]


def test_the_heuristic_weighs_its_best_reply() -> None:
    agent = make_agent("heuristic", PIE)
    (decision,) = agent.choose(batch_of([offer()]), Budget(), Rngs())
    assert isinstance(decision, OfferDecision)
    plain = make_agent("heuristic", PLAIN)
    scores = plain.scores(Batch(PLAIN, batch_of([offer()]).states, [0]))[0]  # type: ignore[attr-defined]
    assert decision.offer.values == (-scores.max(), scores.max())


def test_random_swaps_half_the_time() -> None:
    agent, position, n = make_agent("random", PIE), offer(), 2000
    decisions = agent.choose(batch_of([position] * n), Budget(), Rngs())
    share = np.mean([decision.move == SWAP for decision in decisions])
    assert 0.46 < share < 0.54
    again = agent.choose(batch_of([position] * n), Budget(), Rngs())
    assert decisions == again


def test_a_search_without_a_value_does_not_pass_for_an_answer() -> None:
    with pytest.raises(DataError, match="no value at a swap offer"):
        answer(Valued(None), offer())


def test_another_margin_is_another_agent_only_where_offers_are_made() -> None:
    assert identify("heuristic", PIE) == identify("heuristic", PLAIN)
    assert identify("heuristic", PIE, swap_margin=0.1) != identify("heuristic", PIE)
    assert identify("heuristic", PLAIN, swap_margin=0.1) == identify("heuristic", PLAIN)
