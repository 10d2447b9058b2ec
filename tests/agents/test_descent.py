"""Descent: the same trees as the plain-Python reference, proven ends, and what a search must be."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from ringrift.agents import descent_tree as tree
from ringrift.agents.descent import DescentAgent, DescentOptions
from ringrift.agents.evaluators import ConstantEvaluator, HeuristicEvaluator
from ringrift.agents.factory import make_agent
from ringrift.agents.listing import legal_lists
from ringrift.agents.protocol import Agent, Batch, Budget, Decision, Evaluator, Rngs
from ringrift.agents.rollout import RolloutEvaluator
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import DataError, UsageError
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.network import Architecture, fresh_net
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables

from .descent_reference import Node, Search, answers, forced_win
from .games import SMALL, HashedEvaluator, batch_of, choices, random_game
from .test_endings import endings

NAME = ResolvedSpec(text="descent:eval=test", agent_hash="0" * 64)


def agent(spec: BoardSpec, evaluator: Evaluator | None = None, **options: Any) -> DescentAgent:
    return DescentAgent(NAME, spec, evaluator or HashedEvaluator(spec), DescentOptions(**options))


def search(
    spec: BoardSpec, batch: Batch, evaluator: Evaluator | None = None, **options: Any
) -> list[Decision]:
    return agent(spec, evaluator, **options).choose(batch, Budget(), Rngs())


def timeless(decisions: list[Decision]) -> list[tuple[Any, ...]]:
    return [
        (d.move, d.policy, d.value, d.visits, d.pv, d.depth, d.nodes, d.sims) for d in decisions
    ]


class Wild(HashedEvaluator):
    """Values of a few steps only, so that equals, and estimates of a sure win, are common."""

    def evaluate(self, *inputs: Any) -> tuple[Any, Any]:
        logits, values = super().evaluate(*inputs)
        steps = np.clip(np.round(values * 3) / 2, -1, 1)
        return logits, steps.astype(np.float32)


def assert_same_tree(nodes: Any, at: int, wanted: Node, players: int) -> int:
    """Compare whole trees, node by node; return how many nodes are proven."""
    node = nodes[at]
    if wanted.value:
        assert node["value"][:players].tolist() == pytest.approx(wanted.value, abs=1e-7)
    state = tree.RESOLVED if wanted.proven else tree.CLOSED if wanted.dead else tree.OPEN
    assert (node["state"], node["length"]) == (state, wanted.length)
    assert (node["n"], node["depth"]) == (wanted.selected, wanted.depth)
    assert node["count"] == len(wanted.children)
    proven = int(wanted.proven)
    for i, (move, child) in enumerate(zip(wanted.moves, wanted.children, strict=True)):
        assert nodes[node["first"] + i]["move"] == move
        proven += assert_same_tree(nodes, node["first"] + i, child, players)
    return proven


@pytest.mark.parametrize("evaluator", [HashedEvaluator, Wild, ConstantEvaluator])
@pytest.mark.parametrize(
    ("board", "players", "sims", "options"),
    [
        ("square8", 2, 30, {}),
        ("square8", 3, 30, {"max_depth": 3}),
        ("hex8", 4, 20, {"width": 5}),
        ("hexagonal", 2, 4, {"width": 6, "max_depth": 2}),
    ],
)
def test_trees_equal_those_of_the_reference(
    evaluator: Any, board: str, players: int, sims: int, options: dict[str, int]
) -> None:
    """Half the positions are near the end of their game, where results are proven."""
    spec = BoardSpec.create(board, players)
    late = [p for p in random_game(spec, 4)[-40:-1] if 1 < len(p.legal_packed()) < 40][-4:]
    positions = [*choices(spec, 4 if spec.cells < 100 else 1, seed=5), *late]
    player = agent(spec, evaluator(spec), sims=sims, **options)
    decisions = player.choose(batch_of(positions), Budget(), Rngs())
    proven = 0
    for g, (position, d) in enumerate(zip(positions, decisions, strict=True)):
        root = Search(evaluator(spec), **options).run(position, sims)
        proven += assert_same_tree(player._grove.nodes[g], 0, root, players)
        assert d.move in answers(root)
        assert dict(d.visits) == {
            m: c.selected for m, c in zip(root.moves, root.children, strict=True)
        }
        assert d.value == pytest.approx(root.value, abs=1e-7)
        weights = [np.exp(c.value[root.seat] / 0.1) for c in root.children]
        assert [p for _, p in d.policy] == pytest.approx(
            [w / sum(weights) for w in weights], rel=1e-5
        )
    assert proven > 0


@pytest.mark.slow
@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 2), ("square8", 3)])
def test_the_winning_move_is_found_and_proven(board: str, players: int) -> None:
    """Every one: the search leaves out what is lost and stops at what is won.

    Values tell nothing here, so that only finished games tell the moves apart. A win may be proven
    that needs more than the two choices of these endings, hence the reference's longer look.
    """
    cases = endings(board, players, 2, 40)
    spec = cases[0][0].spec
    player = agent(spec, ConstantEvaluator(spec), sims=600)
    found = player.choose(batch_of([p for p, _ in cases]), Budget(), Rngs())
    at_once = 0
    for g, ((position, wins), d) in enumerate(zip(cases, found, strict=True)):
        seat = position.current_player - 1
        root = player._grove.nodes[g, 0]
        assert root["state"] == tree.RESOLVED
        assert d.value[seat] == 1
        assert d.sims < 600
        at_once += d.move in wins
        if players == 2:
            assert forced_win(position.after(d.move), seat + 1, int(root["length"]) - 1)
    assert at_once >= len(cases) * 0.9


@pytest.mark.parametrize("board", ["square8", "hex8"])
def test_what_is_called_proven_is_so(board: str) -> None:
    """Each proven node near the root, won or lost, against a solver that knows no search."""
    spec = BoardSpec.create(board)
    positions = [
        p
        for seed in range(24)
        for p in random_game(spec, seed)[-12:-1]
        if 1 < len(p.legal_packed()) <= 10
    ][:80]
    player = agent(spec, HeuristicEvaluator(spec), sims=60)
    player.choose(batch_of(positions), Budget(), Rngs())
    checked = {1.0: 0, -1.0: 0}
    for g, position in enumerate(positions):
        nodes = player._grove.nodes[g]
        root = nodes[0]
        for at in range(root["first"], root["first"] + root["count"]):
            node, seat = nodes[at], position.current_player
            if node["state"] != tree.RESOLVED or node["length"] > 2:
                continue
            value = float(node["value"][seat - 1])
            winner = seat if value == 1 else 3 - seat
            after = position.after(int(node["move"]))
            assert forced_win(after, winner, int(node["length"]))
            checked[value] += 1
    assert min(checked.values()) >= 5


def grove_of(children: list[tuple[float, int, int, int]], players: int = 2) -> tree.Grove:
    """Make a tree of one expansion: (value to the mover, state, walks, length) of each child."""
    grove = tree.Grove(1)
    nodes = grove.nodes[0]
    nodes["seat"][0], nodes["first"][0], nodes["count"][0] = 1, 1, len(children)
    for i, (value, state, n, length) in enumerate(children):
        nodes["value"][1 + i][:players] = [value] + [-value / (players - 1)] * (players - 1)
        nodes["state"][1 + i], nodes["n"][1 + i], nodes["length"][1 + i] = state, n, length
    return grove


O, C, R = tree.OPEN, tree.CLOSED, tree.RESOLVED  # noqa: E741 - columns of the table


@pytest.mark.parametrize(
    ("children", "chosen"),
    [
        ([(0.9, O, 50, 0), (1.0, R, 1, 4)], {1}),  # a proven win before all else
        ([(1.0, O, 50, 0), (1.0, R, 1, 4)], {1}),  # also before an estimate of one
        ([(1.0, R, 9, 4), (1.0, R, 1, 2)], {1}),  # the quicker one
        ([(-1.0, R, 90, 3), (-0.99, O, 1, 0)], {1}),  # never a proven loss
        ([(-1.0, R, 90, 3), (-1.0, O, 0, 0)], {1}),
        ([(-1.0, R, 90, 3), (-1.0, C, 0, 0)], {1}),
        ([(-1.0, R, 9, 3), (-1.0, R, 9, 7)], {1}),  # if all are lost the slowest
        ([(0.5, O, 3, 0), (0.1, O, 8, 0)], {1}),  # else the most walked
        ([(0.5, O, 3, 0), (0.1, C, 8, 0)], {1}),
        ([(0.1, O, 8, 0), (0.5, O, 8, 0), (-0.2, O, 8, 0)], {1}),  # of those the best
        ([(0.5, O, 8, 0), (0.1, O, 2, 0), (0.5, O, 8, 0)], {0, 2}),  # of those any
        ([(0.2, R, 1, 2), (0.1, O, 8, 0)], {0}),  # a sure middle place worth as much
        ([(0.0, R, 1, 2), (0.1, O, 8, 0), (-1.0, R, 30, 0)], {1}),
        ([(0.0, R, 1, 2), (-0.5, R, 8, 1)], {0}),
    ],
)
def test_the_decision(children: list[tuple[float, int, int, int]], chosen: set[int]) -> None:
    grove = grove_of(children, players=3)
    found = {int(tree.decide(grove.nodes, 0, 0, 7 * i, i)) - 1 for i in range(40)}
    assert found == chosen


@pytest.mark.parametrize(("board", "players"), SMALL)
def test_a_decision_does_not_depend_on_its_batch(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 64)
    evaluator = HeuristicEvaluator(spec)
    player = agent(spec, evaluator, sims=12, width=9)
    together = timeless(player.choose(batch_of(positions), Budget(), Rngs()))
    alone = [
        timeless(search(spec, batch_of([p], [i]), evaluator, sims=12, width=9))[0]
        for i, p in enumerate(positions)
    ]
    order = np.random.default_rng(0).permutation(64).tolist()
    shuffled = player.choose(batch_of([positions[i] for i in order], order), Budget(), Rngs())
    assert together == alone
    assert [together[i] for i in order] == timeless(shuffled)
    again = player.choose(batch_of(positions), Budget(), Rngs())
    assert timeless(again) == together  # arrays reused


def test_rounds_larger_than_the_room_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the children of all games need not be in memory together."""
    spec = BoardSpec.create("square8", 3)
    positions = choices(spec, 20)
    whole = timeless(search(spec, batch_of(positions), sims=12))
    monkeypatch.setattr("ringrift.agents.descent.ROOM", 30)
    player = agent(spec, sims=12)
    assert timeless(player.choose(batch_of(positions), Budget(), Rngs())) == whole
    assert len(player._children) < sum(len(p.legal_packed()) for p in positions) / 2


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3), ("square19", 4)])
def test_what_holds_for_every_decision(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players)
    positions = choices(spec, 16)
    batch = batch_of(positions)
    before = batch.states.tobytes()
    for position, d in zip(positions, search(spec, batch, sims=25), strict=True):
        legal = position.legal_packed().tolist()
        assert [move for move, _ in d.policy] == [move for move, _ in d.visits] == legal
        assert sum(p for _, p in d.policy) == pytest.approx(1, abs=1e-9)
        assert d.move in legal
        assert d.sims <= 25
        assert sum(n for _, n in d.visits) == d.sims - 1  # the first expansion walks nowhere
        assert sum(d.value) == pytest.approx(0, abs=1e-6)
        assert max(map(abs, d.value)) <= 1
        line = position.copy()
        for move in d.pv:
            line.play(move)
        assert d.pv[0] == d.move
    assert batch.states.tobytes() == before


