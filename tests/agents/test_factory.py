"""From a spec to an agent: identity, models, defaults by purpose, kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringrift.agents.factory import identify, make_agent
from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.kinds import KINDS
from ringrift.agents.protocol import Batch, Budget, Rngs
from ringrift.agents.temperature import board_move_scale
from ringrift.agents.weights import default_profile
from ringrift.core.errors import UsageError
from ringrift.nets.loading import open_model
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec, Position

from .games import HashedEvaluator, batch_of, choices

SQUARE8 = BoardSpec.create("square8")
PIE = BoardSpec.create("square8", swap_rule=True)

QUICK = {
    "random": "random",
    "heuristic": "heuristic",
    "blend": "blend@nnue",
    "alphabeta": "alphabeta:depth=1",
    "paranoid": "paranoid:depth=1",
    "maxn": "maxn:depth=1",
    "brs": "brs:depth=1",
    "mcts": "mcts:sims=4",
    "gumbel": "gumbel:eval=heuristic,sims=4",
    "policy": "policy@abcdef",
    "descent": "descent:sims=2",
    "ladder": "ladder:level=2",
}


class HashedModel:
    """A model whose answers follow from the position's hash."""

    def __init__(self, kind: str = "cnn", digit: str = "a") -> None:
        self.id = digit * 64
        self.card: dict[str, Any] = {"kind": kind}

    def evaluator(self) -> HashedEvaluator:
        return HashedEvaluator(SQUARE8)


def load(name: str) -> HashedModel:
    return HashedModel(digit=name[0])


def test_every_kind_is_tried_here() -> None:
    assert QUICK.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("board", [SQUARE8, PIE], ids=["plain", "pie"])
def test_every_kind_decides_and_is_who_it_is_said_to_be(
    kind: str, board: BoardSpec, tmp_path: Path
) -> None:
    def find(name: str) -> Any:
        if name != "nnue":
            return load(name)
        return open_model(init_nnue(board, folder=tmp_path, seed=1, hidden=128), board)

    agent = make_agent(QUICK[kind], board, find)
    ids = {"abcdef": "a" * 64, "nnue": agent.spec.model_id or ""}
    assert agent.spec == identify(QUICK[kind], board, model_ids=ids)
    positions = choices(SQUARE8, 4)
    states = batch_of(positions).states
    decisions = agent.choose(Batch(board, states, [1, 2, 3, 4]), Budget(), Rngs())
    for position, decision in zip(positions, decisions, strict=True):
        assert decision.move in position.legal_packed()


def test_purpose_decides_about_noise_and_is_part_of_the_identity() -> None:
    text = "gumbel:eval=heuristic,sims=4"
    quiet, loud = make_agent(text, SQUARE8).spec, make_agent(text, SQUARE8, explore=True).spec
    assert quiet.text.endswith("scale=0,sims=4")
    assert loud.text.endswith("scale=1,sims=4")
    assert quiet.agent_hash != loud.agent_hash
    assert identify(text, SQUARE8, explore=True) == loud


def test_old_and_new_names_are_one_agent() -> None:
    old, new = identify("mcts_100", SQUARE8), identify("mcts:sims=100", SQUARE8)
    assert old == new
    assert old.agent_hash != identify("mcts:sims=101", SQUARE8).agent_hash


def test_weights_are_named_by_content_not_by_file(tmp_path: Path) -> None:
    tree = default_profile("square8_2p").as_tree()
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(tree))
    first = identify(f"heuristic:weights={tmp_path / 'a.json'}", SQUARE8)
    second = identify(f"heuristic:weights={tmp_path / 'b.json'}", SQUARE8)
    assert first.text != second.text
    assert first.agent_hash == second.agent_hash
    plain = identify("heuristic", SQUARE8)
    assert first.agent_hash == plain.agent_hash
    tree["weights"] = {name: -value for name, value in tree["weights"].items()}
    del tree["hash"]
    (tmp_path / "b.json").write_text(json.dumps(tree))
    assert identify(second.text, SQUARE8).agent_hash != first.agent_hash


