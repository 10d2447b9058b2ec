"""Only a set that is better by more than seeds differ is kept."""

import pytest

from ringrift.tuning.hp.confirm import Confirmation, Trained, confirm


def side(*losses):
    return tuple(Trained(loss=loss, model=f"m{n}") for n, loss in enumerate(losses))


@pytest.mark.parametrize(
    ("best", "present", "wins"),
    [
        ((1.00, 1.01, 1.02), (1.10, 1.11, 1.12), True),
        ((1.00, 1.05, 1.12), (1.10, 1.11, 1.12), False),  # seeds differ by more than the gain
        ((1.10, 1.11, 1.12), (1.00, 1.01, 1.02), False),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), False),
    ],
)
def test_the_gain_must_exceed_the_spread(best, present, wins):
    found = Confirmation(best=side(*best), present=side(*present))
    assert found.wins is wins
    assert found.gain == pytest.approx(sum(present) / 3 - sum(best) / 3)


def test_both_sides_are_trained_with_the_same_new_seeds():
    asked = []

    def measure(side, seed, values):
        asked.append((side, seed, values["learning_rate"]))
        return Trained(loss=values["learning_rate"] + seed / 1000, model=side)

    found = confirm(measure, {"learning_rate": 1.0}, {"learning_rate": 2.0}, seed=42)
    assert asked == [("best", n, 1.0) for n in (43, 44, 45)] + [
        ("present", n, 2.0) for n in (43, 44, 45)
    ]
    assert found.wins