def test_one_expansion_is_a_look_one_choice_ahead() -> None:
    spec = BoardSpec.create("square8")
    for position, d in zip(
        choices(spec, 12), search(spec, batch_of(choices(spec, 12)), sims=1), strict=True
    ):
        root = Search(HashedEvaluator(spec)).run(position, 1)
        best = max(c.merit(root.seat) for c in root.children)
        assert d.move in {
            m for m, c in zip(root.moves, root.children, strict=True) if c.merit(root.seat) == best
        }
        assert d.nodes == 1 + len(position.legal_packed())


def test_equals_are_drawn_by_the_stream() -> None:
    spec = BoardSpec.create("square8")
    start = Position.of(spec)
    found = search(spec, batch_of([start] * 60), ConstantEvaluator(spec), sims=1)
    assert len({d.move for d in found}) > 20
    assert [d.move for d in found] == [
        d.move for d in search(spec, batch_of([start] * 60), ConstantEvaluator(spec), sims=1)
    ]


@pytest.mark.parametrize("width", [1, 3, 12])
def test_inner_nodes_keep_the_width_and_the_root_all(width: int) -> None:
    spec = BoardSpec.create("square8")
    positions = choices(spec, 8)
    player = agent(spec, HeuristicEvaluator(spec), sims=40, width=width)
    player.choose(batch_of(positions), Budget(), Rngs())
    cut = 0
    for g, position in enumerate(positions):
        nodes = player._grove.nodes[g, : player._grove.trees["nodes"][g]]
        assert nodes["count"][0] == len(position.legal_packed())
        assert nodes["count"][1:].max() <= width
        cut += nodes["cut"].sum()
        # what was cut may hold the answer: only a win proves such a node
        for node in nodes[(nodes["cut"] == 1) & (nodes["state"] == tree.RESOLVED)]:
            assert node["value"][node["seat"] - 1] == 1
    assert cut > 0


