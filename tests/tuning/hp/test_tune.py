"""From trials to the file: what is written, and what never is."""

import json

import pytest

from ringrift.core.hyperparameters import (
    SearchSpace,
    as_json_text,
    load_hyperparameters,
    shipped_hyperparameters,
)
from ringrift.tuning.hp.space import distributions
from ringrift.tuning.hp.study import StudyInterrupted
from ringrift.tuning.hp.tune import order_of, tune

CONFIG = "hex8_2p"
PRESENT = {"learning_rate": 3e-4, "batch_size": 256, "weight_decay": 1e-4, "value_weight": 1.0,
           "policy_weight": 1.0}  # fmt: skip
SPACE = distributions(SearchSpace(), "nn")


def lower_rates_are_worse(number, values, report):
    del number, report
    return 1.0 / values["learning_rate"]


def measured(gain, spread=0.0):
    """Losses of both sides: the best is lower by `gain`, seeds differ by `spread`."""
    return lambda side, seed, values: (
        (1.0 if side == "present" else 1.0 - gain) + spread * (seed % 3)
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "hyperparameters.json"
    content = json.loads(as_json_text(shipped_hyperparameters()))
    content["configs"][CONFIG]["notes"] = "measured on a Tuesday"
    path.write_text(json.dumps(content))
    return path


def run(tmp_path, file, measure, objective=lower_rates_are_worse, **more):
    order = order_of(SPACE, PRESENT, key={"dataset": "d"}, trials=4, seed=1, timeout_s=None)
    return tune(
        order, objective, measure, PRESENT,
        config=CONFIG, study=tmp_path / "study.db", file=file, **more,
    )  # fmt: skip


def test_a_clear_winner_is_written_whole_and_notes_are_kept(tmp_path, file):
    before = json.loads(file.read_text())
    tuned = run(tmp_path, file, measured(0.1, spread=0.01))
    entry = load_hyperparameters(file).content.configs[CONFIG]
    assert entry == tuned.entry
    assert entry.hyperparameters.given() == tuned.study.best.values
    assert (entry.optimized, entry.confidence, entry.tuning_trials) == (True, "low", 4)
    assert entry.notes == "measured on a Tuesday"
    assert entry.best_val_loss == pytest.approx(0.91)
    after = json.loads(file.read_text())
    for tree in (before, after):
        tree.pop("last_updated")
        tree["configs"].pop(CONFIG)
    assert after == before


@pytest.mark.parametrize("measure", [measured(-0.1), measured(0.0), measured(0.015, spread=0.01)])
def test_a_set_that_is_not_clearly_better_is_never_written(tmp_path, file, measure):
    before = file.read_bytes()
    tuned = run(tmp_path, file, measure)
    assert tuned.entry is None
    assert not tuned.confirmation.wins
    assert file.read_bytes() == before


def test_the_present_set_needs_no_confirmation_when_it_is_the_best(tmp_path, file):
    def objective(number, values, report):
        return 0.0 if number == 1 else lower_rates_are_worse(number, values, report)

    tuned = run(tmp_path, file, lambda *_: pytest.fail("trained"), objective)
    assert tuned.study.best.values == PRESENT
    assert (tuned.confirmation, tuned.entry) == (None, None)


def test_an_interrupted_study_writes_nothing_and_goes_on(tmp_path, file):
    def objective(number, values, report):
        if number == 3:
            raise StudyInterrupted
        return lower_rates_are_worse(number, values, report)

    stopped = []
    tuned = run(
        tmp_path, file, lambda *_: pytest.fail("trained"), objective,
        on_trial=lambda one: stopped.append(one.number), stop=lambda: stopped == [1, 2],
    )  # fmt: skip
    assert (tuned.interrupted, tuned.entry, len(tuned.study.trials)) == (True, None, 2)
    assert run(tmp_path, file, measured(0.1)).entry is not None
