"""PUCT: the formula, noise, budgets, proofs, and trees that are kept between decisions."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from ringrift.agents.evaluators import ConstantEvaluator, HeuristicEvaluator
from ringrift.agents.gumbel import GumbelAgent, GumbelOptions
from ringrift.agents.mcts import MctsAgent, MctsOptions
from ringrift.agents.protocol import Batch, Budget, Decision, Evaluator, Rngs
from ringrift.agents.random_agent import RandomAgent
from ringrift.agents.search import puct_rules
from ringrift.agents.search.drawing import constant
from ringrift.agents.search.reusing import KEPT_GAMES
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay

from .games import SMALL, HashedEvaluator, batch_of, choices, random_game
from .reference import GameSearch, Node

NAME = ResolvedSpec(text="mcts:eval=test", agent_hash="0" * 64)


def agent(spec: BoardSpec, evaluator: Evaluator | None = None, **options: Any) -> MctsAgent:
    return MctsAgent(NAME, spec, evaluator or HashedEvaluator(spec), MctsOptions(**options))


def search(
    spec: BoardSpec, batch: Batch, evaluator: Evaluator | None = None, **options: Any
) -> list[Decision]:
    options = {"reuse": False, **options}
    return agent(spec, evaluator, **options).choose(batch, Budget(), Rngs())


class PuctReference(GameSearch):
    """PUCT in plain Python, over the nodes and the proofs of the Gumbel reference."""

    def __init__(self, evaluator: Any, *, c: float, fpu: float) -> None:
        super().__init__(evaluator, m=1, c_visit=0.0, c_scale=0.0)
        self.c, self.fpu = c, fpu

    def best(self, node: Node) -> int:
        top = max(node.logits)
        total = sum(math.exp(x - top) for x in node.logits)
        prior = [math.exp(x - top) / total for x in node.logits]
        counts, n = node.counts(), node.visits
        c = self.c + math.log((1 + n + 19652) / 19652)
        seen = sum(p for p, k in zip(prior, counts, strict=True) if k)
        fresh = node.total[node.seat] / n - self.fpu * math.sqrt(seen)

        def score(a: int) -> float:
            q = 2 * node.q(a) - 1 if counts[a] else fresh
            return q + c * prior[a] * math.sqrt(n) / (1 + counts[a])

        return max(node.left(), key=score)

    def visits(self, position: Position, sims: int) -> dict[int, int]:
        root = self.node(position)
        self.back_up([root], root.raw)
        for _ in range(sims):
            if len(set(root.bounds()[root.seat])) == 1:
                break
            path, node = [], root
            while node.moves and not node.closed:
                path.append(node)
                action = self.best(node)
                if action not in node.children:
                    node.children[action] = self.node(self.after(node.place, node.moves[action]))
                    node = node.children[action]
                    break
                node = node.children[action]
            value = [low for low, _ in node.bounds()] if node.closed else node.raw
            self.back_up([*path, node], value)
        return dict(zip(root.moves, root.counts(), strict=True))


@pytest.mark.parametrize(
    ("board", "players", "sims", "options"),
    [
        ("square8", 2, 60, {"c": 1.25, "fpu": 0.2}),
        ("square8", 3, 60, {"c": 3.0, "fpu": 0.0}),
        ("hex8", 4, 40, {"c": 0.5, "fpu": 0.5}),
    ],
)
def test_visits_equal_those_of_the_reference(
    board: str, players: int, sims: int, options: dict[str, float]
) -> None:
    spec = BoardSpec.create(board, players)
    evaluator = HashedEvaluator(spec)
    late = [p for p in random_game(spec, 3)[-20:-1] if len(p.legal_packed()) > 1]
    positions = choices(spec, 12, seed=5) + late
    found = search(spec, batch_of(positions), evaluator, sims=sims, **options)
    reference = PuctReference(evaluator, **options)
    for position, decision in zip(positions, found, strict=True):
        assert dict(decision.visits) == reference.visits(position, sims)
    assert max(d.depth for d in found) >= 4
    assert min(d.sims for d in found) < sims  # some are proven


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3), ("square19", 4)])
def test_what_holds_for_every_decision(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 24)
    for position, d in zip(positions, search(spec, batch_of(positions), sims=40), strict=True):
        legal = position.legal_packed().tolist()
        assert [move for move, _ in d.policy] == legal
        assert sum(p for _, p in d.policy) == pytest.approx(1, abs=1e-6)
        assert sum(n for _, n in d.visits) == d.sims
        assert d.sims == 40 or max(map(abs, d.value)) == 1
        assert sum(d.value) == pytest.approx(0, abs=1e-6)
        policy = dict(d.policy)
        assert policy[d.move] == max(policy.values())
        line = position.copy()
        for move in d.pv:
            line.play(move)
        assert d.pv[0] == d.move


@pytest.mark.parametrize("alpha", [0.03, 0.1, 0.3])
def test_dirichlet_noise_has_the_moments_of_its_shape(alpha: float) -> None:
    """Ten moves, 4,000 draws: mean 1/10, variance (k - 1) / (k^2 (k alpha + 1))."""
    k, draws = 10, 4000
    logs = np.array(
        [
            [puct_rules.log_gamma_draw(12345 + g, 678, j * 1024, alpha) for j in range(k)]
            for g in range(draws)
        ]
    )
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    variance = (k - 1) / (k * k * (k * alpha + 1))
    assert shares.mean(axis=0) == pytest.approx(1 / k, abs=5 * (variance / draws) ** 0.5)
    assert shares.var() == pytest.approx(variance, rel=0.1)


def test_root_noise_explores_by_seed_alone_and_its_shape_follows_the_legal_moves() -> None:
    spec = BoardSpec.create("square8")
    position = choices(spec, 1, seed=9)[0]
    batch = batch_of([position] * 30)
    constant_evaluator = ConstantEvaluator(spec)
    quiet = search(spec, batch, constant_evaluator, sims=30)
    loud = search(spec, batch, constant_evaluator, sims=30, noise=0.25)
    assert len({d.visits for d in quiet}) == 1
    assert len({d.visits for d in loud}) > 20
    assert [d.visits for d in search(spec, batch, constant_evaluator, sims=30, noise=0.25)] == [
        d.visits for d in loud
    ]
    player = agent(spec, constant_evaluator, noise=0.25, alpha="fixed", sims=2)
    player.choose(batch, Budget(), Rngs())
    forest = player._search.forest
    count = len(position.legal_packed())
    priors = forest.edges["prior"][:30, :count]
    assert priors.sum(axis=1) == pytest.approx(1, abs=1e-9)
    assert priors.min() >= 0.75 / count - 1e-9


@pytest.mark.parametrize(("board", "players"), SMALL)
def test_a_decision_does_not_depend_on_its_batch(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 32)
    evaluator = HeuristicEvaluator(spec)

    def timeless(decisions: list[Decision]) -> list[tuple[Any, ...]]:
        return [(d.move, d.policy, d.value, d.visits, d.pv, d.nodes) for d in decisions]

    options = {"sims": 24, "noise": 0.25, "temperature": constant(1.0)}
    together = timeless(search(spec, batch_of(positions), evaluator, **options))
    alone = [
        timeless(search(spec, batch_of([p], [i]), evaluator, **options))[0]
        for i, p in enumerate(positions)
    ]
    order = np.random.default_rng(0).permutation(32).tolist()
    shuffled = timeless(
        search(spec, batch_of([positions[i] for i in order], order), evaluator, **options)
    )
    assert together == alone
    assert [together[i] for i in order] == shuffled


def play(
    player: MctsAgent, spec: BoardSpec, seeds: list[int], plies: int
) -> dict[int, list[Decision]]:
    """Play games of the agent against itself in one batch; return the decisions by seed."""
    games = {seed: Position.of(spec) for seed in seeds}
    log: dict[int, list[Decision]] = {seed: [] for seed in seeds}
    for _ in range(plies):
        live = [seed for seed in seeds if not games[seed].is_over]
        if not live:
            break
        found = player.choose(batch_of([games[s] for s in live], live), Budget(), Rngs())
        for seed, decision in zip(live, found, strict=True):
            log[seed].append(decision)
            games[seed].play(decision.move)
    return log


def timeless_games(log: dict[int, list[Decision]]) -> dict[int, list[Any]]:
    return {seed: [(d.move, d.visits, d.value, d.nodes) for d in ds] for seed, ds in log.items()}


def test_a_kept_tree_goes_on_and_a_game_played_again_is_the_same() -> None:
    """Neither the other games of the batch nor a second run of the agent changes a decision."""
    spec = BoardSpec.create("square8")
    options = {"sims": 30, "noise": 0.25}
    player = agent(spec, HeuristicEvaluator(spec), **options)
    log = play(player, spec, [4, 5, 6], 40)
    searched = [d for d in log[4] if d.kind == "full"]
    more = [sum(n for _, n in d.visits) - d.sims for d in searched]
    assert sum(more) > 2 * len(searched)
    assert max(more) > 10
    again = play(player, spec, [4, 5, 6], 40)
    other = play(agent(spec, HeuristicEvaluator(spec), **options), spec, [9, 6, 4, 5], 40)
    without = play(
        agent(spec, HeuristicEvaluator(spec), reuse=False, **options), spec, [4, 5, 6], 40
    )
    assert timeless_games(again) == timeless_games(log)
    assert {s: timeless_games(other)[s] for s in (4, 5, 6)} == timeless_games(log)
    assert timeless_games(without) != timeless_games(log)
    assert all(sum(n for _, n in d.visits) == d.sims for d in without[4] if d.kind == "full")


def test_a_kept_tree_is_the_subtree_of_the_position_played() -> None:
    """Visits of the new root before its first simulation are those of the child it was."""
    spec = BoardSpec.create("hex8", 3)
    player = agent(spec, sims=200, c=0.8)
    position = choices(spec, 1, seed=21)[0]
    seat = position.current_player
    (first,) = player.choose(batch_of([position], [7]), Budget(), Rngs())
    old_nodes, old_edges = player._search.forest.nodes.copy(), player._search.forest.edges.copy()
    line = position.after(first.move)
    while len(line.legal_packed()) == 1:
        line.play(int(line.legal_packed()[0]))
    assert line.current_player == seat  # the turn goes on
    (second,) = player.choose(batch_of([line], [7]), Budget(sims=1), Rngs())
    root = old_nodes[0, 0]
    edges = old_edges[0, root["first"] : root["first"] + root["count"]]
    child = old_nodes[0, edges["child"][edges["move"] == first.move][0]]
    kept = old_edges[0, child["first"] : child["first"] + child["count"]]
    now = np.array([n for _, n in second.visits])
    assert (now - kept["n"]).sum() == 1
    assert ((now - kept["n"]) >= 0).all()
    assert child["n"] > 10
    (apart,) = player.choose(batch_of([line], [8]), Budget(sims=1), Rngs())
    assert sum(n for _, n in apart.visits) == 1


def test_trees_of_games_that_are_gone_are_dropped() -> None:
    """Two games go on while three others are over: their trees go, and nothing else changes."""
    spec = BoardSpec.create("square8", 3)
    player = agent(spec, sims=30)
    log = play(player, spec, [1, 2], 60)
    player = agent(spec, sims=30)
    play(player, spec, [5, 6, 7], 20)
    gone = {seed for seed, _ in player._search._kept._kept}
    assert gone == {5, 6, 7}
    assert timeless_games(play(player, spec, [1, 2], 60)) == timeless_games(log)
    kept = player._search._kept._kept
    assert {seed for seed, _ in kept} == {1, 2}
    assert len(kept) <= 2 * 3
    play(player, spec, list(range(100, 116)), 40)
    assert {seed for seed, _ in kept} == set(range(100, 116))


@pytest.mark.slow
def test_a_tree_is_kept_as_long_as_its_game_can_come_back_to_it() -> None:
    """Games in which an agent has one seat of three: it waits for two others between its searches."""
    spec = BoardSpec.create("hex8", 3)
    options = {"sims": 60, "c": 0.6}
    seeds = list(range(8))

    def moves(size: int) -> tuple[dict[int, list[Any]], int]:
        log: dict[int, list[Any]] = {seed: [] for seed in seeds}
        resumed = 0
        for first in range(0, len(seeds), size):
            players = [agent(spec, HeuristicEvaluator(spec), **options) for _ in range(3)]
            games = {seed: Position.of(spec) for seed in seeds[first : first + size]}
            for _ in range(45):
                seats = {s: p.current_player for s, p in games.items() if not p.is_over}
                for seat, player in enumerate(players, 1):
                    live = [seed for seed, turn in seats.items() if turn == seat]
                    if not live:
                        continue
                    batch = batch_of([games[s] for s in live], live)
                    for seed, d in zip(live, player.choose(batch, Budget(), Rngs()), strict=True):
                        log[seed].append((d.move, d.visits))
                        resumed += d.kind == "full" and sum(n for _, n in d.visits) > d.sims
                        games[seed].play(d.move)
        return log, resumed

    together, found = moves(8)
    alone, found_alone = moves(1)
    assert found == found_alone > 100
    assert together == alone


def test_the_same_position_twice_is_searched_afresh_and_twins_share_nothing() -> None:
    spec = BoardSpec.create("square8")
    positions = choices(spec, 2, seed=3)
    player = agent(spec, sims=20)
    one = player.choose(batch_of(positions), Budget(), Rngs())
    two = player.choose(batch_of(positions), Budget(), Rngs())
    assert [d.visits for d in one] == [d.visits for d in two]
    twins = agent(spec, sims=20)
    twins.choose(batch_of([positions[0]] * 2, [1, 1]), Budget(), Rngs())
    assert len(twins._search._kept) == 0
    many = batch_of([positions[0]] * (KEPT_GAMES + 1))
    with pytest.raises(UsageError, match="reuse=off"):
        player.choose(many, Budget(sims=1), Rngs())


def test_budgets() -> None:
    spec = BoardSpec.create("square8")
    positions = choices(spec, 3)
    player = agent(spec, sims=16, reuse=False)
    budgets = [Budget(sims=5, kind="cheap"), Budget(), Budget(nodes=64)]
    found = player.choose(batch_of(positions), budgets, Rngs())
    assert [(d.sims, d.kind) for d in found] == [(5, "cheap"), (16, "full"), (64, "full")]
    assert found[2].nodes <= 65
    with pytest.raises(UsageError, match="not in depth"):
        player.choose(batch_of(positions), Budget(depth=3), Rngs())
    for bad in ({"sims": None}, {"sims": 0}, {"noise": 1.5}, {"ms": -1.0}, {"fpu": math.nan}):
        with pytest.raises(UsageError, match="mcts: "):
            MctsOptions(**bad)


@pytest.mark.timed
def test_a_budget_of_time_is_kept_and_trees_grow_under_it() -> None:
    spec = BoardSpec.create("square8")
    batch = batch_of([Position.of(spec)])
    player = agent(spec, ConstantEvaluator(spec), reuse=False)
    player.choose(batch, Budget(time_ms=2), Rngs())
    overruns = []
    for _ in range(10):
        begin = time.perf_counter()
        (decision,) = player.choose(batch, Budget(time_ms=60), Rngs())
        overruns.append((time.perf_counter() - begin) * 1000 - 60)
        assert decision.sims > 200
    assert np.median(overruns) < 20
    assert min(overruns) > -1
    limited = agent(spec, ConstantEvaluator(spec), sims=None, ms=20.0, reuse=False)
    assert limited.choose(batch, Budget(), Rngs())[0].sims > 1
    (both,) = player.choose(batch, Budget(sims=7, time_ms=10_000), Rngs())
    assert both.sims == 7


def test_temperature_one_draws_by_visits() -> None:
    spec = BoardSpec.create("square8")
    batch = batch_of([choices(spec, 1, seed=9)[0]] * 400)
    options = {"sims": 12, "c": 0.6}
    policy = dict(search(spec, batch, **options)[0].policy)
    drawn = [d.move for d in search(spec, batch, temperature=constant(1.0), **options)]
    top = max(policy, key=lambda move: policy[move])
    spread = (policy[top] * (1 - policy[top]) / 400) ** 0.5
    assert drawn.count(top) / 400 == pytest.approx(policy[top], abs=4 * spread + 1e-9)
    assert all(policy[move] > 0 for move in drawn)


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["mcts", "gumbel"])
def test_four_times_the_simulations_score_55_percent(kind: str) -> None:
    """200 paired games on square8 with the heuristic: each opening of 12 random plies twice."""
    spec = BoardSpec.create("square8")
    evaluator = HeuristicEvaluator(spec)
    players = [
        agent(spec, evaluator, sims=n)
        if kind == "mcts"
        else GumbelAgent(NAME, spec, evaluator, GumbelOptions(sims=n, scale=0.0))
        for n in (16, 64)
    ]
    opener = RandomAgent(NAME)
    score = 0.0
    games = [(pair, strong) for pair in range(100) for strong in (1, 2)]
    live = {game: Position.of(spec) for game in games}
    while live:
        for who in range(2):
            turn = [
                (game, p)
                for game, p in live.items()
                if not p.is_over and (p.current_player == game[1]) == bool(who)
            ]
            opening = [(g, p) for g, p in turn if p._states[0]["misc"][lay.PLY] < 12]
            rest = [(g, p) for g, p in turn if p._states[0]["misc"][lay.PLY] >= 12]
            for part, player in ((opening, opener), (rest, players[who])):
                if part:
                    batch = batch_of([p for _, p in part], [g[0] for g, _ in part])
                    for (_, p), d in zip(part, player.choose(batch, Budget(), Rngs()), strict=True):
                        p.play(d.move)
        for game in [g for g, p in live.items() if p.is_over]:
            score += live.pop(game).result.winner == game[1]
    print(f"{kind}: 64 simulations against 16: {score / 2} % of 200 games")
    assert score / 200 >= 0.55
