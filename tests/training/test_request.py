"""From options, settings and hyper-parameters to the values of a training, each with its origin."""

import json

import pytest

from ringrift.core.errors import SettingsError, UsageError
from ringrift.core.hyperparameters import (
    as_json_text,
    load_hyperparameters,
    merge_hyperparameters,
    shipped_hyperparameters,
)
from ringrift.core.settings_loader import load_settings
from ringrift.data.dataset import ExportOptions
from ringrift.training.request import Machine, resolve

CONFIG = "hex8_3p"


def hyperparameters(folder, *, tuned=None, defaults=None):
    tree = json.loads(as_json_text(shipped_hyperparameters()))
    tree["defaults"].update(defaults or {})
    if tuned:
        tree["configs"][CONFIG] |= {
            "optimized": True,
            "confidence": "low",
            "tuning_trials": 5,
            "hyperparameters": tuned,
        }
    path = folder / "hyperparameters.json"
    path.write_text(json.dumps(tree))
    return load_hyperparameters(path)


def settings(tmp_path, text="", **environ):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    return load_settings(file=file, environ=environ)


def made(kind, tmp_path, *, given=None, text="", tuned=None, defaults=None, machine=None, **more):
    return resolve(
        kind,
        CONFIG,
        given=given or {},
        hyperparameters=hyperparameters(tmp_path, tuned=tuned, defaults=defaults),
        settings=settings(tmp_path, text, **more),
        machine=machine,
    )


def test_defaults_are_those_of_the_table(tmp_path):
    nn, nnue, policy = (made(kind, tmp_path) for kind in ("cnn", "nnue", "nnue-policy"))
    assert [r.settings.epochs for r in (nn, nnue, policy)] == [50, 100, 100]
    assert [r.settings.batch_size for r in (nn, nnue, policy)] == [256, 512, 256]
    assert [r.selection.sample_every_n for r in (nn, nnue, policy)] == [1, 1, 2]
    assert [r.settings.label_smoothing for r in (nn, nnue, policy)] == [0.0, 0.0, 0.1]
    assert (nn.shape.size, nnue.shape.hidden, policy.shape.hidden) == ("small", 256, 256)
    assert (policy.settings.temperature_start, policy.settings.temperature_end) == (2.0, 0.5)
    assert (policy.settings.dropout, nnue.settings.dropout) == (0.1, 0.0)
    for request in (nn, nnue, policy):
        assert request.settings.learning_rate == 3e-4
        assert request.settings.sampling_weights == "victory_type"
        assert request.selection.min_game_length == 10
        assert request.selection.val_split == 0.1


def test_a_layer_wins_over_those_below_it(tmp_path):
    tuned = {"learning_rate": 1e-3, "batch_size": 128, "weight_decay": 1e-3}
    text = "training:\n  batch_size: 64\n"
    nn = made("cnn", tmp_path, tuned=tuned, text=text, given={"weight_decay": 0.5, "epochs": None})
    assert nn.settings.learning_rate == 1e-3
    assert nn.settings.batch_size == 64
    assert nn.settings.weight_decay == 0.5
    assert nn.settings.epochs == 50
    told = nn.told_origins()
    assert f"configs.{CONFIG}.hyperparameters.learning_rate" in told["learning_rate"]
    assert "settings.yaml:2" in told["batch_size"]
    assert told["weight_decay"] == "--weight-decay"
    assert told["grad_clip"] == "default"


def test_defaults_that_somebody_changed_win_over_those_of_a_trainer(tmp_path):
    changed = {"epochs": 7, "hidden_dim": 128}
    nnue = made("nnue", tmp_path, defaults=changed)
    assert (nnue.settings.epochs, nnue.shape.hidden) == (7, 128)
    assert "defaults.epochs" in nnue.told_origins()["epochs"]
    assert made("nnue", tmp_path).told_origins()["epochs"] == "default"


def test_a_tuned_set_can_be_left_out(tmp_path):
    nn = made(
        "cnn",
        tmp_path,
        tuned={"learning_rate": 1e-3},
        text="training:\n  use_optimized_hyperparams: false\n",
    )
    assert nn.settings.learning_rate == 3e-4


def test_saved_values_are_those_that_config_show_prints(tmp_path):
    tuned = {"learning_rate": 1e-3, "value_weight": 2.0}
    file, loaded = hyperparameters(tmp_path, tuned=tuned), settings(tmp_path)
    shown = merge_hyperparameters(file, CONFIG, settings=loaded).as_tree()
    request = resolve("cnn", CONFIG, given={}, hyperparameters=file, settings=loaded)
    assert request.hyperparameters.as_tree() == shown
    for name in ("learning_rate", "batch_size", "epochs", "value_weight", "weight_decay"):
        assert request.values()[name] == shown["values"][name]


