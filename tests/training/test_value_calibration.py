"""Calibration of values: what is measured, what corrects it, and what is refused."""

import math

import numpy as np
import pytest
from matplotlib.image import imread

from ringrift.training.calibration.fitting import fit_temperature
from ringrift.training.value_calibration import (
    CalibrationTracker,
    GamePhaseCalibrator,
    IsotonicCalibrator,
    PlattScaler,
    ValueCalibrator,
    create_reliability_diagram,
)

FIGURES = (
    "ece",
    "mce",
    "overconfidence",
    "brier_score",
    "reliability",
    "resolution",
    "uncertainty",
    "within_bins",
    "log_loss",
    "optimal_temperature",
)


def drawn(count, *, sharpened=1.0, seed=1):
    """Values that are calibrated, their logits times `sharpened`, and outcomes drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 1.5, count)
    won = rng.random(count) < 1.0 / (1.0 + np.exp(-logits))
    return np.tanh(sharpened * logits / 2.0), np.where(won, 1.0, -1.0)


def calibrator_of(values, outcomes, **options):
    found = ValueCalibrator(**options)
    found.add_batch(values, outcomes)
    return found


# --- accepted when


def test_predictions_sharpened_by_2_are_corrected_by_a_temperature_of_2():
    values, outcomes = drawn(20_000, sharpened=2.0)
    found = calibrator_of(values, outcomes)
    before = found.compute_calibration()
    temperature = found.find_optimal_temperature()
    assert 1.8 <= temperature <= 2.2
    assert before.optimal_temperature == temperature == found.temperature
    after = calibrator_of(found.calibrate_batch(values), outcomes).compute_calibration()
    assert after.ece <= 0.2 * before.ece
    assert before.overconfidence > 0.05 > abs(after.overconfidence)
    assert after.log_loss < before.log_loss


def test_calibrated_predictions_have_hardly_any_error():
    report = calibrator_of(*drawn(100_000)).compute_calibration()
    assert report.ece < 0.01
    assert report.total_samples == 100_000
    assert report.optimal_temperature == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_isotonic_output_never_falls(seed):
    values, outcomes = drawn(500, sharpened=0.3, seed=seed)
    found = IsotonicCalibrator().fit(values, outcomes)
    corrected = found.calibrate(np.linspace(-1.0, 1.0, 2001))
    assert (np.diff(corrected) >= 0).all()
    assert corrected.min() >= -1.0
    assert corrected.max() <= 1.0
    assert corrected[0] < corrected[-1]
    errors = [((v - outcomes) ** 2).mean() for v in (found.calibrate(values), values)]
    assert errors[0] < errors[1]


def test_the_window_of_a_tracker_holds_exactly_1000():
    tracker = CalibrationTracker()
    for _ in range(700):
        tracker.add_sample(1.0, -1.0)
    assert len(tracker) == 700
    for _ in range(1000):
        tracker.add_sample(0.0, 0.0)
    report = tracker.compute_current_calibration()
    assert (len(tracker), report.total_samples) == (1000, 1000)
    assert report.ece == 0.0
    tracker.add_sample(1.0, 1.0)
    assert (len(tracker), tracker.compute_current_calibration().total_samples) == (1000, 1000)


# --- what is measured


def test_figures_of_four_samples_by_hand():
    found = calibrator_of([0.5, 0.5, -0.9, 0.0], [1.0, -1.0, -1.0, 0.0], num_bins=4)
    report = found.compute_calibration()
    p, won = np.array([0.75, 0.75, 0.05, 0.5]), np.array([1.0, 0.0, 0.0, 0.5])
    # bins: 0.05 in the first, 0.5 in the third, 0.75 twice in the fourth
    assert [b.samples for b in report.bins] == [1, 0, 1, 2]
    assert report.bins[1].predicted is report.bins[1].outcome is None
    assert (report.bins[3].predicted, report.bins[3].outcome) == (0.5, 0.0)
    assert (report.bins[3].low, report.bins[3].high) == (0.5, 1.0)
    assert report.ece == pytest.approx((0.05 + 0.0 + 2 * 0.25) / 4)
    assert report.mce == pytest.approx(0.25)
    assert report.brier_score == pytest.approx(((p - won) ** 2).mean())
    assert report.overconfidence == pytest.approx(
        (0.75 + 0.75 + 0.95 + 0.5) / 4 - (1.0 + 0.0 + 1.0 + 0.5) / 4
    )
    losses = -(won * np.log(p) + (1 - won) * np.log(1 - p))
    assert report.log_loss == pytest.approx(losses.mean())


def test_the_parts_of_the_brier_score_add_up():
    values, outcomes = drawn(5_000, sharpened=3.0)
    report = calibrator_of(values, outcomes, num_bins=15).compute_calibration()
    parts = report.reliability - report.resolution + report.uncertainty + report.within_bins
    assert parts == pytest.approx(report.brier_score)
    assert abs(report.within_bins) < 0.01
    share = (outcomes > 0).mean()
    assert report.uncertainty == pytest.approx(share * (1 - share))


def test_without_samples_every_metric_is_none_and_never_0():
    found = ValueCalibrator(num_bins=3)
    report = found.compute_calibration()
    assert [getattr(report, name) for name in FIGURES] == [None] * len(FIGURES)
    assert report.total_samples == 0
    assert [b.samples for b in report.bins] == [0, 0, 0]
    assert (found.find_optimal_temperature(), found.temperature) == (None, 1.0)
    assert CalibrationTracker().compute_current_calibration().ece is None
    assert not CalibrationTracker().is_well_calibrated()
    assert CalibrationTracker().get_calibration_trend() is None
    assert fit_temperature((np.zeros((0, 2)), np.zeros((0, 2)))) is None
    found.add_sample(0.5, 1.0)
    found.clear()
    assert found.compute_calibration().ece is None


def test_the_report_is_json():
    tree = calibrator_of(*drawn(50)).compute_calibration().to_dict()
    assert set(FIGURES) <= tree.keys()
    assert tree["bins"][0].keys() == {"low", "high", "samples", "predicted", "outcome"}
    assert sum(b["samples"] for b in tree["bins"]) == tree["total_samples"] == 50


# --- what is refused


@pytest.mark.parametrize("wrong", [1.0001, -2.0, math.nan, math.inf])
def test_what_is_no_value_is_named_by_its_index(wrong):
    found = calibrator_of([0.0, 0.5], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"prediction 3: found .*expected -1 to 1"):
        found.add_batch([0.1, wrong], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"outcome 2: found"):
        found.add_batch([0.1, 0.2], [wrong, 1.0])
    with pytest.raises(ValueError, match=r"prediction 2: found"):
        found.add_sample(wrong, 1.0)
    with pytest.raises(ValueError, match=r"prediction 1: found"):
        found.calibrate_batch([0.0, wrong])
    with pytest.raises(ValueError, match=r"prediction 0: found"):
        PlattScaler().calibrate([wrong])
    assert len(found) == 2


def test_unequal_numbers_and_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="2 predictions and 1 outcomes"):
        ValueCalibrator().add_batch([0.0, 0.1], [1.0])
    with pytest.raises(ValueError, match="2 dimensions"):
        ValueCalibrator().add_batch([[0.0]], [[1.0]])
    for make in (ValueCalibrator, GamePhaseCalibrator, CalibrationTracker):
        with pytest.raises(ValueError, match="0"):
            make(0)
    for fitter in (PlattScaler(), IsotonicCalibrator()):
        with pytest.raises(ValueError, match="no samples"):
            fitter.fit([], [])


# --- what corrects


def test_a_temperature_of_1_changes_nothing_and_certainty_stays():
    found = ValueCalibrator()
    values = np.array([-1.0, -0.3, 0.0, 0.7, 1.0])
    assert found.calibrate_batch(values) == pytest.approx(values, abs=1e-6)
    found.temperature = 3.0
    assert found.calibrate_prediction(0.7) == pytest.approx(math.tanh(math.atanh(0.7) / 3.0))
    assert found.calibrate_prediction(-0.7) == -found.calibrate_prediction(0.7)


def test_outcomes_that_prove_every_prediction_right_give_the_end_of_the_range():
    found = calibrator_of([0.5, -0.5], [1.0, -1.0])
    assert found.find_optimal_temperature() == pytest.approx(0.05, rel=0.01)


def test_platt_finds_slope_and_offset():
    rng = np.random.default_rng(2)
    z = rng.normal(0.0, 1.5, 50_000)
    won = rng.random(len(z)) < 1.0 / (1.0 + np.exp(-(0.5 * z + 0.4)))
    found = PlattScaler().fit(np.tanh(z / 2.0), np.where(won, 1.0, -1.0))
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.offset == pytest.approx(0.4, abs=0.03)
    assert found.calibrate([0.0])[0] == pytest.approx(math.tanh(0.2), abs=0.02)


def test_a_softmax_over_three_seats_is_sharpened_and_found():
    rng = np.random.default_rng(3)
    logits = rng.normal(0.0, 1.0, (20_000, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    seats = (rng.random((len(p), 1)) > p.cumsum(1)[:, :2]).sum(1)
    came = np.eye(3)[seats]
    sharp = 1.5 * logits
    logs = sharp - np.log(np.exp(sharp).sum(1, keepdims=True))
    assert fit_temperature((logs, came)) == pytest.approx(1.5, abs=0.05)
    both = fit_temperature((logs, came), (logs[:100], came[:100]))
    assert 1.0 < both < 2.5


def test_each_stretch_of_a_game_has_its_temperature():
    found = GamePhaseCalibrator()
    for phase, sharpened in enumerate((1.0, 2.0, 0.5)):
        values, outcomes = drawn(8_000, sharpened=sharpened, seed=phase)
        found.phases[phase].add_batch(values, outcomes)
    assert found.find_optimal_temperatures() == pytest.approx((1.0, 2.0, 0.5), rel=0.1)
    assert [found.phase_of(p) for p in (0.0, 0.33, 0.34, 0.99, 1.0)] == [0, 0, 1, 2, 2]
    assert found.calibrate_prediction(0.8, 0.5) < found.calibrate_prediction(0.8, 0.0)
    found.add_sample(0.5, 1.0, 1.0)
    assert [r.total_samples for r in found.compute_calibration()] == [8_000, 8_000, 8_001]
    with pytest.raises(ValueError, match="progress"):
        found.add_sample(0.5, 1.0, 1.1)


def test_a_tracker_sees_it_get_better():
    tracker = CalibrationTracker(window_size=200)
    for _ in range(100):
        tracker.add_sample(0.9, -1.0)
    assert not tracker.is_well_calibrated()
    for _ in range(100):
        tracker.add_sample(0.0, 0.0)
    trend = tracker.get_calibration_trend()
    assert trend.older == pytest.approx(0.95)
    assert (trend.newer, trend.change) == (0.0, -trend.older)
    for _ in range(100):
        tracker.add_sample(0.0, 0.0)
    assert tracker.is_well_calibrated()
    assert not tracker.is_well_calibrated(ece_threshold=0.0)


def test_the_diagram_is_drawn_and_not_empty(tmp_path):
    report = calibrator_of(*drawn(1_000, sharpened=2.0)).compute_calibration()
    figure = create_reliability_diagram(report, tmp_path / "all.png", title="all games")
    assert imread(tmp_path / "all.png").std() > 0.01
    assert "n=1,000" in figure.axes[0].get_title()
    create_reliability_diagram(report, tmp_path / "all.svg")
    assert b"<svg" in (tmp_path / "all.svg").read_bytes()
    none = create_reliability_diagram(ValueCalibrator().compute_calibration())
    assert "unknown" in none.axes[0].get_title()
