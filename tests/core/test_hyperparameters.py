"""`hyperparameters.json`: strict reading, merging with origins, confidence, and whole writes."""

import json
import multiprocessing
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.core.errors import SettingsError
from ringrift.core.hyperparameters import (
    HYPERPARAMETERS_FILE,
    HyperparameterFile,
    Hyperparameters,
    StudyEvaluation,
    as_json_text,
    check_hyperparameters,
    load_hyperparameters,
    merge_hyperparameters,
    save_hyperparameters,
    save_tuned,
    shipped_hyperparameters,
)
from ringrift.core.settings import CONFIGURATIONS
from ringrift.core.settings_loader import load_settings

REPOSITORY = Path(__file__).parents[2]
NOW = datetime(2025, 6, 30, 12, 0, tzinfo=UTC)


def shipped_tree():
    return json.loads(as_json_text(shipped_hyperparameters()))


def write_tree(folder, tree):
    path = folder / HYPERPARAMETERS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


def tuned(tree, config="hex8_3p", **values):
    tree["configs"][config].update(
        optimized=True, confidence="low", tuning_trials=20, hyperparameters=values
    )
    return tree


def put(tree, path, value):
    *parts, name = path.split(".")
    for part in parts:
        tree = tree[part]
    tree[name] = value


def test_the_shipped_file_is_the_output_of_the_code():
    shipped = REPOSITORY / HYPERPARAMETERS_FILE
    assert shipped.read_text(encoding="utf-8") == as_json_text(shipped_hyperparameters())
    loaded = load_hyperparameters(shipped)
    assert loaded.warnings == ()
    assert loaded.content == shipped_hyperparameters()
    assert tuple(loaded.content.configs) == CONFIGURATIONS
    assert {entry.hyperparameters for entry in loaded.content.configs.values()} == {None}


def test_defaults_and_search_space_are_the_documented_ones():
    tree = shipped_tree()
    assert tree["defaults"] == {
        "learning_rate": 3e-4,
        "batch_size": 256,
        "hidden_dim": 256,
        "num_hidden_layers": 2,
        "weight_decay": 1e-4,
        "dropout": 0.1,
        "epochs": 50,
        "early_stopping_patience": 15,
        "warmup_epochs": 5,
        "value_weight": 1,
        "policy_weight": 1,
        "sampling_weights": "victory_type",
        "lr_scheduler": "cosine",
    }
    space = tree["tuning_config"]["search_space"]
    assert space["learning_rate"] == {"type": "float", "low": 1e-5, "high": 1e-2, "log": True}
    assert space["weight_decay"] == {"type": "float", "low": 1e-6, "high": 1e-2, "log": True}
    assert space["batch_size"] == {"type": "power_of_two", "low": 128, "high": 2048}
    assert space["hidden_dim"]["choices"] == [128, 256, 384, 512, 768]
    assert (space["num_hidden_layers"]["low"], space["num_hidden_layers"]["high"]) == (2, 6)
    assert (space["dropout"]["low"], space["dropout"]["high"]) == (0, 0.5)
    for weight in ("value_weight", "policy_weight"):
        assert (space[weight]["low"], space[weight]["high"]) == (0.5, 2.5)
    assert tree["tuning_config"]["evaluation"] == {
        "epochs_per_trial": 10,
        "validation_split": 0.15,
        "games_per_trial": 20,
        "medium_confidence_trials": 30,
        "high_confidence_trials": 100,
    }


@pytest.mark.parametrize(
    ("trials", "confidence"),
    [(0, "none"), (1, "low"), (29, "low"), (30, "medium"), (99, "medium"), (100, "high")],
)
def test_confidence_follows_from_the_number_of_trials(trials, confidence):
    assert StudyEvaluation().confidence(trials) == confidence