def test_large_boards_have_a_width_of_their_own() -> None:
    widths = {
        board: agent(BoardSpec.create(board)).width
        for board in ("square8", "hex8", "square19", "hexagonal")
    }
    assert widths == {"square8": 0, "hex8": 0, "square19": 48, "hexagonal": 48}
    assert agent(BoardSpec.create("hexagonal"), width=0).width == 0


@pytest.mark.parametrize("limit", ["option", "budget"])
def test_a_depth_limit_ends_the_search_with_a_finite_tree(limit: str) -> None:
    spec = BoardSpec.create("square8")
    positions = [p for p in choices(spec, 60) if len(p.legal_packed()) <= 12][:5]
    deep = {"max_depth": 2} if limit == "option" else {}
    budget = Budget(sims=10**9) if limit == "option" else Budget(sims=10**9, depth=2)
    player = agent(spec, **deep)
    for position, d in zip(
        positions, player.choose(batch_of(positions), budget, Rngs()), strict=True
    ):
        assert d.depth <= 2
        assert d.sims <= 1 + len(position.legal_packed())
    states = player._grove.nodes["state"][:, 0]
    assert (states[: len(positions)] != tree.OPEN).all()


def test_budgets_per_position() -> None:
    spec = BoardSpec.create("square8")
    positions = choices(spec, 4)
    budgets = [
        Budget(sims=5, kind="cheap"), Budget(), Budget(nodes=300), Budget(nodes=1),
    ]  # fmt: skip
    player = agent(spec, sims=16)
    found = player.choose(batch_of(positions), budgets, Rngs())
    assert [(d.sims, d.kind) for d in found[:2]] == [(5, "cheap"), (16, "full")]
    assert 300 <= found[2].nodes < 500
    assert found[3].sims == 1
    for i in range(4):
        (single,) = player.choose(batch_of([positions[i]], [i]), budgets[i], Rngs())
        assert timeless([single]) == timeless([found[i]])


