"""The random and the heuristic agent."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.protocol import Batch, Budget, Decision, Rngs
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec, Position
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.plans import PlayJob

from .games import SMALL, batch_of, choices, random_game

SPECS = ["random", "heuristic", "heuristic:tau=0.2", "heuristic:eps=0.5"]


def decide(text: str, batch: Batch, rng: Rngs | None = None) -> list[Decision]:
    return make_agent(text, batch.spec).choose(batch, Budget(), rng or Rngs())


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize(("board", "players"), SMALL)
def test_a_decision_does_not_depend_on_its_batch(text: str, board: str, players: int) -> None:
    positions = choices(BoardSpec.create(board, players), 64)
    together = decide(text, batch_of(positions))
    alone = [decide(text, batch_of([p], [i]))[0] for i, p in enumerate(positions)]
    order = np.random.default_rng(0).permutation(64).tolist()
    shuffled = decide(text, batch_of([positions[i] for i in order], order))
    assert together == alone
    assert [together[i] for i in order] == shuffled
    for position, decision in zip(positions, together, strict=True):
        assert decision.move in position.legal_packed()


@pytest.mark.parametrize("text", SPECS)
def test_positions_are_left_as_they_were(text: str) -> None:
    batch = batch_of(choices(BoardSpec.create("square8"), 8))
    before = batch.states.tobytes()
    decide(text, batch)
    assert batch.states.tobytes() == before


def test_random_moves_are_uniform() -> None:
    position = choices(BoardSpec.create("square8"), 1, seed=2)[0]
    n = 40 * len(position.legal_packed())
    moves = Counter(d.move for d in decide("random", batch_of([position] * n)))
    assert set(moves) == set(position.legal_packed().tolist())
    assert sum((k - 40) ** 2 / 40 for k in moves.values()) < 3 * len(moves)


def test_temperature_zero_takes_the_best_and_a_high_one_does_not() -> None:
    position = choices(BoardSpec.create("square8"), 1, seed=2)[0]
    batch = batch_of([position] * 200)
    best = {d.move for d in decide("heuristic", batch)}
    warm = {d.move for d in decide("heuristic:tau=50", batch)}
    assert len(best) < len(warm)


def test_a_forced_ply_is_named() -> None:
    forced = next(
        p for p in random_game(BoardSpec.create("square8"), 1) if len(p.legal_packed()) == 1
    )
    for text in ("random", "heuristic", "gumbel:eval=heuristic"):
        (decision,) = decide(text, batch_of([forced]))
        assert (decision.kind, decision.policy, decision.value) == ("forced", None, None)
        assert decision.move == forced.legal_packed()[0]


def test_nothing_to_decide_is_refused() -> None:
    over = random_game(BoardSpec.create("square8"), 1)[-1]
    with pytest.raises(UsageError, match="no legal move"):
        decide("random", batch_of([over]))
    with pytest.raises(UsageError, match="2 seeds"):
        Batch(over.spec, over._states, [1, 2])
    with pytest.raises(UsageError, match="outside"):
        Batch(over.spec, over._states, [-1])


@pytest.mark.parametrize("text", ["random", "heuristic", "gumbel:eval=heuristic"])
def test_the_pie_rule_is_refused_not_ignored(text: str) -> None:
    position = Position.start("square8", swap_rule=True)
    with pytest.raises(UsageError, match="pie rule"):
        decide(text, batch_of([position]))


@pytest.mark.parametrize(("board", "players", "least"), [("square8", 2, 0.85), ("square8", 3, 0.5)])
def test_the_heuristic_beats_random(board: str, players: int, least: float) -> None:
    """The light evaluator scores about 92 % and 65 %; chance would be 50 % and 33 %."""
    spec = BoardSpec.create(board, players)
    job = PlayJob(
        spec=spec, agents=("heuristic", *["random"] * (players - 1)), max_plies=800, explore=False
    )
    plans = selfplay_plans(spec, range(120), 1, opening_choices=0, agents=players)
    won = [r.agents[r.result.winner - 1].spec == "heuristic" for r, _ in play_here(job, plans)]
    assert np.mean(won) > least