def test_a_model_is_named_by_its_id_and_must_be_of_a_usable_kind() -> None:
    agent = make_agent("policy@champion", SQUARE8, load)
    assert agent.spec.text == f"policy@{'c' * 64}"
    assert agent.spec.model_id == "c" * 64
    with pytest.raises(UsageError, match=r"kind nnue; expected eval=net or nnue-policy"):
        make_agent("policy@champion", SQUARE8, lambda _: HashedModel("nnue"))
    with pytest.raises(UsageError, match="kind cnn; expected eval=nnue"):
        make_agent("gumbel@champion:eval=nnue", SQUARE8, load)


@pytest.mark.parametrize(
    "text",
    [
        "mcts:eval=rollout,sims=4,rollout=2",
        "mcts:sims=4,temp=alphazero,reuse=off,alpha=fixed,noise=.1",
        "mcts:sims=4,tau=.5,c=2,fpu=.1,ms=1000",
        "gumbel:eval=heuristic,sims=4,temp=default",
        "gumbel@abcdef:sims=4",
        "mcts@abcdef:sims=4",
        "descent@abcdef:sims=2,width=4,max_depth=9",
        "descent:eval=rollout,sims=2",
        "descent:ms=20",
        "mcts:ms=20",
        "policy@abcdef:temp=adaptive",
        "alphabeta:depth=2,nodes=500,tt_mb=1,width=4,q=0,multi=brs",
        "heuristic:aggressive,mode=light,noise=.1,eps=.1,tau=.1",
    ],
)
def test_every_argument_reaches_its_agent(text: str) -> None:
    agent = make_agent(text, SQUARE8, load)
    batch = batch_of(choices(SQUARE8, 2))
    for decision, state in zip(agent.choose(batch, Budget(), Rngs()), batch.states, strict=True):
        assert decision.move in Position(SQUARE8, state.reshape(1)).legal_packed()


def decided(text: str, spec: BoardSpec, **how: Any) -> list[Any]:
    batch = batch_of(choices(spec, 2))
    return make_agent(text, spec, **how).choose(batch, Budget(), Rngs())


def test_the_descent_values_children_by_rollouts() -> None:
    found, other = (
        [d.value for d in decided(f"descent:eval={name},sims=8", SQUARE8)]
        for name in ("rollout", "heuristic")
    )
    assert found != other
    assert found == [d.value for d in decided("descent:eval=rollout,sims=8", SQUARE8)]


@pytest.mark.timed
@pytest.mark.parametrize(("kind", "own"), [("mcts", 100), ("descent", 200)])
def test_time_alone_ends_a_search_beyond_its_usual_simulations(kind: str, own: int) -> None:
    decided(f"{kind}:sims=2", SQUARE8)  # compiled before the clock runs
    assert max(d.sims for d in decided(f"{kind}:ms=1000", SQUARE8)) > own
    assert [d.sims for d in decided(f"{kind}:ms=60000,sims=5", SQUARE8)] == [5, 5]


def test_a_schedule_is_stretched_and_that_is_part_of_the_identity() -> None:
    text, quiet = "mcts:sims=4,temp=alphazero", "mcts:sims=4"
    wide = {"move_scale": board_move_scale("hexagonal")}
    assert identify(text, SQUARE8, **wide) == make_agent(text, SQUARE8, **wide).spec
    assert identify(text, SQUARE8, **wide).agent_hash != identify(text, SQUARE8).agent_hash
    assert identify(quiet, SQUARE8, **wide) == identify(quiet, SQUARE8)
    assert identify(quiet, SQUARE8, explore=True, **wide) != identify(quiet, SQUARE8, explore=True)


@pytest.mark.parametrize("text", ["mcts:sims=16,temp=alphazero", "gumbel@abcdef:temp=alphazero"])
def test_twice_the_scale_draws_moves_up_to_twice_the_ply(text: str) -> None:
    """The schedule draws before ply 30 and takes the best from there on."""
    late = [p for p in choices(SQUARE8, 400) if 30 <= p.ply < 60][:1]
    batch = batch_of(late * 40)
    found = []
    for scale in (1.0, 2.0):
        agent = make_agent(text, SQUARE8, load, move_scale=scale)
        found.append(len({d.move for d in agent.choose(batch, Budget(sims=16), Rngs())}))
    assert found[0] == 1
    assert found[1] > 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mcts", "gumbel", "descent"])