@pytest.mark.timed
def test_time_ends_the_search() -> None:
    spec = BoardSpec.create("square8")
    position = Position.of(spec)
    player = agent(spec, HeuristicEvaluator(spec), sims=None, ms=60.0)
    player.choose(batch_of([position]), Budget(sims=2), Rngs())  # compiled before the clock runs
    for budget in (Budget(), Budget(time_ms=60.0)):
        began = time.perf_counter()
        (d,) = player.choose(batch_of([position]), budget, Rngs())
        took_s = time.perf_counter() - began
        assert d.sims > 1
        assert 0.06 <= took_s < 1.0
    (first,) = player.choose(batch_of([position]), Budget(time_ms=60.0, sims=3), Rngs())
    assert first.sims == 3


class Broken(ConstantEvaluator):
    """Returns one number that is none."""

    def __init__(self, spec: BoardSpec, *, at: int, logits: bool) -> None:
        super().__init__(spec)
        self.calls, self.at, self.logits = 0, at, logits

    def evaluate(self, *inputs: Any) -> tuple[Any, Any]:
        logits, values = super().evaluate(*inputs)
        self.calls += 1
        if self.calls > self.at:
            (logits if self.logits else values).ravel()[-1:] = np.nan
        return logits, values


@pytest.mark.parametrize(("at", "logits"), [(0, False), (3, False), (1, True)])
def test_an_evaluator_that_fails_is_an_error(at: int, logits: bool) -> None:
    spec = BoardSpec.create("square8")
    broken = Broken(spec, at=at, logits=logits)
    with pytest.raises(DataError, match="not finite"):
        search(spec, batch_of(choices(spec, 4)), broken, sims=8, width=2)


