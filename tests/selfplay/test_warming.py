"""What a job has compiled, and that the first worker compiles it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringrift.agents.protocol import Agent, Batch, Budgets, Decision, Rngs
from ringrift.rules import BoardSpec, jitconf
from ringrift.selfplay.control import SearchControl
from ringrift.selfplay.generator import play_games
from ringrift.selfplay.lockstep import Table
from ringrift.selfplay.shelf import AgentShelf
from ringrift.selfplay.warming import compiled_parts, warm, warm_mark
from ringrift.selfplay.workers import WorkerPool

from .jobs import SQUARE8, job


def test_kind_evaluator_way_players_and_options_are_named() -> None:
    mix = "mix(heuristic:mode=light*0.5;random*0.5)"
    made = job("gumbel:eval=heuristic,sims=8", "mcts:eval=rollout", mix, "alphabeta:depth=2")
    assert compiled_parts(made) == (
        "2 players",
        "alphabeta heuristic paranoid",
        "analyses",
        "gumbel heuristic",
        "heuristic light",
        "mcts rollout",
        "random",
    )
    three = job(
        "heuristic",
        spec=BoardSpec.create("hex8", 3),
        analyse=False,
        control=SearchControl(opening_top_k=3),
    )
    assert compiled_parts(three) == ("3 players", "best moves", "heuristic full")


def test_another_number_of_simulations_or_board_needs_nothing_new() -> None:
    one = job("gumbel:eval=heuristic,sims=8")
    assert warm_mark(one) == warm_mark(job("gumbel:eval=heuristic,sims=200,m=4"))
    assert warm_mark(one) == warm_mark(replace(one, spec=BoardSpec.create("hex8")))
    others: list[dict[str, Any]] = [
        {"agents": ("mcts:eval=heuristic,sims=8",)},
        {"spec": BoardSpec.create("square8", 3)},
        {"spec": BoardSpec.create("square8", 2, swap_rule=True)},
    ]
    for changed in others:
        assert warm_mark(one) != warm_mark(replace(one, **changed))


def test_a_models_kind_is_the_evaluator(tmp_path: Path) -> None:
    from ringrift.nets.model_file import init_model

    path = init_model(SQUARE8, size="tiny", seed=1, folder=tmp_path)
    made = job("gumbel@abcdef", models={"abcdef": str(path)})
    assert "gumbel cnn" in compiled_parts(made)
    assert "gumbel" in compiled_parts(replace(made, models={}))


class Counted:
    """An agent that counts the positions it decides."""

    def __init__(self, inner: Agent) -> None:
        self.inner = inner
        self.spec = inner.spec
        self.asked = 0

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        self.asked += len(positions)
        return self.inner.choose(positions, budget, rng)


@pytest.mark.parametrize("size", [1, 4])
def test_every_agent_plays_in_a_table_of_any_size(size: int) -> None:
    made = job("random", "heuristic", "heuristic:mode=light", "heuristic:eps=0.5", "random")
    agents = [Counted(agent) for agent in AgentShelf().agents(made)]
    warm(Table(made, agents, size))
    assert min(agent.asked for agent in agents) > 0


@pytest.mark.slow
def test_the_first_worker_leaves_the_mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jitconf, "cache_folder", lambda room: tmp_path / room)
    made = job("random")
    with WorkerPool(2, 1) as pool:
        assert len(list(play_games(made, range(2), 7, pool=pool))) == 2
    assert [warm_mark(made)] == list((tmp_path / "selfplay").iterdir())
