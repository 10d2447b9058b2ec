"""Calibration of models on games: which samples, which temperature, what a copy then says."""

import numpy as np
import pytest
from scipy.special import log_softmax

from ringrift.core.errors import NegativeResult
from ringrift.nets.calibration import temperature_rows
from ringrift.nets.model_file import init_model, load_model
from ringrift.nets.nnue.file import init_nnue, load_nnue
from ringrift.nets.prediction import Prediction
from ringrift.nets.probe import probe_positions
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.position import board_view
from ringrift.training.calibration.applying import write_calibrated
from ringrift.training.calibration.measured import calibrate
from ringrift.training.calibration.sampling import sample
from ringrift.training.measuring.positions import positions_of_games

from .games import games

SPECS = [BoardSpec.create("square8", players) for players in (2, 3)]


class Oracle:
    """Says the result of each game, sharpened or softened, with the noise of a generator."""

    def __init__(self, positions, *, sharpness):
        table = positions.table
        n = table.spec.players
        rng = np.random.default_rng(1)
        won = table.rank[:, :, 0].argmax(1)
        true = rng.normal(0.0, 1.0, (len(table), n))
        # a winner drawn from `true` lies higher: shift so that the result is such a draw
        order = np.argsort(-(true + rng.gumbel(size=true.shape)), 1)
        swapped = true.copy()
        rows = np.arange(len(table))
        swapped[rows, won], swapped[rows, order[:, 0]] = (
            true[rows, order[:, 0]],
            true[rows, won],
        )
        seats = (table.mover.astype(int)[:, None] - 1 + np.arange(n)) % n
        self.win = np.zeros_like(swapped)
        np.put_along_axis(self.win, seats, log_softmax(sharpness * swapped, 1), 1)
        self.at = 0

    def predict(self, states, boards, moves, offsets):
        here = self.win[self.at : self.at + len(states)]
        self.at += len(states)
        values = np.zeros(here.shape, np.float32)
        return Prediction(np.zeros(len(moves), np.float32), values, here, None)


@pytest.fixture(scope="module", params=SPECS, ids=lambda spec: spec.config)
def positions(request):
    return positions_of_games(games(request.param, 40), request.param)


@pytest.mark.parametrize("sharpness", [2.0, 0.5])
def test_the_temperature_of_predictions_made_too_sharp_is_found(positions, sharpness):
    found = sample(Oracle(positions, sharpness=sharpness), [positions])
    result = calibrate(
        found, num_bins=10, by=("phase", "seat", "ply", "agent"), method="temperature"
    )
    assert result.temperature == pytest.approx(sharpness, rel=0.12)
    assert result.corrected.ece < 0.6 * result.overall.ece
    assert (result.overall.overconfidence > 0) == (sharpness > 1)
    n = positions.table.spec.players
    samples = len(positions) * (1 if n == 2 else n)
    assert result.overall.total_samples == samples
    assert result.positions == len(positions)
    for reports in result.groups.values():
        assert sum(report.total_samples for report in reports.values()) == samples
    for temperature in result.by_third:
        assert temperature == pytest.approx(sharpness, rel=0.4)


def test_samples_are_those_of_the_seats(positions):
    found = sample(Oracle(positions, sharpness=1.0), [positions])
    table = positions.table
    n = table.spec.players
    seen = 1 if n == 2 else n
    assert np.array_equal(found.seats[::seen], table.mover)
    assert np.array_equal(found.outcomes[::seen], 2.0 * table.rank[:, 0, 0] - 1.0)
    assert set(found.agents.tolist()) == {"random"}
    if n > 2:
        assert found.outcomes.reshape(-1, n).sum(1) == pytest.approx(2.0 - n)
        assert sorted(set(found.seats.tolist())) == [1, 2, 3]


def test_chunks_of_games_give_the_same_as_all_at_once():
    spec = SPECS[0]
    played = games(spec, 12)
    whole = positions_of_games(played, spec)
    halves = [positions_of_games(played[:5], spec), positions_of_games(played[5:], spec)]
    one = sample(Oracle(whole, sharpness=1.0), [whole])
    oracle = Oracle(whole, sharpness=1.0)
    other = sample(oracle, halves)
    for name in ("predictions", "outcomes", "thirds", "seats", "plies", "games"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_fewer_than_200_positions_are_unknown():
    spec = SPECS[0]
    positions = positions_of_games(games(spec, 2), spec)
    with pytest.raises(NegativeResult, match=r"unknown: 1\d\d positions"):
        sample(Oracle(positions, sharpness=1.0), [positions])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.config)
@pytest.mark.parametrize("kind", ["cnn", "nnue"])
def test_a_calibrated_copy_divides_the_logits_of_each_third(tmp_path, spec, kind):
    if kind == "cnn":
        parent = load_model(init_model(spec, size="micro", seed=1, folder=tmp_path), spec)
    else:
        parent = load_nnue(init_nnue(spec, folder=tmp_path, seed=1, hidden=32, policy=True), spec)
    path = write_calibrated(parent, (1.0, 2.0, 4.0), tmp_path)
    copy = load_model(path, spec) if kind == "cnn" else load_nnue(path, spec)
    assert copy.card["calibration"] == {"temperature": [1.0, 2.0, 4.0]}
    assert copy.card["parents"] == [{"id": parent.id, "role": "calibrated_from"}]
    assert copy.card["training"] == parent.card["training"]
    p = probe_positions(spec)
    states = p.states.copy()
    states["terr"][1, 1] = spec.territory_minimum // 2 + 1
    states["terr"][2, 2] = spec.territory_minimum - 1
    rows = temperature_rows(lay.view(states), board_view(spec), (1.0, 2.0, 4.0))
    assert {1.0, 2.0, 4.0} == set(rows.tolist())
    one, other = (
        m.evaluator().predict(states, p.boards, p.moves, p.offsets) for m in (parent, copy)
    )
    assert np.array_equal(one.logits, other.logits)
    assert other.win == pytest.approx(log_softmax(one.win / rows[:, None], 1), abs=1e-5)
    assert (one.rank is None) == (kind == "nnue" or spec.players == 2)
    if one.rank is not None:
        softer = log_softmax(one.rank / rows[:, None, None], 2)
        assert other.rank == pytest.approx(softer, abs=1e-5)
    assert other.values.sum(1) == pytest.approx(0.0, abs=1e-5)
    assert np.array_equal(one.values[0], other.values[0])
    assert not np.array_equal(one.values[1], other.values[1])
