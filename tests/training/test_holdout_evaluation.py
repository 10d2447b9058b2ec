"""Hold-out evaluation: figures as defined, the right games, a gap that tells an overfitted net."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ringrift.core.errors import DataError, NegativeResult
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.model_file import init_model, load_model
from ringrift.nets.network import Architecture, fresh_net
from ringrift.nets.nnue.file import init_nnue, load_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, Position
from ringrift.training.convnet.task import ConvTask
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.holdout_evaluation import (
    Options,
    SeenGames,
    evaluate,
    read_results,
    write_result,
)
from ringrift.training.holdout_evaluation.gap import gap_of
from ringrift.training.holdout_evaluation.measures import (
    COLUMNS,
    calibration_error,
    figures,
    has_searches,
    of_searches,
    rows_of,
)
from ringrift.training.holdout_evaluation.strata import STAGES, stages
from ringrift.training.measuring.games import find_games
from ringrift.training.measuring.positions import positions_of_games
from ringrift.training.measuring.predicting import predict

from .games import game, games
from .trained import by_heart

SPEC = BoardSpec.create("square8", 2)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A NNUE that knows 6 games by heart, the store of 40, and the dataset of the 6."""
    folder = tmp_path_factory.mktemp("learned")
    return by_heart(folder, SPEC, games(SPEC, 40), learned=6, epochs=15)


@pytest.fixture(params=["cnn", "nnue"])
def fresh(request, tmp_path):
    if request.param == "nnue":
        return load_nnue(init_nnue(SPEC, folder=tmp_path, seed=1, hidden=32, policy=True), SPEC)
    return load_model(init_model(SPEC, size="micro", seed=3, folder=tmp_path), SPEC)


def options(store, dataset=None, **others):
    """Options for a store; the games of `dataset` are known."""
    seen = SeenGames(datasets=1, datasets_unknown=1)
    if dataset is not None:
        games = frozenset(dataset.manifest.game_ids)
        seen = SeenGames(own=games, lineage=games, datasets=1)
    return Options(stores=[store], **{"seen": seen, **others})


# --- figures


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("square8", 3)])
def test_losses_are_those_that_the_trainer_validates(board, players):
    spec = BoardSpec.create(board, players)
    net = fresh_net(Architecture.of(board, players, "micro"), seed=2)
    table = positions_of_games(games(spec, 3, cheap=0.3), spec).table
    found = figures(
        rows_of(predict(NetEvaluator(net, spec), table), table), np.zeros(len(table), np.int64)
    )
    task = ConvTask.of(table, table, TrainSettings(batch_size=16), net=net)
    expected = task.validate()
    assert found.positions == len(table)
    assert found.policy_loss == pytest.approx(expected["policy_loss"], abs=1e-4)
    assert found.value_loss == pytest.approx(expected["value_loss"], abs=1e-4)
    assert found.sign_accuracy == pytest.approx(expected["sign_accuracy"], abs=0.02)
    assert (found.rank_loss is None) == (players == 2)


def rows_with(**columns):
    count = len(next(iter(columns.values())))
    given = {"policy_weight": np.ones(count), "value_weight": np.ones(count), **columns}
    return np.stack([np.asarray(given.get(n, np.zeros(count)), float) for n in COLUMNS], 1)


def test_figures_of_four_positions_by_hand():
    rows = rows_with(
        policy=[1.0, 2.0, 3.0, 4.0],
        entropy=[0.5, 0.5, 0.5, 0.5],
        top1=[1, 0, 1, 1],
        policy_weight=[1, 1, 0, 2],
        value=[0.1, 0.3, 0.5, 9.0],
        value_weight=[1, 1, 1, 0],
        predicted=[0.5, -0.5, 0.2, 0.0],
        outcome=[1, 1, 0, 1],
        win=[0.75, 0.25, 0.6, 0.5],
        won=[1, 1, 0.5, 1],
    )
    found = figures(rows, np.array([0, 0, 1, 1]))
    assert (found.positions, found.games) == (4, 2)
    assert found.policy_loss == pytest.approx((1 + 2 + 8) / 4)
    assert found.policy_kl == pytest.approx((1 + 2 + 8) / 4 - 0.5)
    assert found.top1 == pytest.approx(3 / 4)
    assert found.value_loss == pytest.approx(0.3)
    assert found.value_error == pytest.approx((0.25 + 2.25 + 0.04) / 3)
    assert found.sign_accuracy == pytest.approx(1 / 2)
    assert found.brier == pytest.approx((0.0625 + 0.5625 + 0.01) / 3)
    assert found.ece == pytest.approx((0.25 + 0.75 + 0.1) / 3)


