"""From trials to the file: what is written, and what never is."""

import json

import pytest

from ringrift.core.hyperparameters import (
    SearchSpace,
    as_json_text,
    load_hyperparameters,
    shipped_hyperparameters,
)
from ringrift.tuning.hp.confirm import Trained
from ringrift.tuning.hp.contest import Contest
from ringrift.tuning.hp.report import outcome_of
from ringrift.tuning.hp.space import distributions, searched_of
from ringrift.tuning.hp.study import StudyInterrupted
from ringrift.tuning.hp.tune import order_of, tune

CONFIG = "hex8_2p"
PRESENT = {"learning_rate": 3e-4, "batch_size": 256, "weight_decay": 1e-4, "value_weight": 1.0,
           "policy_weight": 1.0}  # fmt: skip
SPACE = distributions(SearchSpace(), searched_of("nn"))


def lower_rates_are_worse(number, values, report):
    del number, report
    return 1.0 / values["learning_rate"]


def measured(gain, spread=0.0):
    """Losses of both sides: the best is lower by `gain`, seeds differ by `spread`."""
    return lambda side, seed, values: Trained(
        loss=(1.0 if side == "present" else 1.0 - gain) + spread * (seed % 3),
        model=f"{side}-{seed}",
    )


def games(score, *, verdict=None, tested=False, complete=True):
    """What the nets of both sides came to in 20 games."""
    return Contest(
        games=20, wins=round(20 * score), losses=20 - round(20 * score), capped=0, score=score,
        even=0.5, tested=tested, verdict=verdict, complete=complete,
    )  # fmt: skip


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


def test_a_set_that_lowers_the_loss_but_loses_its_games_is_not_written(tmp_path, file):
    before = file.read_bytes()
    asked = []

    def play(sides):
        asked.append([one.model for one in (*sides.best, *sides.present)])
        return games(0.45)

    tuned = run(tmp_path, file, measured(0.1, spread=0.01), play=play)
    assert asked == [["best-2", "best-3", "best-4", "present-2", "present-3", "present-4"]]
    assert tuned.confirmation.wins
    assert (tuned.contest.score, tuned.entry, tuned.interrupted) == (0.45, None, False)
    assert file.read_bytes() == before
    assert "score 0.450 in 20 games: nothing written" in outcome_of(tuned)


@pytest.mark.parametrize(
    ("found", "written"),
    [
        (games(0.5), True),
        (games(0.6), True),
        (games(0.6, tested=True, verdict="accept"), True),
        (games(0.6, tested=True, verdict="inconclusive"), False),
        (games(0.6, tested=True, verdict="reject"), False),
    ],
)
def test_games_decide_by_even_odds_or_by_their_test(tmp_path, file, found, written):
    tuned = run(tmp_path, file, measured(0.1), play=lambda sides: found)
    assert (tuned.entry is not None) is written
    if written:
        entry = load_hyperparameters(file).content.configs[CONFIG]
        assert entry.best_elo_score == found.elo


def test_no_games_are_played_for_a_set_that_loses_on_loss(tmp_path, file):
    tuned = run(tmp_path, file, measured(0.0), play=lambda sides: pytest.fail("played"))
    assert (tuned.contest, tuned.entry) == (None, None)


def test_a_contest_that_was_stopped_writes_nothing(tmp_path, file):
    found = games(0.9, complete=False)
    tuned = run(tmp_path, file, measured(0.1), play=lambda sides: found)
    assert (tuned.interrupted, tuned.entry) == (True, None)
    assert run(tmp_path, file, measured(0.1), play=lambda sides: games(0.9)).entry is not None


def test_the_confidence_of_a_tuned_set_grows_with_the_trials_that_it_is_the_best_of(tmp_path, file):
    first = run(tmp_path, file, measured(0.1))
    present = dict(first.study.best.values)

    def order(trials):
        return order_of(SPACE, PRESENT, key={"dataset": "d"}, trials=trials, seed=1, timeout_s=None)

    def objective(number, values, report):
        return 1e9

    more = tune(
        order(30), objective, lambda *_: pytest.fail("trained"), present,
        config=CONFIG, study=tmp_path / "study.db", file=file,
    )  # fmt: skip
    entry = load_hyperparameters(file).content.configs[CONFIG]
    assert entry == more.entry
    assert (entry.confidence, entry.tuning_trials) == ("medium", 30)
    assert entry.hyperparameters == first.entry.hyperparameters
    assert entry.best_val_loss == first.entry.best_val_loss
    assert entry.notes == "measured on a Tuesday"
