"""The evaluator that searches call: one answer per position, priors from policy or values."""

import subprocess
import sys

import numpy as np
import pytest

from ringrift.core.errors import UsageError
from ringrift.nets.nnue.evaluator import PLACES, NnueEvaluator
from ringrift.nets.nnue.forward import PRIOR_TEMPERATURE
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables

from ..sampling import batch, positions
from .nets import made


@pytest.mark.parametrize("prior", ["policy", "value"])
@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3)])
def test_neither_batch_nor_order_changes_an_answer(board, players, prior):
    spec, _, _, net = made(board, players)
    chosen = positions(spec, PLACES + 10)
    tables = board_tables(spec)
    evaluator = NnueEvaluator(net, spec, wide=False, prior=prior)
    states, moves, offsets = batch(chosen)
    logits, values = evaluator.evaluate(states, tables, moves, offsets)
    for i in (69, 3, 68, 0):
        one = batch([chosen[i]])
        alone, value = evaluator.evaluate(one[0], tables, one[1], one[2])
        assert np.array_equal(alone, logits[offsets[i] : offsets[i + 1]])
        assert np.array_equal(value[0], values[i])
    states, moves, offsets = batch(chosen[::-1])
    _, backwards = evaluator.evaluate(states, tables, moves, offsets)
    assert np.array_equal(backwards[::-1], values)
    assert len(np.unique(values[:, 0])) > 30


def test_value_priors_are_the_values_right_after_each_move():
    spec, _, _, net = made("square8", 2, policy=False)
    evaluator = NnueEvaluator(net, spec, wide=False, prior="value")
    tables = board_tables(spec)
    for position in positions(spec, 10):
        logits, _ = evaluator.evaluate(
            position._states, tables, position.legal_packed(),
            np.array([0, len(position.legal_packed())], np.int32),
        )  # fmt: skip
        for move, logit in zip(position.legal_packed().tolist(), logits.tolist(), strict=True):
            after = position.after(move)
            if after.is_over:
                expected = 1.0 if after.result.winner == position.current_player else -1.0
            else:
                none = np.zeros(0, np.int64), np.zeros(2, np.int32)
                _, values = evaluator.evaluate(after._states, tables, *none)
                expected = float(values[0, position.current_player - 1])
            assert logit * PRIOR_TEMPERATURE == pytest.approx(expected, abs=1e-6)


def test_a_net_without_policy_head_gives_no_policy():
    spec, _, _, net = made("square8", 2, policy=False)
    with pytest.raises(UsageError, match="no policy head"):
        NnueEvaluator(net, spec, wide=False, prior="policy")


def test_the_search_plays_with_it():
    from ringrift.agents.gumbel import GumbelAgent, GumbelOptions
    from ringrift.agents.protocol import Batch, Budget, Rngs
    from ringrift.agents.spec import ResolvedSpec

    spec, _, _, net = made("square8", 2)
    position = Position.of(spec)
    for prior in ("policy", "value"):
        evaluator = NnueEvaluator(net, spec, wide=False, prior=prior)
        agent = GumbelAgent(
            ResolvedSpec(text="gumbel", agent_hash="0" * 64),
            spec,
            evaluator,
            GumbelOptions(sims=16),
        )
        decision = agent.choose(Batch(spec, position._states, [1]), Budget(), Rngs())[0]
        assert decision.move in position.legal_packed()
        assert decision.sims == 16


def test_nothing_here_loads_torch():
    code = (
        "import sys, ringrift.nets.nnue.file, ringrift.nets.loading\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