FAULTS = {
    "configs.hex8_3p.hyperparameters": ({"lr": 1e-3}, "configs.hex8_3p.hyperparameters.lr", None),
    "defaults.learning_rat": (1e-3, None, "learning_rate"),
    "defaults.learning_rate": ("fast", None, None),
    "defaults.batch_size": (300, None, None),
    "defaults.hidden_dim": (200, None, None),
    "defaults.epochs": (2.5, None, None),
    "defaults.dropout": (1.0, None, None),
    "defaults.early_stopping_patience": (True, None, None),
    "defaults.weight_decay": (float("nan"), None, None),
    "defaults.lr_scheduler": ("cosin", None, None),
    "configs.hex7_2p": ({}, None, "hex8_2p"),
    "configs.hex8_2p": ([], None, None),
    "configs.square8_2p.optimised": (True, None, "optimized"),
    "configs.square8_3p.confidence": ("high", None, None),
    "configs.square8_4p.last_tuned": ("yesterday", None, None),
    "configs.square19_2p.tuning_trials": (-1, None, None),
    "tuning_config.search_space.dropout.low": (
        0.9,
        "tuning_config.search_space.dropout.high",
        None,
    ),
    "tuning_config.search_space.hidden_dims": ({}, None, "hidden_dim"),
    "tuning_config.evaluation.epochs": (3, None, "epochs_per_trial"),
    "description": (None, None, None),
    "version": ("2", None, None),
    "default": ({}, None, "defaults"),
}


@pytest.mark.parametrize("path", FAULTS)
def test_each_fault_names_file_json_path_and_nearest_name(tmp_path, path):
    value, place, hint = FAULTS[path]
    tree = shipped_tree()
    put(tree, path, value)
    file = write_tree(tmp_path, tree)
    (problem,) = check_hyperparameters(file)
    assert problem.where == f"{file} {place or path}"
    assert problem.exit_code == 78
    assert hint is None or problem.hint == hint
    with pytest.raises(SettingsError) as caught:
        load_hyperparameters(file)
    assert str(caught.value) == str(problem)


def test_all_faults_of_a_file_are_reported_together(tmp_path):
    tree = shipped_tree()
    for path, (value, _, _) in FAULTS.items():
        put(tree, path, value)
    file = write_tree(tmp_path, tree)
    found = {problem.where for problem in check_hyperparameters(file)}
    assert found == {f"{file} {place or path}" for path, (_, place, _) in FAULTS.items()}


@pytest.mark.parametrize(
    ("word", "name"), [("lr", "learning_rate"), ("wd", "weight_decay"), ("batchsize", "batch_size")]
)
def test_abbreviations_are_understood(tmp_path, word, name):
    file = write_tree(tmp_path, tuned(shipped_tree(), **{word: 1}))
    (problem,) = check_hyperparameters(file)
    assert problem.hint == name
    assert problem.where == f"{file} configs.hex8_3p.hyperparameters.{word}"


@pytest.mark.parametrize(("claimed", "count"), [("high", 1), ("medium", 0), ("low", 0)])
def test_a_confidence_that_the_trials_do_not_earn_is_refused(tmp_path, claimed, count):
    tree = tuned(shipped_tree(), dropout=0.2)
    tree["configs"]["hex8_3p"].update(confidence=claimed, tuning_trials=30)
    assert len(check_hyperparameters(write_tree(tmp_path, tree))) == count


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{\n"version": "1",\n}', ":3"),
        ("[]", "expected an object"),
        ('{"version": "1", "version": "1"}', "'version' stands twice"),
        ('{"defaults": {"epochs": 1, "epochs": 2}}', "defaults.epochs"),
        ("[" * 100_000, "nested too deeply"),
        ("", "not valid JSON"),
    ],
)
def test_a_file_that_is_no_such_json_is_a_problem_with_its_place(tmp_path, text, wanted):
    (problem,) = check_hyperparameters(write_tree(tmp_path, text))
    assert wanted in str(problem)
    assert str(tmp_path) in str(problem.where)


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path):
    (problem,) = check_hyperparameters(tmp_path / "none.json")
    assert "No such file" in problem.message
    (tmp_path / "latin.json").write_bytes(b'{"description": "\xe9"}')
    (problem,) = check_hyperparameters(tmp_path / "latin.json")
    assert "UTF-8" in problem.message


def test_a_value_outside_the_searched_range_is_legal_and_warned_about(tmp_path):
    file = write_tree(tmp_path, tuned(shipped_tree(), learning_rate=0.5, batch_size=64))
    warnings = load_hyperparameters(file).warnings
    assert [
        f"{file} configs.hex8_3p.hyperparameters.{name}" in line
        for name, line in zip(("learning_rate", "batch_size"), warnings, strict=True)
    ] == [True, True]


