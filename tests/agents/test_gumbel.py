"""Gumbel search: the same trees as the plain-Python reference, and what a search must be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ringrift.agents import streams, tree
from ringrift.agents.evaluators import ConstantEvaluator, HeuristicEvaluator
from ringrift.agents.gumbel import GumbelAgent, GumbelOptions
from ringrift.agents.protocol import Batch, Budget, Decision, Evaluator, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay

from .games import SMALL, HashedEvaluator, batch_of, choices
from .reference import Search, considered_sequence

NAME = ResolvedSpec(text="gumbel:eval=test", agent_hash="0" * 64)


def agent(spec: BoardSpec, evaluator: Evaluator | None = None, **options: Any) -> GumbelAgent:
    return GumbelAgent(NAME, spec, evaluator or HashedEvaluator(spec), GumbelOptions(**options))


def search(
    spec: BoardSpec, batch: Batch, evaluator: Evaluator | None = None, **options: Any
) -> list[Decision]:
    return agent(spec, evaluator, **options).choose(batch, Budget(), Rngs())


def gumbel_noise(position: Position, seed: int, scale: float) -> list[float]:
    misc = position._states[0]["misc"]
    rng, ply, seat = Rngs(), int(misc[lay.PLY]), int(misc[lay.CUR])
    count = len(position.legal_packed())
    return [-math.log(-math.log(rng.uniform(seed, ply, seat, j))) * scale for j in range(count)]


@pytest.mark.parametrize(
    ("considered", "sims"), [(1, 5), (2, 9), (16, 16), (16, 50), (5, 33), (7, 3), (13, 200)]
)
def test_the_plan_of_sequential_halving_is_that_of_mctx(considered: int, sims: int) -> None:
    assert tree.halving(considered, sims).tolist() == considered_sequence(considered, sims)


@pytest.mark.parametrize(
    ("board", "players", "sims", "options"),
    [
        ("square8", 2, 40, {"m": 8, "scale": 1.0, "c_scale": 0.1}),
        ("square8", 2, 40, {"m": 16, "scale": 0.0, "c_scale": 1.0}),
        ("square8", 3, 40, {"m": 8, "scale": 1.0, "c_scale": 0.05}),
        ("hex8", 4, 30, {"m": 4, "scale": 0.5, "c_scale": 0.3, "c_visit": 20.0}),
        ("hexagonal", 2, 20, {"m": 6, "scale": 1.0, "c_scale": 0.1}),
    ],
)
def test_trees_equal_those_of_the_reference(
    board: str, players: int, sims: int, options: dict[str, float]
) -> None:
    """A low `c_scale` makes deep, even trees, a high one narrow ones."""
    spec = BoardSpec.create(board, players)
    evaluator = HashedEvaluator(spec)
    positions = choices(spec, 6 if board == "hexagonal" else 16, seed=5)
    found = search(spec, batch_of(positions), evaluator, sims=sims, **options)
    o = GumbelOptions(sims=sims, **options)
    reference = Search(evaluator, m=o.m, c_visit=o.c_visit, c_scale=o.c_scale)
    deepest = 0
    for seed, (position, decision) in enumerate(zip(positions, found, strict=True)):
        wanted = reference.run(position, sims, gumbel_noise(position, seed, o.scale))
        assert dict(decision.visits) == wanted["visits"]
        assert decision.move == wanted["move"]
        assert decision.value == pytest.approx(wanted["value"], abs=1e-9)
        assert dict(decision.policy) == pytest.approx(wanted["policy"], abs=1e-9)
        deepest = max(deepest, decision.depth)
    assert deepest >= 3


@pytest.mark.parametrize(("board", "players"), SMALL)
def test_a_decision_does_not_depend_on_its_batch(board: str, players: int) -> None:
    """The evaluator here answers a position alike in every batch; nets promise so (nets tests)."""
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 64)
    evaluator = HeuristicEvaluator(spec)
    player = agent(spec, evaluator, sims=24, m=8)

    def timeless(decisions: list[Decision]) -> list[tuple[Any, ...]]:
        return [
            (d.move, d.policy, d.value, d.raw_value, d.visits, d.pv, d.depth, d.nodes)
            for d in decisions
        ]

    together = timeless(player.choose(batch_of(positions), Budget(), Rngs()))
    alone = [
        timeless(search(spec, batch_of([p], [i]), evaluator, sims=24, m=8))[0]
        for i, p in enumerate(positions)
    ]
    order = np.random.default_rng(0).permutation(64).tolist()
    shuffled = timeless(
        player.choose(batch_of([positions[i] for i in order], order), Budget(), Rngs())
    )
    assert together == alone
    assert [together[i] for i in order] == shuffled
    assert (
        timeless(player.choose(batch_of(positions), Budget(), Rngs())) == together
    )  # arrays reused


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3), ("square19", 4)])
def test_what_holds_for_every_decision(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 24)
    for position, d in zip(positions, search(spec, batch_of(positions), sims=33, m=8), strict=True):
        legal = position.legal_packed().tolist()
        assert [move for move, _ in d.policy] == legal
        assert sum(p for _, p in d.policy) == pytest.approx(1, abs=1e-9)
        assert min(p for _, p in d.policy) >= 0
        assert d.move in legal
        assert sum(n for _, n in d.visits) == d.sims == 33
        assert sum(d.value) == pytest.approx(0, abs=1e-6)
        assert max(map(abs, d.value)) <= 1
        assert d.nodes <= 34
        line = position.copy()
        for move in d.pv:
            line.play(move)
        assert d.pv[0] == d.move


def test_budgets_per_position() -> None:
    spec = BoardSpec.create("square8")
    positions = choices(spec, 3)
    budgets = [Budget(sims=5, kind="cheap"), Budget(), Budget(sims=64)]
    player = agent(spec, sims=16, m=4)
    found = player.choose(batch_of(positions), budgets, Rngs())
    assert [(d.sims, d.kind) for d in found] == [(5, "cheap"), (16, "full"), (64, "full")]
    for i in range(3):
        (single,) = player.choose(batch_of([positions[i]], [i]), budgets[i], Rngs())
        assert (single.move, single.visits) == (found[i].move, found[i].visits)
    with pytest.raises(UsageError, match="not in depth or time"):
        player.choose(batch_of(positions), Budget(time_ms=5), Rngs())
    with pytest.raises(UsageError, match="2 budgets"):
        player.choose(batch_of(positions), budgets[:2], Rngs())


def test_noise_explores_and_its_absence_does_not() -> None:
    spec = BoardSpec.create("square8")
    position = choices(spec, 1, seed=9)[0]
    batch = batch_of([position] * 40)
    constant = ConstantEvaluator(spec)
    assert len({d.move for d in search(spec, batch, constant, sims=4, scale=1.0)}) > 5
    assert len({d.move for d in search(spec, batch, constant, sims=4, scale=0.0)}) == 1
    other = agent(spec, constant, sims=4).choose(batch, Budget(), Rngs(streams.MATCH))
    same = search(spec, batch, constant, sims=4)
    assert [d.move for d in other] != [d.move for d in same]


class Broken(ConstantEvaluator):
    """Returns one number that is none."""

    def __init__(self, spec: BoardSpec, *, at: int, logits: bool) -> None:
        super().__init__(spec)
        self.calls, self.at, self.logits = 0, at, logits

    def evaluate(self, *inputs: Any) -> tuple[Any, Any]:
        logits, values = super().evaluate(*inputs)
        self.calls += 1
        if self.calls > self.at:
            (logits if self.logits else values).ravel()[-1] = np.nan if self.logits else np.inf
        return logits, values


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize("at", [0, 3])
def test_an_evaluator_that_fails_is_an_error(at: int, logits: bool) -> None:
    spec = BoardSpec.create("square8")
    with pytest.raises(DataError, match="not finite"):
        search(spec, batch_of(choices(spec, 4)), Broken(spec, at=at, logits=logits), sims=8)


class Extreme(ConstantEvaluator):
    """Logits so far apart that the priors of most moves vanish."""

    def evaluate(self, states: Any, boards: Any, moves: Any, offsets: Any) -> tuple[Any, Any]:
        logits, values = super().evaluate(states, boards, moves, offsets)
        logits[:] = -1e30
        logits[offsets[:-1]] = 1e30
        return logits, values


def test_extreme_logits_are_survived() -> None:
    spec = BoardSpec.create("square8")
    for d in search(spec, batch_of(choices(spec, 8)), Extreme(spec), sims=40, c_scale=1000.0):
        assert sum(p for _, p in d.policy) == pytest.approx(1)
        assert all(math.isfinite(p) for _, p in d.policy)


def test_trees_grow_beyond_their_first_arrays() -> None:
    """Placements on a large board have hundreds of moves per node."""
    spec = BoardSpec.create("hexagonal", 2)
    start = Position.of(spec)
    player = agent(spec, ConstantEvaluator(spec), sims=30, m=16)
    player.choose(batch_of([start] * 2), Budget(), Rngs())
    assert player._forest.edges.shape[1] > 30 * 500
    fresh = search(spec, batch_of([start] * 2), ConstantEvaluator(spec), sims=30, m=16)
    again = player.choose(batch_of([start] * 2), Budget(), Rngs())
    assert [d.visits for d in again] == [d.visits for d in fresh]