def test_without_weight_there_is_no_figure():
    rows = rows_with(value=[1.0], value_weight=[0.0], policy_weight=[0.0])
    found = figures(rows, np.zeros(1, np.int64))
    assert found.positions == 1
    assert (found.value_loss, found.policy_loss, found.ece, found.sign_accuracy) == (None,) * 4
    assert figures(rows[:0], np.zeros(0, np.int64)).value_loss is None


def test_calibrated_predictions_have_hardly_any_error():
    rng = np.random.default_rng(1)
    win = rng.random(100_000)
    won = (rng.random(100_000) < win).astype(float)
    assert calibration_error(win, won, np.ones(100_000)) < 0.01
    assert calibration_error(np.ones(10), np.zeros(10), np.ones(10)) == pytest.approx(1.0)


# --- the gap


def test_the_interval_covers_the_true_gap_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(80):
        held = np.stack([rng.normal(0.9, 0.2, 40), np.ones(40)])
        trained = np.stack([rng.normal(0.7, 0.2, 40), np.ones(40)])
        gap = gap_of(held, trained, seed=trial)
        covered += gap.low <= 0.2 <= gap.high
    assert 70 <= covered <= 79  # 95 % of 80 is 76, standard error 1.9


def test_games_are_drawn_whole():
    """Of two games that differ the interval is as wide as their difference, however long they are."""
    held = np.array([[0.0, 1000.0], [1000.0, 1000.0]])
    gap = gap_of(held, 0.25, seed=1)
    assert (gap.value, gap.low, gap.high) == (0.25, -0.25, 0.75)
    assert gap_of(held, 0.25, seed=1) == gap
    assert gap_of(np.zeros((2, 3)), 0.25, seed=1) is None


# --- strata


def test_stages_count_the_decisions_of_the_game():
    played = [game(SPEC, 4), game(SPEC, 5)]
    positions = positions_of_games(played, SPEC)
    table = positions.table
    found = zip(
        table.game.tolist(),
        table.ply.tolist(),
        stages(positions.decisions()).tolist(),
        table.mover.tolist(),
        strict=True,
    )
    expected = []
    for number, (record, _) in enumerate(played):
        position, decisions = Position.of(SPEC), 0
        for ply, move in enumerate(record.moves):
            decisions += len(position.legal_packed()) > 1
            stage = "opening" if decisions <= 10 else "middlegame" if decisions <= 40 else "endgame"
            if len(position.legal_packed()) > 1:
                expected.append((number, ply, STAGES.index(stage), position.current_player))
            position.play(move)
    assert list(found) == expected


def test_strata_add_up(fresh, learned):
    _, store, _ = learned
    found = evaluate(fresh, options(store))
    assert list(found.strata) == ["stage", "seat", "victory_type"]
    for by in found.strata.values():
        assert sum(part.positions for part in by.values()) == found.holdout.positions
        whole = sum(part.positions * (part.value_loss or 0) for part in by.values())
        assert whole / found.holdout.positions == pytest.approx(found.holdout.value_loss)
    assert found.seen.positions + found.unseen.positions == found.holdout.positions
    assert found.seen.positions > 0  # every game begins with the same position


def test_only_searched_positions_count_for_the_policy_where_both_sides_have_some():
    rows = rows_with(policy=[1.0, 3.0, 5.0], searched=[1, 0, 1], policy_weight=[1, 1, 0])
    assert has_searches(rows)
    assert figures(of_searches(rows), np.zeros(3, np.int64)).policy_loss == 1.0
    assert figures(rows, np.zeros(3, np.int64)).policy_loss == 2.0
    assert not has_searches(rows[1:])


# --- which games


