"""Which samples and moves are learned from."""

from dataclasses import replace

import numpy as np
import pytest

from ringrift.rules import BoardSpec
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.nnue.selection import keep_best_moves, select_samples

from .positions import positions
from .tables import table_from

SQUARE8 = BoardSpec.create("square8", 2)


@pytest.fixture(scope="module")
def table():
    """Samples of which the mover wins every other."""
    made = table_from(positions(SQUARE8, 40))
    rank = made.rank.copy()
    rank[::2] = rank[::2, ::-1]
    return replace(made, rank=rank, win=rank[:, :, 0])


def test_winners_alone_teach_the_policy(table):
    kept = select_samples(table, TrainSettings(distill_from_winners=True), policy=True)
    won = table.rank[:, 0, 0] == 1
    assert won.sum() == 20
    assert kept.policy_weight.tolist() == won.astype(float).tolist()
    assert (kept.value_weight == 1).all()
    alone = replace(table, value_weight=np.zeros(40, np.float32))
    kept = select_samples(alone, TrainSettings(distill_from_winners=True), policy=True)
    assert len(kept) == 20


def test_winners_may_weigh_more(table):
    kept = select_samples(table, TrainSettings(winner_weight_boost=2.5), policy=True)
    assert kept.policy_weight.tolist() == [1.0, 2.5] * 20


def test_a_value_net_leaves_the_policy_and_what_has_no_result(table):
    weight = np.where(np.arange(40) < 7, 0, 1).astype(np.float32)
    kept = select_samples(replace(table, value_weight=weight), TrainSettings(), policy=False)
    assert len(kept) == 33
    assert not kept.policy_weight.any()


def test_targets_keep_their_best_moves(table):
    kept = keep_best_moves(table, 5)
    for i in range(len(table)):
        before = slice(table.policy_ptr[i], table.policy_ptr[i + 1])
        now = slice(kept.policy_ptr[i], kept.policy_ptr[i + 1])
        probs = table.policy_probs[before]
        told = dict(zip(table.policy_moves[before].tolist(), probs.tolist(), strict=True))
        best = sorted(told, key=told.__getitem__, reverse=True)[:5]
        assert set(kept.policy_moves[now].tolist()) == set(best)
        total = sum(told[m] for m in best)
        found = zip(kept.policy_moves[now].tolist(), kept.policy_probs[now].tolist(), strict=True)
        assert all(p == pytest.approx(told[m] / total, rel=1e-5) for m, p in found)
        order = [m for m in told if m in set(best)]
        assert kept.policy_moves[now].tolist() == order
    assert keep_best_moves(table, 10_000) is table
