"""Ten levels: times, availability, overrides, randomness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ringrift.agents.factory import identify, make_agent
from ringrift.agents.ladder import LEVELS, LadderAgent, ladder, level_of, playable
from ringrift.agents.protocol import Agent, Batch, Budget, Budgets, Decision, Rngs
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec, Position

from .games import CONFIGURATIONS, batch_of, choices

SQUARE8 = BoardSpec.create("square8")


@dataclass
class Change:
    agent: str | None = None
    randomness: float | None = None
    think_ms: int | None = None
    model: str | None = None


def no_model(name: str) -> None:
    raise UsageError(f"no model {name!r}")


def any_model(name: str) -> str:
    return name


@pytest.mark.parametrize(
    ("config", "times_ms"),
    [
        ("square8_2p", [150, 200, 1800, 2800, 4000, 5500, 7500, 9600, 12600, 16000]),
        ("hex8_3p", [150, 250, 2000, 3200, 4500, 6000, 8500, 11000, 14000, 18000]),
        ("square8_4p", [150, 300, 2200, 3500, 5000, 6500, 9000, 12000, 15000, 20000]),
        ("square19_2p", [150, 300, 2500, 4000, 6000, 8000, 11000, 14000, 18000, 24000]),
        ("hexagonal_3p", [150, 400, 2800, 4600, 6800, 8700, 12500, 16000, 20000, 27000]),
        ("square19_4p", [150, 500, 3100, 5000, 7500, 9500, 13200, 17500, 21400, 30000]),
    ],
)
def test_think_times(config: str, times_ms: list[int]) -> None:
    assert [level.think_ms for level in ladder(config)] == times_ms


def test_randomness_falls_to_nothing_and_times_rise() -> None:
    shares = [level.randomness for level in ladder("square8_2p")]
    assert shares == [0.5, 0.3, 0.15, 0.08, 0.05, 0.02, 0, 0, 0, 0]
    for board, players in CONFIGURATIONS:
        times = [level.think_ms for level in ladder(f"{board}_{players}p")]
        assert times == sorted(times)


def test_models_are_named_by_configuration() -> None:
    levels = ladder("square19_3p")
    assert [level.model for level in levels[:5]] == [None, None, None, "nnue_square19_3p", None]
    assert {level.model for level in levels[5:]} == {"ringrift_best_sq19_3p"}
    assert str(levels[3].agent) == "alphabeta@nnue_square19_3p"
    assert levels[3].budget.depth == 3


def test_a_level_without_its_model_is_unavailable_with_the_reason() -> None:
    for find in (None, no_model):
        levels = ladder("hex8_2p", find)
        assert [level.level for level in levels if level.available and level.model] == []
        for level in levels[5:]:
            assert level.reason is not None
        with pytest.raises(UsageError, match=r"level 10 of hex8_2p is unavailable: .*best_hex8_2p"):
            playable("hex8_2p", 10, find)
        with pytest.raises(UsageError, match="unavailable"):
            make_agent("ladder:level=10", BoardSpec.create("hex8"))
    assert all(level.available for level in ladder("hex8_2p", any_model))


@pytest.mark.parametrize("level", [0, 11, -1])
def test_there_are_ten_levels(level: int) -> None:
    with pytest.raises(UsageError, match=f"expected 1 to {LEVELS}"):
        level_of("square8_2p", level)


def test_overrides_change_single_fields_of_one_configuration() -> None:
    changes = {
        "2": {"square8_2p": Change(think_ms=77)},
        "6": {"square8_2p": Change(model="abcdef")},
    }
    assert level_of("square8_2p", 2, changes).think_ms == 77
    assert level_of("square8_2p", 2, changes).randomness == 0.3
    assert level_of("square8_2p", 2, changes).overridden
    assert level_of("hex8_2p", 2, changes) == level_of("hex8_2p", 2)
    assert str(level_of("square8_2p", 6, changes).agent) == "mcts@abcdef"
    other = {"6": {"square8_2p": Change(agent="descent:sims=9", randomness=0.5)}}
    changed = level_of("square8_2p", 6, other)
    assert (str(changed.agent), changed.model, changed.available) == ("descent:sims=9", None, True)
    with pytest.raises(UsageError, match="ladder is no agent of a level"):
        level_of("square8_2p", 2, {"2": {"square8_2p": Change(agent="ladder:level=1")}})


def test_an_override_is_another_agent() -> None:
    plain = identify("level_2", SQUARE8)
    changed = identify("level_2", SQUARE8, levels={"2": {"square8_2p": Change(randomness=0.1)}})
    assert plain.text == changed.text
    assert plain.agent_hash != changed.agent_hash
    assert make_agent("level_2", SQUARE8).spec == plain


class Recorder:
    """Passes on what an agent is asked."""

    def __init__(self, inner: Agent) -> None:
        self.spec, self.inner = inner.spec, inner
        self.budgets: list[Budget] = []

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        assert not isinstance(budget, Budget)
        self.budgets += budget
        return self.inner.choose(positions, Budget(sims=2), rng)


def test_think_time_is_the_budget_unless_the_caller_limits_it() -> None:
    inner = Recorder(make_agent("descent:sims=2", SQUARE8))
    agent = LadderAgent(inner.spec, level_of("square8_2p", 4), inner)
    batch = batch_of(choices(SQUARE8, 3))
    agent.choose(batch, [Budget(), Budget(time_ms=50), Budget(sims=9, depth=8)], Rngs())
    assert inner.budgets == [
        Budget(depth=3, time_ms=2800),
        Budget(depth=3, time_ms=50),
        Budget(depth=3, sims=9),
    ]


def test_the_share_of_drawn_choices_and_how_they_are_drawn() -> None:
    agent, best = make_agent("level_2", SQUARE8), make_agent("heuristic", SQUARE8)
    position = choices(SQUARE8, 1, seed=3)[0]
    n = 3000
    batch = batch_of([position] * n)
    decisions = agent.choose(batch, Budget(), Rngs())
    drawn = [d for d in decisions if d.kind == "random"]
    assert 0.27 < len(drawn) / n < 0.33
    kept = [
        (a, b)
        for a, b in zip(decisions, best.choose(batch, Budget(), Rngs()), strict=True)
        if a.kind == "full"
    ]
    assert all(a.move == b.move for a, b in kept)
    scores, moves, _ = best.scores(batch_of([position]))  # type: ignore[attr-defined]
    wanted = np.exp(scores) / np.exp(scores).sum() * len(drawn)
    found = np.array([sum(d.move == move for d in drawn) for move in moves.tolist()])
    assert ((found - wanted) ** 2 / wanted).sum() < 2 * len(moves) + 10


def test_a_search_draws_from_its_policy() -> None:
    inner = make_agent("descent:sims=8", SQUARE8)
    level = level_of("square8_2p", 3, {"3": {"square8_2p": Change(randomness=1.0)}})
    position = choices(SQUARE8, 1, seed=3)[0]
    n = 400
    batch = batch_of([position] * n)
    budget = Budget(sims=8)
    agent = LadderAgent(inner.spec, level, inner)
    decisions = agent.choose(batch, budget, Rngs())
    assert {d.kind for d in decisions} == {"random"}
    policy = dict(inner.choose(batch_of([position]), budget, Rngs())[0].policy or ())
    top = max(policy, key=lambda move: policy[move])
    share = np.mean([d.move == top for d in decisions])
    assert abs(share - policy[top]) < 4 * np.sqrt(policy[top] * (1 - policy[top]) / n) + 1e-9


def test_decisions_do_not_depend_on_the_batch() -> None:
    agent = make_agent("level_2", SQUARE8)
    batch = batch_of(choices(SQUARE8, 32))
    together = agent.choose(batch, Budget(), Rngs())
    for i in range(32):
        one = Batch(SQUARE8, batch.states[i : i + 1], [batch.seeds[i]])
        assert agent.choose(one, Budget(), Rngs()) == [together[i]]


@pytest.mark.acceptance
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("weak", "strong"), [(1, 2), (2, 3)])
def test_levels_rank_in_40_games_at_5_percent_of_the_times(weak: int, strong: int) -> None:
    """Chance alone would give the stronger side half of the games."""
    agents = {level: make_agent(f"level_{level}", SQUARE8) for level in (weak, strong)}
    won = 0.0
    for game in range(40):
        seats = (weak, strong) if game % 2 else (strong, weak)
        position = Position.of(SQUARE8)
        while not position.is_over and position.ply < 500:
            level = seats[position.current_player - 1]
            budget = Budget(time_ms=0.05 * level_of("square8_2p", level).think_ms)
            batch = batch_of([position], [game // 2])
            position.play(agents[level].choose(batch, budget, Rngs())[0].move)
        won += 0.5 if not position.is_over else float(seats[position.winner - 1] == strong)
    assert won > 20