@pytest.mark.parametrize("policy", [False, True])
def test_tree_searches_take_an_nnue_with_or_without_a_policy(
    tmp_path: Path, kind: str, policy: bool
) -> None:
    path = init_nnue(SQUARE8, folder=tmp_path, seed=1, hidden=128, policy=policy)
    agent = make_agent(f"{kind}@abcdef:sims=4", SQUARE8, lambda _: open_model(path, SQUARE8))
    for decision in agent.choose(batch_of(choices(SQUARE8, 2)), Budget(), Rngs()):
        assert sum(share for _, share in decision.policy or ()) == pytest.approx(1)
        assert sum(decision.value or ()) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["alphabeta", "paranoid", "maxn", "brs"])
def test_alpha_beta_evaluates_its_leaves_with_an_nnue(tmp_path: Path, kind: str) -> None:
    spec = BoardSpec.create("square8", 2 if kind == "alphabeta" else 3)
    path = init_nnue(spec, folder=tmp_path, seed=1, hidden=128)
    agent = make_agent(f"{kind}@abcdef:depth=1", spec, lambda _: open_model(path, spec))
    assert agent.spec.model_id == open_model(path, spec).id
    batch = batch_of(choices(spec, 2))
    for decision in agent.choose(batch, Budget(), Rngs()):
        assert decision.value is not None
        assert sum(decision.value) == pytest.approx(0)


def test_a_blend_has_the_opinions_of_both(tmp_path: Path) -> None:
    path = init_nnue(SQUARE8, folder=tmp_path, seed=1, hidden=128)

    def scores(share: float) -> Any:
        agent = make_agent(
            f"blend@abcdef:share={share}", SQUARE8, lambda _: open_model(path, SQUARE8)
        )
        assert isinstance(agent, HeuristicAgent)
        return agent.scores(batch_of(choices(SQUARE8, 3)))[0]

    heuristic = make_agent("heuristic", SQUARE8)
    assert isinstance(heuristic, HeuristicAgent)
    own = heuristic.scores(batch_of(choices(SQUARE8, 3)))[0]
    assert scores(0.0) == pytest.approx(own)
    assert scores(0.25) == pytest.approx(0.75 * own + 0.25 * scores(1.0), abs=1e-6)
    assert scores(1.0) != pytest.approx(own)


def test_a_search_without_models_at_hand_is_refused() -> None:
    with pytest.raises(UsageError, match="no models"):
        make_agent("gumbel@abcdef", SQUARE8)


def test_a_mix_is_its_parts_and_draws_once_per_game_and_seat() -> None:
    agent = make_agent("mix(random*1;heuristic*3)", SQUARE8)
    assert agent.spec == identify("mix(random*1;heuristic*3)", SQUARE8)
    assert agent.spec.agent_hash != identify("mix(heuristic*3;random*1)", SQUARE8).agent_hash
    draws = [agent.drawn(seed, 1, Rngs()) for seed in range(2000)]  # type: ignore[attr-defined]
    assert 0.71 < sum(draws) / 2000 < 0.79
    batch = batch_of(choices(SQUARE8, 32))
    decisions = agent.choose(batch, Budget(), Rngs())
    for i, decision in enumerate(decisions):
        seat = int(batch.states[i]["misc"][1])
        alone = ("random", "heuristic")[agent.drawn(i, seat, Rngs())]  # type: ignore[attr-defined]
        one = Batch(SQUARE8, batch.states[i : i + 1], [i])
        assert make_agent(alone, SQUARE8).choose(one, Budget(), Rngs()) == [decision]


def test_an_agent_of_a_swap_game_refuses_no_position_of_it() -> None:
    position = Position.of(PIE)
    (decision,) = make_agent("heuristic", PIE).choose(batch_of([position]), Budget(), Rngs())
    assert decision.move in position.legal_packed()
