"""Weights of samples: what they favour, their bounds and mean, and what they leave alone."""

from types import SimpleNamespace

import numpy as np
import pytest

from ringrift.core.errors import NegativeResult
from ringrift.rules import layout as lay
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.samples.coverage import choose_policy_loss
from ringrift.training.samples.samplers import EMPHASIS, sample_weights


class Table(SimpleNamespace):
    def __len__(self):
        return len(self.ply)


def table(count=4000, seed=0, **changed):
    """Samples of games of 100 plies, some ways of winning rarer than others."""
    rng = np.random.default_rng(seed)
    values = {
        "ply": rng.integers(0, 100, count).astype(np.int32),
        "total_plies": np.full(count, 100, np.int32),
        "phase": rng.integers(0, 7, count).astype(np.int8),
        "victory_type": rng.choice(4, count, p=[0.5, 0.25, 0.15, 0.1]).astype(np.int8),
        "policy_weight": np.ones(count, np.float32),
        "value_weight": np.ones(count, np.float32),
        "searched": np.zeros(count, np.bool_),
        "dataset": "d" * 64,
    }
    return Table(**{**values, **changed})


@pytest.mark.parametrize(
    "sampling", ["uniform", "late_game", "phase_emphasis", "combined", "victory_type"]
)
def test_weights_have_mean_one_within_their_bounds(sampling):
    for weights in sample_weights(table(), sampling):
        assert weights.dtype == np.float32
        assert weights.mean() == pytest.approx(1, abs=1e-4)
        assert weights.min() >= np.float32(0.2)
        assert weights.max() <= 5


def test_ways_of_winning_weigh_alike_in_the_policy_and_not_at_all_in_values():
    samples = table(policy_weight=np.where(np.arange(4000) % 3, 1, 0).astype(np.float32))
    policy, value = sample_weights(samples, "victory_type")
    assert (value == 1).all()
    counted = samples.policy_weight > 0
    totals = [policy[counted & (samples.victory_type == kind)].sum() for kind in range(4)]
    assert max(totals) / min(totals) < 1.01


def test_a_very_rare_way_of_winning_keeps_the_bound():
    kinds = np.zeros(4000, np.int8)
    kinds[:2] = 1
    policy, _ = sample_weights(table(victory_type=kinds), "victory_type")
    assert policy[0] == 5
    assert policy.mean() == pytest.approx(1, abs=1e-4)


def test_later_plies_weigh_more_by_the_square():
    samples = table()
    policy, value = sample_weights(samples, "late_game")
    assert (policy == value).all()
    free = (policy > 0.2001) & (policy < 4.999)
    ratio = policy[free] / (samples.ply[free] / 100.0) ** 2
    assert ratio.max() / ratio.min() == pytest.approx(1, abs=1e-4)
    assert free.any()
    assert not free.all()


def test_phases_weigh_as_documented():
    samples = table()
    policy, _ = sample_weights(samples, "phase_emphasis")
    unit = policy[samples.phase == lay.MOVEMENT][0]
    for phase, weight in EMPHASIS.items():
        found = policy[samples.phase == phase] / unit
        assert np.allclose(found, weight, atol=1e-5), phase
    assert EMPHASIS[lay.PLACEMENT] == 0.5
    assert EMPHASIS[lay.LINES] == 1.5
    assert EMPHASIS[lay.TERRITORY] == EMPHASIS[lay.FORCED] == 2.0


def test_combined_is_the_product_of_both():
    samples = table()
    policy, _ = sample_weights(samples, "combined")
    raw = (samples.ply / 100.0) ** 2 * np.array([EMPHASIS[p] for p in samples.phase.tolist()])
    free = (policy > 0.2001) & (policy < 4.999)
    ratio = policy[free] / raw[free]
    assert ratio.max() / ratio.min() == pytest.approx(1, abs=1e-4)


def test_samples_without_any_weight_stay_as_they_are():
    nothing = np.zeros(4000, np.float32)
    policy, value = sample_weights(table(policy_weight=nothing), "late_game")
    assert (policy == 1).all()
    assert value.mean() == pytest.approx(1, abs=1e-4)
    assert [len(w) for w in sample_weights(table(0), "combined")] == [0, 0]
    first = table(ply=np.zeros(4000, np.int32))
    assert (sample_weights(first, "late_game")[0] == 1).all()


def covered(share, count=1000, **changed):
    return table(count, searched=np.arange(count) < round(share * count), **changed)


@pytest.mark.parametrize(
    ("share", "loss"), [(0.40, "kl"), (0.10, "ce"), (0.29, "ce"), (0.30, "kl"), (0.31, "kl")]
)
def test_coverage_decides_between_the_losses(share, loss):
    choice = choose_policy_loss(covered(share), TrainSettings())
    assert choice.loss == loss
    assert choice.coverage == pytest.approx(share)
    assert f"{share:.2f}" in choice.reason
    assert choice.facts()["searched"] == round(1000 * share)


def test_too_few_searched_samples_are_not_enough():
    assert choose_policy_loss(covered(0.49, 100), TrainSettings()).loss == "ce"
    assert choose_policy_loss(covered(0.50, 100), TrainSettings()).loss == "kl"
    settings = TrainSettings(kl_min_samples=10, kl_min_coverage=0.1)
    assert choose_policy_loss(covered(0.1, 100), settings).loss == "kl"


def test_samples_without_policy_weight_do_not_count():
    weight = np.where(np.arange(1000) < 400, 0, 1).astype(np.float32)
    choice = choose_policy_loss(covered(0.5, policy_weight=weight), TrainSettings())
    assert choice.samples == 600
    assert choice.searched == 100
    assert choice.loss == "ce"


def test_what_is_asked_for_is_taken():
    assert choose_policy_loss(covered(0.1), TrainSettings(policy_loss="kl")).loss == "kl"
    assert choose_policy_loss(covered(0.9), TrainSettings(policy_loss="ce")).loss == "ce"
    with pytest.raises(NegativeResult, match="none of 1000 policy samples"):
        choose_policy_loss(covered(0.0), TrainSettings(policy_loss="kl"))
    nothing = table(10, policy_weight=np.zeros(10, np.float32))
    assert choose_policy_loss(nothing, TrainSettings()).coverage is None