def test_merge_takes_defaults_then_configuration_then_settings_then_options(tmp_path):
    tree = tuned(shipped_tree(), learning_rate=1e-3, hidden_dim=384, dropout=0.2, batch_size=512)
    tree["defaults"]["epochs"] = 20
    del tree["defaults"]["value_weight"]
    file = write_tree(tmp_path, tree)
    settings = load_settings(
        profile="cpu",  # sets hidden_dim, batch_size and learning_rate
        environ={"RINGRIFT_TRAINING__HIDDEN_DIM": "512"},
        options={"training.warmup_epochs": 2},
    )
    loaded = load_hyperparameters(root=tmp_path)
    merged = merge_hyperparameters(
        loaded, "hex8_3p", settings=settings, options={"dropout": 0.3, "epochs": None}
    )
    values, places = merged.values, {name: str(origin) for name, origin in merged.origins.items()}
    in_set = f"{file} configs.hex8_3p.hyperparameters"
    assert (values.value_weight, places["value_weight"]) == (1.0, "default")
    assert (values.epochs, places["epochs"]) == (20, f"{file} defaults.epochs")
    assert (values.batch_size, places["batch_size"]) == (512, f"{in_set}.batch_size")
    assert (values.learning_rate, places["learning_rate"]) == (1e-3, f"{in_set}.learning_rate")
    assert (values.hidden_dim, places["hidden_dim"]) == (512, "RINGRIFT_TRAINING__HIDDEN_DIM")
    assert (values.warmup_epochs, merged.origins["warmup_epochs"].kind) == (2, "option")
    assert (values.dropout, places["dropout"]) == (0.3, "option for dropout")
    assert merged.confidence == "low"
    assert merged.notes == ()
    assert merged.origins.keys() == Hyperparameters.model_fields.keys()
    untuned = merge_hyperparameters(loaded, "hex8_2p", settings=settings)
    assert (untuned.values.batch_size, str(untuned.origins["batch_size"])) == (1024, "profile cpu")
    assert untuned.confidence == "none"


def test_tuned_sets_can_be_switched_off(tmp_path):
    write_tree(tmp_path, tuned(shipped_tree(), dropout=0.25))
    settings = load_settings(environ={"RINGRIFT_TRAINING__USE_OPTIMIZED_HYPERPARAMS": "0"})
    merged = merge_hyperparameters(
        load_hyperparameters(root=tmp_path), "hex8_3p", settings=settings
    )
    assert merged.values.dropout == 0.1
    assert merged.confidence == "none"
    assert "use_optimized_hyperparams is off" in merged.notes[0]


def test_a_missing_configuration_falls_back_to_defaults_and_says_so(tmp_path):
    tree = shipped_tree()
    del tree["configs"]["hex8_3p"]
    file = write_tree(tmp_path, tree)
    merged = merge_hyperparameters(load_hyperparameters(file), "hex8_3p")
    assert merged.values == Hyperparameters()
    assert merged.notes == (f"hex8_3p is not in {file}: it falls back to the defaults",)


def test_a_missing_file_falls_back_to_defaults_and_says_so(tmp_path):
    merged = merge_hyperparameters(load_hyperparameters(root=tmp_path), "hex8_3p")
    assert merged.values == Hyperparameters()
    assert {str(origin) for origin in merged.origins.values()} == {"default"}
    assert HYPERPARAMETERS_FILE in merged.notes[0]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"lr": 1}, "try learning_rate"),
        ({"epochs": 0}, "option for epochs"),
        ({"learning_rate": "x"}, "learning_rate"),
    ],
)
def test_a_wrong_option_is_named(options, wanted):
    with pytest.raises(SettingsError) as caught:
        merge_hyperparameters(load_hyperparameters(), "hex8_3p", options=options)
    assert wanted in str(caught.value)


def test_an_unknown_configuration_names_the_nearest():
    with pytest.raises(SettingsError, match="try hex8_2p"):
        merge_hyperparameters(load_hyperparameters(), "hex9_2p")


