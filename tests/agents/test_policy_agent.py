"""The policy agent: moves drawn from the evaluator's policy, and nothing else."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from ringrift.agents.evaluators import ConstantEvaluator, HeuristicEvaluator
from ringrift.agents.listing import legal_lists
from ringrift.agents.policy_agent import PolicyAgent, entropy
from ringrift.agents.protocol import Budget, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.agents.temperature import create_scheduler
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

from .games import SMALL, HashedEvaluator, batch_of, choices, random_game

NAME = ResolvedSpec(text="policy:test", agent_hash="0" * 64)


def agent(spec: BoardSpec, evaluator: Any = None, *, tau: float = 1.0, **more: Any) -> PolicyAgent:
    return PolicyAgent(NAME, spec, evaluator or HashedEvaluator(spec), tau=tau, **more)


def answers(evaluator: Any, position: Position) -> tuple[list[float], list[float]]:
    moves, offsets = legal_lists(position.spec, position._states)
    logits, values = evaluator.evaluate(
        position._states, board_tables(position.spec), moves, offsets
    )
    return [float(x) for x in logits], [float(v) for v in values[0]]


@pytest.mark.parametrize("tau", [0.1, 1.0, 3.0])
@pytest.mark.parametrize(("board", "players"), SMALL)
def test_the_policy_is_the_softmax_of_the_logits(board: str, players: int, tau: float) -> None:
    spec = BoardSpec.create(board, players)
    evaluator = HashedEvaluator(spec)
    positions = choices(spec, 16)
    decisions = agent(spec, tau=tau).choose(batch_of(positions), Budget(), Rngs())
    for position, d in zip(positions, decisions, strict=True):
        logits, values = answers(evaluator, position)
        weights = [math.exp(x / tau) for x in logits]
        expected = [x / sum(weights) for x in weights]
        assert [m for m, _ in d.policy] == position.legal_packed().tolist()
        assert [p for _, p in d.policy] == pytest.approx(expected, abs=1e-9)
        assert sum(p for _, p in d.policy) == pytest.approx(1, abs=1e-9)
        assert d.value == d.raw_value == pytest.approx(values)
        assert d.move in position.legal_packed()


def test_moves_are_drawn_with_their_probability() -> None:
    spec = BoardSpec.create("square8")
    position = next(p for p in choices(spec, 40) if 4 <= len(p.legal_packed()) <= 12)
    n = 4000
    decisions = agent(spec).choose(batch_of([position] * n), Budget(), Rngs())
    seen = Counter(d.move for d in decisions)
    policy = dict(decisions[0].policy)
    chi2 = sum((seen[m] - n * p) ** 2 / (n * p) for m, p in policy.items())
    assert chi2 < 40  # at most 11 degrees of freedom: p < 0.0001


@pytest.mark.parametrize("tau", [0.0, 0.01])
def test_up_to_a_hundredth_the_best_is_taken(tau: float) -> None:
    spec = BoardSpec.create("square8")
    evaluator = HashedEvaluator(spec)
    positions = choices(spec, 24)
    for position, d in zip(
        positions, agent(spec, tau=tau).choose(batch_of(positions), Budget(), Rngs()), strict=True
    ):
        logits, _ = answers(evaluator, position)
        assert d.move == position.legal_packed()[int(np.argmax(logits))]
        assert dict(d.policy)[d.move] == 1
    batch = batch_of([positions[0]] * 60)
    even = agent(spec, ConstantEvaluator(spec), tau=tau).choose(batch, Budget(), Rngs())
    legal = len(positions[0].legal_packed())
    assert len({d.move for d in even}) > min(legal, 4) - 1  # equals are drawn from
    assert [p for _, p in even[0].policy] == pytest.approx([1 / legal] * legal)


@pytest.mark.parametrize(("board", "players"), SMALL)
def test_a_decision_does_not_depend_on_its_batch(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 64)
    evaluator = HeuristicEvaluator(spec)
    player = agent(spec, evaluator, schedule=create_scheduler("adaptive", noise=0.3))

    def decide(places: list[int]) -> list[tuple[Any, ...]]:
        batch = batch_of([positions[i] for i in places], places)
        found = player.choose(batch, Budget(), Rngs())
        return [(d.move, d.policy, d.value) for d in found]

    together = decide(list(range(64)))
    order = np.random.default_rng(0).permutation(64).tolist()
    assert [decide([i])[0] for i in range(64)] == together
    assert decide(order) == [together[i] for i in order]


def test_a_schedule_sets_the_temperature_of_each_ply() -> None:
    spec = BoardSpec.create("square8")
    positions = choices(spec, 12)
    evaluator = HashedEvaluator(spec)
    scheduler = create_scheduler("default")
    scheduled = agent(spec, schedule=scheduler).choose(batch_of(positions), Budget(), Rngs())
    called = agent(spec, schedule=scheduler.at)
    assert [d.policy for d in called.choose(batch_of(positions), Budget(), Rngs())] == [
        d.policy for d in scheduled
    ]
    plies = [int(p._states[0]["misc"][lay.PLY]) for p in positions]
    assert len(set(plies)) > 6
    for position, ply, d in zip(positions, plies, scheduled, strict=True):
        tau = scheduler.at(ply)
        weights = np.exp(np.array(answers(evaluator, position)[0]) / tau)
        assert [p for _, p in d.policy] == pytest.approx((weights / weights.sum()).tolist())


def test_an_adaptive_schedule_sees_the_position() -> None:
    spec = BoardSpec.create("square8")
    positions = choices(spec, 12)
    evaluator = HashedEvaluator(spec)
    scheduler = create_scheduler("adaptive")
    decisions = agent(spec, schedule=scheduler).choose(batch_of(positions), Budget(), Rngs())
    for position, d in zip(positions, decisions, strict=True):
        logits = np.array(answers(evaluator, position)[0])
        shares = np.exp(logits) / np.exp(logits).sum()
        state = {"legal_count": len(logits), "policy_entropy": -(shares * np.log(shares)).sum()}
        tau = scheduler.at(int(position._states[0]["misc"][lay.PLY]), game_state=state)
        weights = np.exp(logits / tau)
        assert [p for _, p in d.policy] == pytest.approx((weights / weights.sum()).tolist())


def test_entropy_is_in_nats() -> None:
    assert entropy(np.zeros(8, np.float32)) == pytest.approx(math.log(8))
    assert entropy(np.array([0.0, -1e4], np.float32)) == pytest.approx(0)


class Broken(ConstantEvaluator):
    """Returns one number that is none."""

    def __init__(self, spec: BoardSpec, *, logits: bool) -> None:
        super().__init__(spec)
        self.logits = logits

    def evaluate(self, *inputs: Any) -> tuple[Any, Any]:
        logits, values = super().evaluate(*inputs)
        (logits if self.logits else values).ravel()[-1] = np.nan
        return logits, values


@pytest.mark.parametrize("logits", [True, False])
def test_an_evaluator_that_fails_is_an_error(logits: bool) -> None:
    spec = BoardSpec.create("square8")
    with pytest.raises(DataError, match="not finite"):
        agent(spec, Broken(spec, logits=logits)).choose(
            batch_of(choices(spec, 4)), Budget(), Rngs()
        )


def test_forced_plies_are_not_evaluated_and_keep_their_place() -> None:
    spec = BoardSpec.create("square8")
    game = random_game(spec, 1)[:-1]
    decisions = agent(spec).choose(batch_of(game), Budget(), Rngs())
    kinds = {"forced": 0, "full": 0}
    for position, d in zip(game, decisions, strict=True):
        legal = position.legal_packed().tolist()
        kinds[d.kind] += 1
        assert d.move in legal
        assert (d.kind == "forced") == (len(legal) == 1) == (d.policy is None)
    assert min(kinds.values()) > 5
    alone = [p for p in game if len(p.legal_packed()) == 1]
    only = agent(spec, Broken(spec, logits=True)).choose(batch_of(alone), Budget(), Rngs())
    assert {d.kind for d in only} == {"forced"}


def test_what_cannot_be_played_is_refused() -> None:
    spec = BoardSpec.create("square8")
    with pytest.raises(UsageError, match="tau is -1"):
        agent(spec, tau=-1)
    with pytest.raises(UsageError, match="plays square8_2p, not hex8_2p"):
        agent(spec).choose(batch_of(choices(BoardSpec.create("hex8"), 1)), Budget(), Rngs())
    with pytest.raises(UsageError, match="the schedule gives nan"):
        agent(spec, schedule=lambda _: float("nan")).choose(
            batch_of(choices(spec, 1)), Budget(), Rngs()
        )
