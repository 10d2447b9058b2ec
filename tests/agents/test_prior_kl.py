"""How far a search's policy went from its prior, against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ringrift.agents.evaluators import ConstantEvaluator, HeuristicEvaluator
from ringrift.agents.gumbel import GumbelAgent, GumbelOptions
from ringrift.agents.mcts import MctsAgent, MctsOptions
from ringrift.agents.protocol import Batch, Budget, Decision, Evaluator, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables

from .games import HashedEvaluator, batch_of, choices, random_game

SPEC = BoardSpec.create("square8")
NAME = ResolvedSpec(text="test", agent_hash="0" * 64)


def divergence(evaluator: Evaluator, batch: Batch, i: int, decision: Decision) -> float:
    """Sum `p ln(p / prior)` over the legal moves, the prior straight from the evaluator."""
    assert decision.policy is not None
    moves = np.array([move for move, _ in decision.policy], np.int64)
    bounds = np.array([0, len(moves)], np.int32)
    boards = board_tables(SPEC)
    logits, _ = evaluator.evaluate(batch.states[i : i + 1], boards, moves, bounds)
    weights = [math.exp(x - float(logits.max())) for x in logits.tolist()]
    priors = [w / sum(weights) for w in weights]
    shares = [share for _, share in decision.policy]
    return sum(p * math.log(p / q) for p, q in zip(shares, priors, strict=True) if p > 0)


def mcts(evaluator: Evaluator, noise: float) -> MctsAgent:
    return MctsAgent(NAME, SPEC, evaluator, MctsOptions(sims=40, noise=noise))


def gumbel(evaluator: Evaluator, noise: float) -> GumbelAgent:
    options = GumbelOptions(sims=40, scale=4 * noise, c_scale=0.3)
    return GumbelAgent(NAME, SPEC, evaluator, options)


@pytest.mark.parametrize("search", [mcts, gumbel])
@pytest.mark.parametrize("noise", [0.0, 0.25])
@pytest.mark.parametrize("kind", [HashedEvaluator, HeuristicEvaluator, ConstantEvaluator])
def test_the_divergence_is_from_the_prior_without_noise(search, noise, kind) -> None:  # type: ignore[no-untyped-def]
    evaluator = kind(SPEC)
    positions = choices(SPEC, 12, seed=3)
    batch = batch_of(positions)
    found = search(evaluator, noise).choose(batch, Budget(), Rngs())
    for i, decision in enumerate(found):
        assert decision.prior_kl == pytest.approx(divergence(evaluator, batch, i, decision))
    assert max(d.prior_kl for d in found) > 0.05


def test_a_tree_that_is_kept_has_the_prior_of_its_evaluator() -> None:
    evaluator = HashedEvaluator(SPEC)
    agent = mcts(evaluator, 0.25)
    position, resumed = Position.of(SPEC), 0
    for _ in range(12):
        batch = batch_of([position])
        (decision,) = agent.choose(batch, Budget(), Rngs())
        if decision.policy is not None:
            assert decision.prior_kl == pytest.approx(divergence(evaluator, batch, 0, decision))
            resumed += decision.nodes > decision.sims + 1
        position.play(decision.move)
    assert resumed > 0


def test_proofs_and_forced_plies() -> None:
    evaluator = HashedEvaluator(SPEC)
    late = [p for seed in range(4) for p in random_game(SPEC, seed)[-8:-1]]
    batch = batch_of(late)
    found = gumbel(evaluator, 0.0).choose(batch, Budget(), Rngs())
    kinds = set()
    for i, decision in enumerate(found):
        kinds.add(decision.kind)
        if decision.kind == "forced":
            assert decision.prior_kl is None
        else:
            assert decision.prior_kl == pytest.approx(divergence(evaluator, batch, i, decision))
    assert kinds == {"forced", "full"}