def test_what_cannot_be_searched_is_refused() -> None:
    for bad in ({"sims": 0}, {"max_depth": 0}, {"width": -1}, {"ms": 0.0}, {"sims": None}):
        with pytest.raises(UsageError, match="descent: "):
            DescentOptions(**bad)
    spec = BoardSpec.create("square8")
    with pytest.raises(UsageError, match="plays square8_2p, not hex8_2p"):
        agent(spec).choose(batch_of(choices(BoardSpec.create("hex8"), 1)), Budget(), Rngs())


def test_forced_plies_are_answered_without_search() -> None:
    spec = BoardSpec.create("square8")
    game = random_game(spec, 1)[:-1]
    for position, d in zip(game, search(spec, batch_of(game), sims=2), strict=True):
        alone = len(position.legal_packed()) == 1
        assert (d.kind == "forced") == alone == (d.policy is None)
        assert d.move in position.legal_packed()


@pytest.mark.parametrize(("board", "players"), SMALL)
def test_evaluators_value_positions_without_their_moves(board: str, players: int) -> None:
    """Children are evaluated with empty legal sets; what they are worth must not change."""
    spec = BoardSpec.create(board, players)
    net = fresh_net(Architecture.of(board, players, "micro"), seed=1)
    evaluator = NetEvaluator(net, spec)
    batch = batch_of(choices(spec, 20))
    moves, offsets = legal_lists(spec, batch.states)
    for asked in (evaluator, HeuristicEvaluator(spec), RolloutEvaluator(spec)):
        full = asked.evaluate(batch.states, board_tables(spec), moves, offsets)[1].copy()
        none = np.zeros(0, np.int64), np.zeros(21, np.int32)
        assert (asked.evaluate(batch.states, board_tables(spec), *none)[1] == full).all()
    for d in search(spec, batch, evaluator, sims=5, width=4):
        assert 1 <= d.sims <= 5
        assert sum(d.value) == pytest.approx(0, abs=1e-5)


def play(spec: BoardSpec, first: Agent, second: Agent, games: int) -> float:
    """Play games in lock step, seats changed after each; return the share that `first` wins."""
    positions = [Position.of(spec) for _ in range(games)]
    while not all(p.is_over for p in positions):
        for player, parity in ((first, 1), (second, 0)):
            mine = [
                g
                for g, p in enumerate(positions)
                if not p.is_over and (p.current_player + g) % 2 == parity
            ]
            if mine:
                batch = batch_of([positions[g] for g in mine], mine)
                for g, d in zip(mine, player.choose(batch, Budget(), Rngs()), strict=True):
                    positions[g].play(d.move)
    return float(np.mean([(p.winner + g) % 2 == 1 for g, p in enumerate(positions)]))


@pytest.mark.acceptance
@pytest.mark.parametrize(("opponent", "least"), [("random", 0.95), ("heuristic", 0.8)])
def test_it_beats_those_that_do_not_search(opponent: str, least: float) -> None:
    """60 games with 30 expansions a choice; all, or all but a few, were won."""
    spec = BoardSpec.create("square8")
    player = agent(spec, HeuristicEvaluator(spec), sims=30)
    assert play(spec, player, make_agent(opponent, spec), 60) >= least