def test_the_documented_variables_decide_about_the_policy_loss(tmp_path):
    policy = made(
        "nnue-policy",
        tmp_path,
        RINGRIFT_POLICY_KL_MIN_COVERAGE="0.4",
        RINGRIFT_POLICY_KL_MIN_SAMPLES="7",
    )
    assert (policy.settings.kl_min_coverage, policy.settings.kl_min_samples) == (0.4, 7)
    assert policy.settings.policy_loss == "auto"
    assert "RINGRIFT_POLICY_KL_MIN_COVERAGE" in policy.told_origins()["kl_min_coverage"]
    off = made("nnue-policy", tmp_path, RINGRIFT_POLICY_AUTO_KL_LOSS="0")
    assert off.settings.policy_loss == "ce"


def test_a_gpu_has_its_own_defaults(tmp_path):
    gpu = made("cnn", tmp_path, machine=Machine(device="cuda", threads=8))
    assert gpu.settings.mixed_precision
    assert not gpu.settings.deterministic
    assert gpu.shape.size == "medium"
    assert gpu.selection.window_base == 250_000
    assert gpu.settings.num_workers == 7
    cpu = made("cnn", tmp_path, machine=Machine(device="cpu", threads=2))
    assert not cpu.settings.mixed_precision
    assert cpu.settings.deterministic
    assert cpu.selection.window_base == 20_000


def test_other_names_of_sizes_and_schedules(tmp_path):
    given = {"model_version": "v3", "lr_scheduler": "cosine_warmup"}
    request = made("cnn", tmp_path, given=given)
    assert (request.shape.size, request.settings.schedule) == ("large", "cosine")
    with pytest.raises(UsageError, match="v2, v3, v4"):
        made("cnn", tmp_path, given={"model_version": "v5"})


def test_the_net_has_the_shape_of_its_parent_unless_another_is_asked_for(tmp_path):
    parent = {"architecture": {"size": "tiny"}}
    file = hyperparameters(tmp_path)
    size = [
        resolve("cnn", CONFIG, given=given, hyperparameters=file, parent=parent).shape.size
        for given in ({}, {"size": "small"})
    ]
    assert size == ["tiny", "small"]


def test_the_layers_of_a_nnue_are_asked_for_tuned_or_its_parent_s(tmp_path):
    tuned = {"num_hidden_layers": 4}
    assert made("nnue", tmp_path).shape.layers == 2
    assert made("nnue", tmp_path, tuned=tuned).shape.layers == 4
    asked = made("nnue-policy", tmp_path, tuned=tuned, given={"num_hidden_layers": 6})
    assert asked.shape.layers == asked.values()["num_hidden_layers"] == 6
    assert asked.told_origins()["num_hidden_layers"] == "--num-hidden-layers"
    assert "num_hidden_layers" not in made("cnn", tmp_path, tuned=tuned).values()
    parent = {"architecture": {"hidden": 64, "layers": [32] * 3}}
    file = hyperparameters(tmp_path, tuned=tuned)
    child = resolve("nnue", CONFIG, given={}, hyperparameters=file, parent=parent)
    assert (child.shape.hidden, child.shape.layers) == (64, 3)
    assert child.told_origins()["num_hidden_layers"] == "the model to begin with"


def test_the_surprise_weight_reaches_the_dataset(tmp_path):
    assert made("nnue", tmp_path).selection.export_options() == ExportOptions(
        min_moves=10, window="all", window_base=20_000
    )
    asked = made("nnue", tmp_path, given={"surprise_weight": 0.25})
    assert asked.selection.export_options().surprise_weight == 0.25
    with pytest.raises(UsageError, match="surprise weight"):
        made("nnue", tmp_path, given={"surprise_weight": 1.5}).selection.export_options()


def test_what_does_not_exist_is_refused(tmp_path):
    wrong_layers = ({"num_hidden_layers": layers} for layers in (1, 7))
    for wrong in ({"hidden_dim": "wide"}, *wrong_layers, {"epochs": 0}):
        with pytest.raises(UsageError):
            made("nnue", tmp_path, given=wrong)
    with pytest.raises(SettingsError, match="unknown configuration"):
        resolve("cnn", "hex9_2p", given={}, hyperparameters=hyperparameters(tmp_path))