def test_saving_keeps_the_old_file_and_reads_back(tmp_path):
    file = write_tree(tmp_path, tuned(shipped_tree(), dropout=0.2))
    before = file.read_bytes()
    saved = save_hyperparameters(file, load_hyperparameters(file).content, now=NOW)
    assert file.with_name("hyperparameters.json.bak").read_bytes() == before
    assert saved.last_updated == "2025-06-30T12:00:00Z"
    assert load_hyperparameters(file).content == saved
    tree = json.loads(file.read_text())
    assert tree["configs"]["hex8_3p"]["hyperparameters"] == {"dropout": 0.2}
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "hyperparameters.json",
        "hyperparameters.json.bak",
    ]


@pytest.mark.parametrize(("trials", "confidence"), [(10, "low"), (30, "medium"), (100, "high")])
def test_a_study_writes_its_set_and_nothing_else(tmp_path, trials, confidence):
    tree = shipped_tree()
    tree["configs"]["hex8_3p"]["notes"] = "measured on two machines"
    file = write_tree(tmp_path, tree)
    found = Hyperparameters(learning_rate=2e-3, batch_size=512)
    save_tuned(file, "hex8_3p", found, method="tpe", trials=trials, best_val_loss=1.5, now=NOW)
    content = load_hyperparameters(file).content
    entry = content.configs["hex8_3p"]
    assert entry.optimized
    assert (entry.confidence, entry.tuning_trials, entry.tuning_method) == (
        confidence,
        trials,
        "tpe",
    )
    assert (entry.last_tuned, entry.best_val_loss) == ("2025-06-30T12:00:00Z", 1.5)
    assert entry.notes == "measured on two machines"
    assert entry.hyperparameters is not None
    assert entry.hyperparameters.given() == {"learning_rate": 2e-3, "batch_size": 512}
    others = {name: entry for name, entry in content.configs.items() if name != "hex8_3p"}
    assert others == {
        name: entry
        for name, entry in shipped_hyperparameters().configs.items()
        if name != "hex8_3p"
    }


def test_a_set_that_breaks_the_rules_is_not_written(tmp_path):
    file = write_tree(tmp_path, shipped_tree())
    before = file.read_bytes()
    for values, trials in ((Hyperparameters(batch_size=300), 5), (Hyperparameters(), 0)):
        with pytest.raises(SettingsError):
            save_tuned(file, "hex8_3p", values, method="tpe", trials=trials)
    with pytest.raises(SettingsError, match="hex9_3p"):
        save_tuned(file, "hex9_3p", Hyperparameters(), method="tpe", trials=5)
    assert file.read_bytes() == before
    assert not file.with_name("hyperparameters.json.bak").exists()


def tune_one(path, config):
    save_tuned(Path(path), config, Hyperparameters(epochs=7), method="tpe", trials=1)


def test_studies_that_end_together_do_not_undo_each_other(tmp_path):
    file = write_tree(tmp_path, shipped_tree())
    spawn = multiprocessing.get_context("fork")
    processes = [
        spawn.Process(target=tune_one, args=(str(file), config)) for config in CONFIGURATIONS[:6]
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    content = load_hyperparameters(file).content
    assert [content.configs[config].optimized for config in CONFIGURATIONS] == [
        config in CONFIGURATIONS[:6] for config in CONFIGURATIONS
    ]


@given(
    given_values=st.fixed_dictionaries(
        {},
        optional={
            "learning_rate": st.floats(1e-8, 1, exclude_min=True),
            "batch_size": st.integers(0, 14).map(lambda power: 2**power),
            "dropout": st.floats(0, 0.99),
            "epochs": st.integers(1, 10_000),
            "lr_scheduler": st.sampled_from(["cosine", "plateau"]),
        },
    )
)
def test_whatever_is_written_is_read_back_the_same(given_values):
    content = HyperparameterFile.model_validate(tuned(shipped_tree(), **given_values))
    again = HyperparameterFile.model_validate(json.loads(as_json_text(content)))
    assert again == content
    assert again.configs["hex8_3p"].hyperparameters.given() == given_values


def test_importing_the_module_loads_no_heavy_library():
    code = "import ringrift.core.hyperparameters as h, sys; print({'pydantic', 'ruamel'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    with pytest.raises(ImportError):
        from ringrift.core.hyperparameters import no_such_name  # noqa: F401
