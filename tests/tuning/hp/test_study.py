"""Studies: what they find, what they end early, and going on after a death."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift.core.errors import BusyError, NegativeResult, UsageError
from ringrift.core.files import lock
from ringrift.core.hyperparameters import SearchSpace
from ringrift.tuning.hp.space import (
    SEARCHED,
    as_params,
    as_values,
    distributions,
    searched_of,
)
from ringrift.tuning.hp.study import (
    StudyOrder,
    TrialFailed,
    best_of,
    run_study,
)

SPACE = distributions(SearchSpace(), searched_of("nnue-policy"))
WORST = 8.0


def order(trials, *, seed=1, kind="nnue-policy", **more):
    space = distributions(SearchSpace(), searched_of(kind))
    return StudyOrder(space=space, key={"kind": kind}, trials=trials, seed=seed, **more)


def bowl(number, values, report):
    """A quadratic in the logarithm of the learning rate and in the dropout; 1 at the bottom."""
    del number, report
    rate = math.log10(values["learning_rate"]) + 3.0
    return 1.0 + rate * rate + 4.0 * (values["dropout"] - 0.2) ** 2


def losses(result):
    return [(one.number, one.values, one.loss) for one in result.trials]


@pytest.mark.slow
def test_thirty_trials_come_within_a_tenth_of_a_planted_optimum(tmp_path):
    result = run_study(bowl, order(30), tmp_path / "study.db")
    assert result.complete
    assert len(result.trials) == 30
    assert 1.0 <= best_of(result).loss <= 1.1


def test_trials_keep_to_the_space(tmp_path):
    result = run_study(bowl, order(12), tmp_path / "study.db")
    for one in result.trials:
        assert one.values.keys() == set(SEARCHED["nnue-policy"])
        assert as_values(as_params(one.values, SPACE)) == one.values
        assert 1e-5 <= one.values["learning_rate"] <= 1e-2
        assert one.values["batch_size"] in {128, 256, 512, 1024, 2048}
        assert one.values["hidden_dim"] in {128, 256, 384, 512, 768}
        assert one.values["num_hidden_layers"] in range(2, 7)
    assert len({one.values["batch_size"] for one in result.trials}) > 1


@pytest.mark.parametrize(
    "outside",
    [{"batch_size": 4096}, {"hidden_dim": 100}, {"dropout": 0.9}, {"num_hidden_layers": 7}],
)
def test_a_set_outside_the_space_is_no_proposal(outside):
    inside = {"learning_rate": 3e-4, "batch_size": 256, "weight_decay": 1e-4, "value_weight": 1.0,
              "policy_weight": 1.0, "hidden_dim": 256, "num_hidden_layers": 2,
              "dropout": 0.1}  # fmt: skip
    assert as_values(as_params(inside, SPACE)) == inside
    assert as_params({**inside, **outside}, SPACE) is None


def test_the_set_in_use_is_the_first_trial(tmp_path):
    present = {"learning_rate": 3e-4, "log2_batch_size": 8, "weight_decay": 1e-4,
               "value_weight": 1.0, "policy_weight": 1.0, "hidden_dim": 256,
               "num_hidden_layers": 2, "dropout": 0.1}  # fmt: skip
    result = run_study(bowl, order(2, first=present), tmp_path / "study.db")
    assert result.trials[0].values == as_values(present)
    assert result.trials[1].values != as_values(present)


def test_a_trial_worse_than_the_median_ends_after_three_epochs(tmp_path):
    epochs = {}

    def objective(number, values, report):
        loss = WORST if number == 7 else bowl(number, values, report) / 100
        for epoch in range(1, 11):
            epochs[number] = epoch
            report(epoch, loss)
        return loss

    result = run_study(objective, order(7), tmp_path / "study.db")
    assert [one.state for one in result.trials] == ["complete"] * 6 + ["pruned"]
    assert result.trials[6].loss is None
    assert [epochs[n] for n in range(1, 8)] == [10] * 6 + [3]


def test_a_diverged_trial_is_counted_and_never_the_best(tmp_path):
    def objective(number, values, report):
        if number == 1:
            raise TrialFailed
        return math.nan if number == 2 else bowl(number, values, report)

    result = run_study(objective, order(4), tmp_path / "study.db")
    assert [one.state for one in result.trials] == ["failed", "failed", "complete", "complete"]
    assert best_of(result).number in (3, 4)
    with pytest.raises(NegativeResult, match="none of 1"):
        best_of(run_study(lambda *_: math.inf, order(1), tmp_path / "other.db"))


DYING = """
import os, signal, sys
from pathlib import Path
from tuning.hp.test_study import bowl, order
from ringrift.tuning.hp.study import run_study

def objective(number, values, report):
    if number == 6:
        report(1, 1.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return bowl(number, values, report)

run_study(objective, order(8), Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_in_the_sixth_trial_it_goes_on_with_the_sixth(tmp_path):
    path = tmp_path / "study.db"
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(path)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    made = []
    assert len(run_study(bowl, order(5), path, on_trial=made.append).trials) == 5
    assert not made
    result = run_study(bowl, order(8), path, on_trial=made.append)
    assert [one.number for one in made] == [6, 7, 8]
    assert losses(result) == losses(run_study(bowl, order(8), tmp_path / "unbroken.db"))


def test_a_finished_study_makes_no_trial_and_may_grow(tmp_path):
    path = tmp_path / "study.db"
    first = run_study(bowl, order(3), path)
    made = []
    assert run_study(bowl, order(3), path, on_trial=made.append) == first
    assert not made
    run_study(bowl, order(4), path, on_trial=made.append)
    assert [one.number for one in made] == [4]


def test_stop_and_time_end_a_study_that_can_be_gone_on_with(tmp_path):
    path = tmp_path / "study.db"
    made = []
    result = run_study(bowl, order(5), path, on_trial=made.append, stop=lambda: len(made) == 2)
    assert (len(result.trials), result.complete) == (2, False)
    late = run_study(bowl, order(5, timeout_s=0.0), path)
    assert len(late.trials) == 2
    assert run_study(bowl, order(5), path).complete


def test_what_cannot_be_studied_is_refused(tmp_path):
    path = tmp_path / "study.db"
    with pytest.raises(UsageError, match="at least 1"):
        run_study(bowl, order(0), path)
    with pytest.raises(UsageError, match="'cnn'"):
        searched_of("cnn")
    run_study(bowl, order(1), path)
    with pytest.raises(UsageError, match="--resume"):
        run_study(bowl, order(2), path, resume=False)
    with lock(tmp_path / ".study.db.lock"), pytest.raises(BusyError):
        run_study(bowl, order(2), path)