def test_games_of_the_dataset_that_the_card_names_are_the_training_side(learned):
    model, store, dataset = learned
    found = evaluate(model, options(store, dataset))
    assert found.source == "dataset"
    assert (found.datasets, found.datasets_unknown) == (1, 0)
    held = find_games([store], SPEC, "holdout")
    assert found.training.games == min(6, len(held)) == found.holdout.games
    assert found.held == len(held)
    assert found.left_out == 0


def test_of_an_unknown_dataset_any_trainable_games_stand_in(learned):
    model, store, _ = learned
    found = evaluate(model, options(store))
    assert (found.source, found.datasets, found.datasets_unknown) == ("trainable", 1, 1)


def test_games_that_an_ancestor_learned_from_are_left_out(learned):
    model, store, dataset = learned
    held = find_games([store], SPEC, "holdout").ids
    assert len(held) >= 4
    own = frozenset(dataset.manifest.game_ids)
    seen = SeenGames(own=own, lineage=own | {held[0]}, datasets=3, ancestors_unknown=1)
    found = evaluate(model, options(store, seen=seen))
    assert found.left_out == 1
    assert found.held == len(held) - 1
    assert (found.datasets, found.datasets_unknown, found.ancestors_unknown) == (3, 0, 1)
    assert found.source == "dataset"


def test_fewer_than_200_positions_are_unknown(fresh, tmp_path):
    with GameStore.open(tmp_path / "few.db", writer=True) as store:
        store.ingest(games(SPEC, 20, max_plies=24))
    with pytest.raises(NegativeResult, match=r"unknown: .* hold-out positions"):
        evaluate(fresh, options(tmp_path / "few.db"))


# --- the answer


def test_a_second_run_gives_the_same_bytes(learned, tmp_path):
    model, store, dataset = learned
    there = replace(model, path=tmp_path / "objects" / "ab" / "x.safetensors")
    there.path.parent.mkdir(parents=True)
    path = write_result(there.path, evaluate(there, options(store, dataset)))
    first = path.read_bytes()
    assert path.parent.name == "evaluations"
    assert path.parent.parent.name == model.id
    assert write_result(there.path, evaluate(there, options(store, dataset))) == path
    assert path.read_bytes() == first
    ((found, result),) = read_results(tmp_path / "objects")
    assert found == path
    assert result == json.loads(first)
    path.write_text("{}")
    with pytest.raises(DataError, match="no result of an evaluation"):
        list(read_results(tmp_path))


def test_a_net_that_knows_its_games_by_heart_shows_a_gap(learned):
    model, store, dataset = learned
    found = evaluate(model, options(store, dataset))
    assert found.gap.value > 0.10
    assert found.gap.low < found.gap.value < found.gap.high
    assert found.gap.value == pytest.approx(found.holdout.value_loss - found.training.value_loss)
    assert found.training.sign_accuracy > 0.8


def test_a_fresh_net_shows_none(learned, tmp_path):
    _, store, _ = learned
    path = init_model(SPEC, size="micro", seed=3, folder=tmp_path)
    assert abs(evaluate(load_model(path, SPEC), options(store)).gap.value) < 0.03


def test_a_given_training_loss_takes_the_place_of_the_measured_one(learned):
    model, store, dataset = learned
    found = evaluate(model, options(store, dataset, train_loss=0.25))
    assert found.training is None
    assert found.gap.value == pytest.approx(found.holdout.value_loss - 0.25)
    assert found.policy_gap is None


@pytest.mark.acceptance
def test_a_net_overfitted_on_50_games(tmp_path):
    model, store, dataset = by_heart(tmp_path, SPEC, games(SPEC, 150), learned=50, epochs=20)
    found = evaluate(model, options(store, dataset))
    assert (found.source, found.training.games) == ("dataset", found.holdout.games)
    assert found.gap.value > 0.10
    assert found.gap.low > 0.0
    fresh = (
        load_model(init_model(SPEC, size="tiny", seed=3, folder=tmp_path / "fresh"), SPEC),
        load_nnue(init_nnue(SPEC, seed=3, hidden=256, folder=tmp_path / "fresh"), SPEC),
    )
    for model in fresh:
        assert abs(evaluate(model, options(store)).gap.value) < 0.03
