"""Gumbel search: the same trees as the plain-Python reference, and what a search must be."""

from __future__ import annotations

import gzip
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringrift.agents import streams
from ringrift.agents.evaluators import ConstantEvaluator, HeuristicEvaluator
from ringrift.agents.gumbel import GumbelAgent, GumbelOptions
from ringrift.agents.protocol import Batch, Budget, Decision, Evaluator, Rngs
from ringrift.agents.search.drawing import Temperature, constant, scheduled
from ringrift.agents.search.gumbel_rules import halving
from ringrift.agents.spec import ResolvedSpec
from ringrift.agents.temperature import create_scheduler
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay

from .games import SMALL, HashedEvaluator, batch_of, choices, random_game
from .reference import GameSearch, TableSearch, considered_sequence
from .table_driver import search_tables
from .table_trees import THREE_PLAYERS, TWO_PLAYERS, Group

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
    assert halving(considered, sims).tolist() == considered_sequence(considered, sims)


@cache
def golden_trees() -> dict[int, dict[str, Any]]:
    """Trees that mctx grew, by the seed of their group: see make_golden_trees."""
    file = Path(__file__).parent / "golden" / "gumbel_trees.json.gz"
    groups = json.loads(gzip.decompress(file.read_bytes()))["groups"]
    return {group["seed"]: group for group in groups}


@pytest.mark.parametrize("group", TWO_PLAYERS, ids=lambda group: f"{group.actions}-{group.sims}")
def test_two_player_trees_equal_the_golden_trees_of_mctx(group: Group) -> None:
    """Node i of a tree is what simulation i added, so parents and actions are the whole sequence."""
    found, golden = search_tables(group), golden_trees()[group.seed]
    for name in ("parents", "actions", "visits", "chosen"):
        assert found[name] == golden[name], name
    assert np.abs(found["values"][:, 0] - golden["values"]).max() < 1e-8


@pytest.mark.parametrize("group", THREE_PLAYERS, ids=lambda group: f"{group.actions}-{group.sims}")
def test_three_player_trees_equal_the_reference(group: Group) -> None:
    found, noise, search_one = search_tables(group), group.noise.tolist(), TableSearch(group)
    for t in range(group.trees):
        wanted = search_one.run(t, group.sims, noise[t])
        first = [a for p, a in zip(found["parents"][t], found["actions"][t], strict=True) if p == 0]
        new = list(dict.fromkeys(wanted["sequence"]))
        assert first == new, t  # in the order in which root moves were first tried
        assert found["visits"][t] == list(wanted["visits"].values()), t
        assert found["chosen"][t] == wanted["move"], t
        assert found["values"][t] == pytest.approx(wanted["value"], abs=1e-9)
        assert found["policy"][t] == pytest.approx(list(wanted["policy"].values()), abs=1e-9)


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
    reference = GameSearch(evaluator, m=o.m, c_visit=o.c_visit, c_scale=o.c_scale)
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
        proven = max(map(abs, d.value)) == 1
        assert sum(n for _, n in d.visits) == d.sims
        assert d.sims == 33 or (proven and d.sims < 33)
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
    assert player._search.forest.edges.shape[1] > 30 * 500
    fresh = search(spec, batch_of([start] * 2), ConstantEvaluator(spec), sims=30, m=16)
    again = player.choose(batch_of([start] * 2), Budget(), Rngs())
    assert [d.visits for d in again] == [d.visits for d in fresh]


def test_a_temperature_draws_from_the_improved_policy() -> None:
    spec = BoardSpec.create("square8")
    position = choices(spec, 1, seed=9)[0]
    batch = batch_of([position] * 400)
    options = {"sims": 8, "scale": 0.0, "c_scale": 0.01}

    def moves(temperature: Temperature | None) -> list[int]:
        return [d.move for d in search(spec, batch, temperature=temperature, **options)]

    survivors = moves(None)
    assert moves(constant(0.01)) == survivors
    drawn = moves(constant(1.0))
    policy = dict(search(spec, batch, **options)[0].policy)
    top = max(policy, key=lambda move: policy[move])
    spread = (policy[top] * (1 - policy[top]) / 400) ** 0.5
    assert drawn.count(top) / 400 == pytest.approx(policy[top], abs=4 * spread)
    assert drawn == moves(scheduled(create_scheduler("default", initial_temp=1.0, final_temp=1.0)))
    assert len(set(moves(constant(0.1)))) <= len(set(drawn))


def test_a_proven_loss_is_not_chosen_and_a_proven_win_is() -> None:
    """The reference works bounds out from the whole tree: late positions, where they matter."""
    for board, players in (("square8", 2), ("square8", 3), ("hex8", 4)):
        spec = BoardSpec.create(board, players)
        evaluator = HashedEvaluator(spec)
        late = [
            p
            for seed in range(4)
            for p in random_game(spec, seed)[-14:-1]
            if 1 < len(p.legal_packed()) < 12
        ]
        options = {"m": 8, "scale": 0.0, "c_scale": 0.05}
        found = search(spec, batch_of(late), evaluator, sims=60, **options)
        reference = GameSearch(evaluator, m=8, c_visit=50.0, c_scale=0.05)
        early = 0
        for position, decision in zip(late, found, strict=True):
            wanted = reference.run(position, 60, [0.0] * len(position.legal_packed()))
            assert dict(decision.visits) == wanted["visits"]
            assert decision.move == wanted["move"]
            assert decision.value == pytest.approx(wanted["value"], abs=1e-9)
            early += decision.sims < 60
        assert early >= len(late) / 4
