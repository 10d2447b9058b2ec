"""Settings: precedence, origins, and errors that name file, line, key and the nearest name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.cli.config import commented_settings
from ringrift.core.errors import SettingsError
from ringrift.core.settings import CONFIGURATIONS, Settings
from ringrift.core.settings_loader import (
    DEFAULT_FILE,
    SHORT_NAMES,
    check_file,
    known_keys,
    load_settings,
    profile_names,
    section_paths,
)

KEYS = sorted(known_keys())


def value_at(settings, path):
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


def another_value(path):
    """A legal value of the key that is not its default."""
    special = {
        "version": "1.2",
        "configurations": ["hex8_3p"],
        "training.sampling_weights": "uniform",
        "training.nets": ["cnn"],
        "training.model_size": "tiny",
        "training.hex_encoder_version": None,  # one choice only
        "training.ema_decay": 0.5,
        "evaluation.baseline_models": ["random"],
        "promotion.min_games": 41,
        "evaluation.adaptive_interval_min_seconds": 361.0,
    }
    if path in special:
        return special[path]
    default = known_keys()[path].default
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 1
    if isinstance(default, float):
        return default / 2 if default <= 1 else default + 1
    return 1 if default is None else f"{default}x"


def write_root(tmp_path, text):
    file = tmp_path / DEFAULT_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def nested(path, value):
    *sections, name = path.split(".")
    tree = {name: value}
    for section in reversed(sections):
        tree = {section: tree}
    return tree


@pytest.mark.parametrize("path", [path for path in KEYS if another_value(path) is not None])
def test_each_key_is_set_by_file_by_environment_and_by_option(tmp_path, path):
    value = another_value(path)
    expected = tuple(value) if isinstance(value, list) else value
    file = write_root(tmp_path, json.dumps(nested(path, value)))
    loaded = load_settings(root=tmp_path, environ={})
    assert value_at(loaded.values, path) == expected
    assert str(loaded.origins[path]) == f"{file}:1"

    text = ",".join(value) if isinstance(value, list) else str(value)
    variable = known_keys()[path].variable
    loaded = load_settings(environ={variable: text})
    assert value_at(loaded.values, path) == expected
    assert loaded.origins[path].place == variable

    loaded = load_settings(environ={}, options={path: value})
    assert value_at(loaded.values, path) == expected
    assert loaded.origins[path].kind == "option"


def test_every_key_has_a_meaning_and_a_default_that_is_valid():
    assert all(key.meaning for key in known_keys().values())
    assert Settings() == Settings.model_validate(json.loads(Settings().model_dump_json()))


def test_later_layers_win_and_each_value_remembers_its_layer(tmp_path):
    write_root(
        tmp_path, "training:\n  batch_size: 300\n  max_reuse: 5\nselfplay:\n  games_per_job: 9\n"
    )
    loaded = load_settings(
        root=tmp_path,
        profile="quick",
        environ={"RINGRIFT_TRAINING__BATCH_SIZE": "400", "RINGRIFT_TRAINING__MAX_REUSE": "6"},
        options={"training.batch_size": 500, "training.max_reuse": None},
    )
    training = loaded.values.training
    assert (training.batch_size, training.max_reuse, training.model_size) == (500, 6, "tiny")
    kinds = {
        name: loaded.origins[f"training.{name}"].kind
        for name in Settings().training.__dict__
        if name != "policy"
    }
    assert kinds["batch_size"] == "option"
    assert kinds["max_reuse"] == "environment"
    assert kinds["model_size"] == "profile"
    assert kinds["warm_start"] == "default"
    assert loaded.origins["selfplay.games_per_job"].kind == "file"


def test_all_errors_are_collected_with_file_line_key_and_nearest_name(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "training:\n"
        "  batch_sze: 3\n"
        "  learning_rate: -1\n"
        "limts: {}\n"
        "configurations: [square9_2p]\n"
        "selfplay: 7\n"
    )
    found = [str(problem) for problem in check_file(file)]
    assert len(found) == 5
    (misspelt,) = [line for line in found if "batch_sze" in line]
    assert f"{file}:2 training.batch_sze" in misspelt
    assert misspelt.endswith("try batch_size")
    assert any(f"{file}:4" in line and line.endswith("try limits") for line in found)
    assert any(f"{file}:3" in line and "found -1" in line for line in found)
    assert any("'square9_2p'" in line and f"{file}:5" in line for line in found)
    assert any(f"{file}:6" in line and "expected a section" in line for line in found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("training: [1, 2\n", ":2"),
        ("- a\n- b\n", "expected sections"),
        ("training:\n  batch_size: 1\n  batch_size: 2\n", "batch_size"),
        ("a: b: c\n", ":1"),
    ],
)
def test_malformed_files_are_errors_with_the_line(tmp_path, text, wanted):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    (problem,) = check_file(file)
    assert wanted in str(problem)
    assert problem.exit_code == 78


@given(st.text(max_size=200))
def test_no_text_makes_the_loader_crash(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    file.write_text(text, encoding="utf-8")
    check_file(file)


def test_bytes_that_are_not_utf8_are_an_error(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_bytes(b"verbose: \xff\xfe")
    (problem,) = check_file(file)
    assert "UTF-8" in str(problem)


@pytest.mark.parametrize("text", ["maybe", "2", ""])
def test_only_the_documented_booleans_are_booleans(text):
    with pytest.raises(SettingsError, match="RINGRIFT_TRAINING__USE_EMA"):
        load_settings(environ={"RINGRIFT_TRAINING__USE_EMA": text})


@pytest.mark.parametrize(
    ("text", "value"), [("YES", True), ("on", True), ("0", False), ("No", False)]
)
def test_booleans_come_in_any_case(text, value):
    loaded = load_settings(environ={"RINGRIFT_TRAINING__USE_EMA": text})
    assert loaded.values.training.use_ema is value


def test_short_names_reach_their_keys():
    loaded = load_settings(
        environ={
            "RINGRIFT_DISABLE_LOCAL_TASKS": "yes",
            "RINGRIFT_POLICY_KL_MIN_COVERAGE": "0.4",
            "RINGRIFT_MAX_DISK_PERCENT": "90",
        }
    )
    assert loaded.values.loop.local_tasks is False
    assert loaded.values.training.policy.kl_min_coverage == 0.4
    assert loaded.values.limits.disk_critical == 90
    assert {target.lstrip("!") for target in SHORT_NAMES.values()} <= set(known_keys())


def test_a_coverage_above_one_names_the_variable():
    with pytest.raises(SettingsError, match="RINGRIFT_POLICY_KL_MIN_COVERAGE") as caught:
        load_settings(environ={"RINGRIFT_POLICY_KL_MIN_COVERAGE": "1.5"})
    assert caught.value.exit_code == 78


def test_unknown_variables_warn_and_unknown_keys_of_sections_are_errors():
    loaded = load_settings(environ={"RINGRIFT_ROOTT": "x", "OTHER": "y"})
    assert loaded.warnings == (
        "unknown environment variable RINGRIFT_ROOTT; nearest known: RINGRIFT_ROOT",
    )
    with pytest.raises(SettingsError, match="RINGRIFT_TRAINING__BATCH_SIZE"):
        load_settings(environ={"RINGRIFT_TRAINING__BATCH_SZE": "1"})


def test_two_keys_with_one_meaning_agree_or_name_both_places(tmp_path):
    quick = load_settings(profile="quick", environ={})
    assert quick.values.selfplay.min_games_for_training == 400
    assert quick.values.training.trigger_threshold_games == 400
    write_root(
        tmp_path,
        "training:\n  trigger_threshold_games: 10\nselfplay:\n  min_games_for_training: 20\n",
    )
    with pytest.raises(SettingsError) as caught:
        load_settings(root=tmp_path, environ={})
    assert ":2" in str(caught.value)
    assert ":4" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("limits: {disk_warning: 80}", "disk_warning"),
        ("promotion: {min_games: 900}", "min_games"),
        ("evaluation: {adaptive_interval_min_seconds: 4000}", "adaptive_interval_min_seconds"),
    ],
)
def test_rules_over_two_keys_name_the_key_that_was_set(tmp_path, text, names):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    (problem,) = check_file(file)
    assert names in str(problem)
    assert f"{file}:1" in str(problem)


def test_a_lowered_critical_limit_alone_is_legal(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("limits: {disk_critical: 1}")
    assert check_file(file) == []


@pytest.mark.parametrize("name", profile_names())
def test_profiles_load_and_are_named_for_each_value_they_set(name):
    loaded = load_settings(profile=name, environ={})
    kinds = {origin.kind for origin in loaded.origins.values()}
    assert kinds == {"default", "profile"}
    assert loaded.origins["evaluation.simulations"].place == f"profile {name}"


def test_unknown_profile_lists_the_known_ones():
    with pytest.raises(SettingsError, match="quick"):
        load_settings(profile="fast", environ={})


def test_the_commented_file_changes_nothing_and_undoes_no_profile(tmp_path):
    file = write_root(tmp_path, commented_settings())
    assert check_file(file) == []
    assert load_settings(root=tmp_path, environ={}).values == Settings()
    with_file = load_settings(root=tmp_path, profile="quick", environ={})
    assert with_file.values == load_settings(profile="quick", environ={}).values


def test_the_commented_file_uncommented_equals_the_defaults(tmp_path):
    lines = commented_settings().splitlines()
    active = [
        line.replace("# ", "", 1) if line.strip().startswith("# ") else line for line in lines[1:]
    ]
    file = write_root(tmp_path, "\n".join(active))
    loaded = load_settings(root=tmp_path, environ={})
    assert loaded.values == Settings()
    assert {origin.kind for origin in loaded.origins.values()} == {"file"}
    assert loaded.file == file


def test_settings_are_frozen_and_name_all_twelve_configurations():
    with pytest.raises(Exception, match="frozen"):
        Settings().training.batch_size = 1  # type: ignore[misc]
    assert len(CONFIGURATIONS) == len(set(CONFIGURATIONS)) == 12
    assert {"training", "training.policy", "selfplay.ai_type_weights"} <= section_paths()


@pytest.mark.parametrize("text", ['"2"', "2", "1.0", '"1.7"'])
def test_versions_of_the_documented_files_load(tmp_path, text):
    file = tmp_path / "x.yaml"
    file.write_text(f"version: {text}\n")
    assert check_file(file) == []


def test_other_versions_are_refused(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("version: 3\n")
    (problem,) = check_file(file)
    assert "version" in str(problem)


def test_of_two_keys_with_one_meaning_the_later_layer_wins(tmp_path):
    write_root(tmp_path, "selfplay: {min_games_for_training: 10}\n")
    environ = {"RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": "20"}
    for options, wanted in (({}, 20), ({"selfplay.min_games_for_training": 30}, 30)):
        loaded = load_settings(root=tmp_path, environ=environ, options=options)
        assert loaded.values.training.trigger_threshold_games == wanted
        assert loaded.values.selfplay.min_games_for_training == wanted
    file_only = load_settings(root=tmp_path, profile="quick", environ={})
    assert file_only.values.training.trigger_threshold_games == 10
