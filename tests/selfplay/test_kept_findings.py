"""What records keep of searches beside policy and value: visits, and how far from the prior."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ringrift.agents.evaluators import HeuristicEvaluator
from ringrift.records.analysis import Analysis
from ringrift.records.ply_analysis import POLICY_TOTAL
from ringrift.records.record import GameRecord
from ringrift.records.replayer import Replayer
from ringrift.records.verify import verify
from ringrift.rules.geometry import board_tables
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.plans import Played
from ringrift.selfplay.reanalyze import ReanalyzeJob, search_games

from .jobs import SQUARE8, job

SIMS = 12


def played(agent: str) -> list[Played]:
    made = job(agent, max_plies=40)
    return list(play_here(made, selfplay_plans(SQUARE8, range(2), 5), games=2))


def check(record: GameRecord, analysis: Analysis) -> None:
    """Compare each divergence with plain Python over the policy as it is kept."""
    verify(record, analysis)
    evaluator, boards = HeuristicEvaluator(SQUARE8), board_tables(SQUARE8)
    by_ply = {p.ply: p for p in analysis.plies}
    assert by_ply
    replayer = Replayer(SQUARE8, record.start, record.moves)
    for ply, position in replayer.walk(by_ply):
        kept = by_ply[ply]
        assert kept.visits is not None
        assert 0 < sum(kept.visits.values()) <= SIMS
        assert min(kept.visits.values()) > 0
        moves = position.legal_packed()
        bounds = np.array([0, len(moves)], np.int32)
        logits, _ = evaluator.evaluate(position._states, boards, moves, bounds)
        weights = np.exp(logits - logits.max()).tolist()
        nats = 0.0
        for move, weight in zip(moves.tolist(), weights, strict=True):
            share = kept.policy.get(move, 0) / POLICY_TOTAL
            nats += share * math.log(share * sum(weights) / weight) if share else 0.0
        assert kept.prior_kl == pytest.approx(nats, abs=2e-3)


@pytest.mark.parametrize("agent", [f"gumbel:eval=heuristic,m=4,sims={SIMS}",
                                   f"mcts:eval=heuristic,sims={SIMS},reuse=off"])  # fmt: skip
def test_games_and_reanalysis_keep_visits_and_divergence(agent: str) -> None:
    for record, (analysis,) in played(agent):
        check(record, analysis)
        (again,) = search_games([(record, ())], ReanalyzeJob(agent=agent, every=3))
        assert again is not None
        check(record, again)
