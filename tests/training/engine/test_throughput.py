"""The measurement of the training loop: both loops learn, and the interval is what it says."""

import pytest
import torch

from ringrift.training.engine.throughput import PRELOADED, WARM_UP, measure, median_interval

from .toy import ToyTask, settings_of


def test_both_loops_take_the_same_steps_in_turns():
    settings, tasks = settings_of(epochs=100_000), []

    def make():
        tasks.append(ToyTask(settings))
        return tasks[-1]

    before = ToyTask(settings).net[0].weight.detach().clone()
    found = measure(make, settings, seconds=0.02, rounds=3)
    assert len(found.trainer) == len(found.bare) == len(found.feed) == 3
    assert found.batch_samples == 20
    assert len(tasks[0].moments) == WARM_UP + 3 * found.steps
    assert tasks[1].moments == []
    assert all(not torch.equal(task.net[0].weight, before) for task in tasks)
    assert found.ratios == tuple(a / b for a, b in zip(found.trainer, found.bare, strict=True))
    assert found.interval is None
    assert found.feed_ratio > 0


def test_a_feed_that_is_too_slow_shows():
    settings = settings_of(epochs=100_000)
    delays = iter([0.004, 0.0])
    found = measure(
        lambda: ToyTask(settings, delay_s=next(delays)), settings, seconds=0.02, rounds=1
    )
    assert found.ratio < 0.8
    assert found.feed_ratio < 1
    assert ToyTask(settings).batches_per_epoch >= PRELOADED


def test_the_interval_of_a_median_is_that_of_order_statistics():
    assert median_interval((1.0,) * 5) is None
    six = median_interval((3.0, 1.0, 2.0, 6.0, 5.0, 4.0))
    assert (six.low, six.high) == (1.0, 6.0)
    nine = median_interval(tuple(map(float, range(9))))
    assert (nine.low, nine.high) == (1.0, 7.0)
    many = median_interval(tuple(map(float, range(100))))
    assert (many.low, many.high) == pytest.approx((39, 60))
