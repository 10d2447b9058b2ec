"""From a spec to an agent: identity, models, defaults by purpose, kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringrift.agents.factory import identify, make_agent
from ringrift.agents.kinds import KINDS
from ringrift.agents.protocol import Batch, Budget, Rngs
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
def test_every_kind_decides_and_is_who_it_is_said_to_be(kind: str, board: BoardSpec) -> None:
    agent = make_agent(QUICK[kind], board, load)
    ids = {"abcdef": "a" * 64}
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


@pytest.mark.parametrize("text", ["descent:eval=rollout"])
def test_what_this_version_lacks_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not available in this version"):
        make_agent(text, SQUARE8, load)


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
