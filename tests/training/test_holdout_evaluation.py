"""Hold-out evaluation: figures as defined, the right games, a gap that tells an overfitted net."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ringrift.core.errors import DataError, NegativeResult
from ringrift.nets.model_file import init_model, load_model
from ringrift.nets.network import Architecture, fresh_net
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, Position
from ringrift.training.dataset import build_samples, window
from ringrift.training.holdout_evaluation import (
    Options,
    evaluate,
    read_results,
    write_result,
)
from ringrift.training.holdout_evaluation.evaluate import lineage
from ringrift.training.holdout_evaluation.games import samples_id
from ringrift.training.holdout_evaluation.gap import gap_of
from ringrift.training.holdout_evaluation.measures import (
    COLUMNS,
    calibration_error,
    figures,
    measure,
)
from ringrift.training.holdout_evaluation.strata import STAGES, movers, stages
from ringrift.training.trainer import TrainOptions, scores, train

from .games import game, games

SPEC = BoardSpec.create("square8", 2)


def overfitted(folder, played, *, learned, **options):
    """Store `played` and train on the newest `learned` of its games until they are known by heart."""
    with GameStore.open(folder / "games.db", writer=True) as store:
        store.ingest(played)
        report = train(
            store,
            SPEC,
            options=TrainOptions(**options),
            models=folder / "objects",
            run_folder=folder / "run",
            size=options_size(options),
            games=learned,
            up_to_seq=store.max_seq(),
        )
    return load_model(report.model_path, SPEC), folder / "games.db"


def options_size(options):
    return "micro" if options["steps"] < 100 else "tiny"


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    return overfitted(
        tmp_path_factory.mktemp("learned"),
        games(SPEC, 40),
        learned=6,
        steps=80,
        batch_size=64,
        learning_rate=3e-3,
    )


@pytest.fixture
def fresh(tmp_path):
    path = init_model(SPEC, size="micro", seed=3, folder=tmp_path / "fresh")
    return load_model(path, SPEC)


def options(store, **others):
    return Options(stores=[store], **others)


# --- figures


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("square8", 3)])
def test_losses_are_those_of_the_trainer(board, players):
    spec = BoardSpec.create(board, players)
    net = fresh_net(Architecture.of(board, players, "micro"), seed=2)
    samples = build_samples(games(spec, 3, cheap=0.3), spec, augment=False)
    rows = measure(net, samples)
    found = figures(rows, np.zeros(len(rows), np.int64))
    expected = scores(net, samples)
    assert found.positions == len(samples)
    assert found.policy_loss == pytest.approx(expected.policy_loss, abs=1e-5)
    assert found.policy_kl == pytest.approx(expected.policy_kl, abs=1e-5)
    assert found.value_loss == pytest.approx(expected.value_loss, abs=1e-5)
    assert (found.rank_loss > 0) == (players > 2)


def rows_of(**columns):
    count = len(next(iter(columns.values())))
    given = {"policy_weight": np.ones(count), "value_weight": np.ones(count), **columns}
    return np.stack([np.asarray(given.get(n, np.zeros(count)), float) for n in COLUMNS], 1)


def test_figures_of_four_positions_by_hand():
    rows = rows_of(
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
    rows = rows_of(value=[1.0], value_weight=[0.0], policy_weight=[0.0])
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
    record, analysis = game(SPEC, 4)
    position, decisions, expected = Position.of(SPEC), 0, {}
    for ply, move in enumerate(record.moves):
        decisions += len(position.legal_packed()) > 1
        stage = "opening" if decisions <= 10 else "middlegame" if decisions <= 40 else "endgame"
        expected[ply] = (stage, position.current_player)
        position.play(move)
    some = replace(analysis, plies=analysis.plies[::3])
    found = zip(stages(record, some), movers(record, some), strict=True)
    assert [(STAGES[s], m) for s, m in found] == [expected[p.ply] for p in some.plies]


def test_strata_add_up(fresh, learned):
    _, store = learned
    found = evaluate(fresh, options(store))
    for by in found.strata.values():
        assert sum(part.positions for part in by.values()) == found.holdout.positions
        whole = sum(part.positions * (part.value_loss or 0) for part in by.values())
        assert whole / found.holdout.positions == pytest.approx(found.holdout.value_loss)
    assert found.seen.positions + found.unseen.positions == found.holdout.positions
    assert found.seen.positions > 0  # every game begins with the same position


# --- which games


def test_the_window_of_the_card_is_found_again(learned):
    model, store = learned
    found = evaluate(model, options(store))
    assert found.source == "window"
    assert (found.datasets, found.datasets_unknown) == (1, 0)
    with GameStore.open(store) as opened:
        own = window(opened, SPEC, games=6)
        held = {record.id for _, record, _ in opened.records(SPEC.config, split="holdout")}
    samples = build_samples(own, SPEC)
    assert samples_id(SPEC, len(samples), samples.games) == samples.id
    assert found.training.games == min(6, len(held)) == found.holdout.games
    assert found.held == len(held)


def test_with_other_games_in_the_window_any_trainable_ones_stand_in(learned, tmp_path):
    model, _ = learned
    with GameStore.open(tmp_path / "other.db", writer=True) as store:
        store.ingest(games(SPEC, 40)[:-4])
    found = evaluate(model, options(tmp_path / "other.db"))
    assert (found.source, found.datasets_unknown) == ("trainable", 1)


def test_games_of_a_known_dataset_are_the_training_side(learned):
    model, store = learned
    with GameStore.open(store) as opened:
        train_ids = [r.id for _, r, _ in opened.records(SPEC.config, split="train")][:9]
    found = evaluate(model, options(store, ids_of=lambda _: frozenset(train_ids)))
    assert (found.source, found.datasets_unknown) == ("dataset", 0)


def test_games_that_an_ancestor_learned_from_are_left_out(learned):
    model, store = learned
    with GameStore.open(store) as opened:
        held = [record.id for _, record, _ in opened.records(SPEC.config, split="holdout")]
    assert len(held) >= 4
    child = replace(
        model,
        card={**model.card, "parents": [{"id": "f" * 64, "role": "warm_start"}]},
    )
    cards = {"f" * 64: {"training": {"dataset": "old"}, "parents": []}}
    found = evaluate(
        child,
        options(
            store,
            card_of=cards.get,
            ids_of=lambda dataset: frozenset(held[:1]) if dataset == "old" else None,
        ),
    )
    assert found.left_out == 1
    assert found.held == len(held) - 1
    assert (found.datasets, found.datasets_unknown) == (2, 0)


def test_the_lineage_of_a_circle_ends():
    cards = {
        "a": {"training": {"dataset": "1"}, "parents": [{"id": "b"}]},
        "b": {"training": {"dataset": "2"}, "parents": [{"id": "a"}, {"id": "c"}]},
    }
    assert lineage(cards["a"], cards.get) == ["1", "2"]


def test_fewer_than_200_positions_are_unknown(fresh, tmp_path):
    with GameStore.open(tmp_path / "few.db", writer=True) as store:
        store.ingest(games(SPEC, 20, max_plies=24))
    with pytest.raises(NegativeResult, match=r"unknown: .* hold-out positions"):
        evaluate(fresh, options(tmp_path / "few.db"))


# --- the answer


def test_a_second_run_gives_the_same_bytes(learned, tmp_path):
    model, store = learned
    there = replace(model, path=tmp_path / "objects" / "ab" / "x.safetensors")
    there.path.parent.mkdir(parents=True)
    path = write_result(there.path, evaluate(there, options(store)))
    first = path.read_bytes()
    assert path.parent.name == "evaluations"
    assert path.parent.parent.name == model.id
    assert write_result(there.path, evaluate(there, options(store))) == path
    assert path.read_bytes() == first
    ((found, result),) = read_results(tmp_path / "objects")
    assert found == path
    assert result == json.loads(first)
    path.write_text("{}")
    with pytest.raises(DataError, match="no result of an evaluation"):
        list(read_results(tmp_path))


def test_a_net_that_knows_its_games_by_heart_shows_a_gap_and_a_fresh_one_none(learned, fresh):
    model, store = learned
    found = evaluate(model, options(store))
    assert found.gap.value > 0.10
    assert found.gap.low < found.gap.value < found.gap.high
    assert found.gap.value == pytest.approx(found.holdout.value_loss - found.training.value_loss)
    assert found.training.sign_accuracy > 0.8
    assert abs(evaluate(fresh, options(store)).gap.value) < 0.03


def test_a_given_training_loss_takes_the_place_of_the_measured_one(learned):
    model, store = learned
    found = evaluate(model, options(store, train_loss=0.25))
    assert found.training is None
    assert found.gap.value == pytest.approx(found.holdout.value_loss - 0.25)
    assert found.policy_gap is None


@pytest.mark.acceptance
def test_a_net_overfitted_on_50_games(tmp_path):
    model, store = overfitted(
        tmp_path, games(SPEC, 150), learned=50, steps=600, batch_size=128, learning_rate=3e-3
    )
    found = evaluate(model, options(store))
    assert (found.source, found.training.games) == ("window", found.holdout.games)
    assert found.gap.value > 0.10
    assert found.gap.low > 0.0
    fresh = load_model(init_model(SPEC, size="tiny", seed=3, folder=tmp_path / "fresh"), SPEC)
    assert abs(evaluate(fresh, options(store)).gap.value) < 0.03
