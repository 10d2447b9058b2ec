"""Answer the swap offer of the pie rule (rules.md 18, `agents.md` 1).

`SW` only exchanges who sits where: in a search tree it would be a move that changes nothing. So
agents search every position as if the rule were off, and at an offer the values found say whether
seat 1 stands better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.protocol import Agent, Batch, Budgets, Decision, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import DataError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.moves import SWAP

SWAP_MARGIN = 0.02
RANDOM_SWAPS = 0.5

_DRAW = 18 << 8
"""Stream of the random agent's answer, beside the purposes of `streams`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOffer:
    """How an offer was answered: the value of each seat without `SW`, and the margin.

    `values` is None where nothing was weighed: the random agent draws.
    """

    values: tuple[float, float] | None
    margin: float
    swapped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferDecision(Decision):
    """The decision at a swap offer, with what it follows from.

    Its policy is that of the search without `SW`, None where it swaps.
    """

    offer: SwapOffer


def without_swap(spec: BoardSpec) -> BoardSpec:
    """Return the specification of the same game without the pie rule."""
    return replace(spec, swap_rule=False) if spec.swap_rule else spec


def swap_offers(spec: BoardSpec, states: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell in which positions `SW` is legal, `bool[n]`: player 2's first ply (rules.md 18)."""
    if not spec.swap_rule or spec.players != 2:
        return np.zeros(len(states), np.bool_)
    m = states["misc"]
    first = (m[:, lay.CUR] == 2) & (m[:, lay.PHASE] == lay.PLACEMENT) & (m[:, lay.MOVED] == 2)
    return np.asarray(first)


class SwapAware:
    """An agent for games with the pie rule, made of one that knows nothing of it.

    `inner` plays `without_swap(board)` and never sees `SW`. `scorer` gives the values where the
    inner agent's decisions have none.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        board: BoardSpec,
        inner: Agent,
        *,
        margin: float = SWAP_MARGIN,
        scorer: HeuristicAgent | None = None,
    ) -> None:
        self.spec = spec
        self.board = board
        self.inner = inner
        self.margin = margin
        self._scorer = scorer
        self._plain = without_swap(board)
        self._draws = spec.kind == "random" or inner.spec.kind == "random"

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; see `Agent.choose`."""
        plain = Batch(self._plain, positions.states, positions.seeds)
        decisions = self.inner.choose(plain, budget, rng)
        offers = np.flatnonzero(swap_offers(positions.spec, positions.states)).tolist()
        if not offers:
            return decisions
        if self._draws:
            answers = [self._drawn(int(positions.seeds[i]), rng) for i in offers]
        else:
            answers = self._weighed(plain, offers, [decisions[i] for i in offers], rng)
        for i, answer in zip(offers, answers, strict=True):
            decisions[i] = _answered(decisions[i], answer)
        return decisions

    def _drawn(self, seed: int, rng: Rngs) -> SwapOffer:
        draw = Rngs(rng.purpose | _DRAW).uniform(seed, 0, 2)
        return SwapOffer(values=None, margin=self.margin, swapped=draw < RANDOM_SWAPS)

    def _weighed(
        self, plain: Batch, places: Sequence[int], decisions: Sequence[Decision], rng: Rngs
    ) -> list[SwapOffer]:
        answers = []
        for i, decision in zip(places, decisions, strict=True):
            found = (
                decision.value
                if decision.value is not None
                else self._scored(plain, i, rng.purpose)
            )
            first, second = found[0], found[1]
            answers.append(
                SwapOffer(
                    values=(first, second),
                    margin=self.margin,
                    swapped=first - second > self.margin,
                )
            )
        return answers

    def _scored(self, plain: Batch, i: int, purpose: int) -> tuple[float, ...]:
        """Return the values after the best move of an agent that looks one ply ahead."""
        if self._scorer is None:
            raise DataError(f"{self.spec.text}: no value at a swap offer")
        one = Batch(plain.spec, plain.states[i : i + 1], plain.seeds[i : i + 1])
        best = float(self._scorer.scores(one, purpose)[0].max())
        return -best, best


def _answered(decision: Decision, answer: SwapOffer) -> OfferDecision:
    kept = {field.name: getattr(decision, field.name) for field in fields(Decision)}
    if answer.swapped:
        kept.update(move=SWAP, policy=None, prior_kl=None, visits=None, pv=(SWAP,))
    return OfferDecision(**kept, offer=answer)
