"""Settings: precedence, origins, and errors that name file, line, key and the nearest name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.core.errors import SettingsError
from ringrift.core.settings import CONFIGURATIONS, Settings
from ringrift.core.settings_loader import (
    DEFAULT_FILE,
    check_file,
    known_keys,
    load_settings,
    profile_names,
    section_paths,
)
from ringrift.core.settings_loader.keys import value_at
from ringrift.core.settings_text import commented_settings

KEYS = sorted(known_keys())


def plain_at(loaded, path):
    """The value of a key as plain data; a secret by its reference."""
    value = value_at(loaded.values, path)
    if known_keys()[path].secret:
        return value.reference
    tree = loaded.as_tree()
    for name in path.split("."):
        tree = tree[name]
    return tree


def another_value(path):
    """A legal value of the key that is not its default, made from the key's type."""
    key = known_keys()[path]
    special = {
        "version": "1.2",
        "web.surfaces": "play,moves",
        "p2p.p2p_base_url": "http://node-7:8771",
        "cluster.subject_prefix": "other-1",
        "p2p_daemon.known_peers": ["node-7:8770"],
        "ladder": {"4": {"hex8_3p": {"think_ms": 3000}}},
        "cloud.gpu_boards": {"A10": "hex8"},
        "cloud.groups": [{"name": "a", "provider": "vast", "gpus": ["RTX 3070"]}],
        "external_drive_sync.enabled": None,  # needs a folder: has its own test
    }
    if path in special:
        return special[path]
    if key.kind == "choice":
        return next((choice for choice in key.choices if choice != key.default), None)
    if key.kind == "list":
        return list(key.choices[:1]) or [1 if key.item_kind == "whole number" else "random"]
    match key.kind:
        case "boolean":
            return not key.default
        case "secret":
            return "env:SOME_NAME"
        case "mapping":
            return {"RTX 3070": 0.25}
        case "text":
            return f"{key.default or 'some'}x"
        case "whole number":
            return key.default - 1 if path in SINKING else (key.default or 0) + 1
    # Numbers that rise would pass their neighbour above, those that sink the one below.
    if path in RISING:
        return key.default * 1.01
    return key.default / 2 if key.default else 0.5


SINKING = {"resource_targets.throughput_target", "resource_targets.selfplay_rate_start"}
ENDS_OF_RISING = (
    "_max_seconds",
    "_critical",
    "max_weight_multiplier",
    "hard_share",
    "large_error",
    "max_delay_seconds",
    "scale_down_above",
    "hard_delay_seconds",
)
RISING = {
    path
    for path in KEYS
    if path.endswith(ENDS_OF_RISING)
    and not (path.startswith("resource_targets") and path.endswith("_critical"))
}


def as_text(value):
    """A value as an environment variable gives it."""
    if isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)):
        return json.dumps(value)
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


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
    file = write_root(tmp_path, json.dumps(nested(path, value)))
    loaded = load_settings(root=tmp_path, environ={})
    assert contains(plain_at(loaded, path), value)
    assert str(loaded.origins[path]) == f"{file}:1"
    assert loaded.warnings == ()

    variable = known_keys()[path].variable
    loaded = load_settings(environ={variable: as_text(value)})
    assert contains(plain_at(loaded, path), value)
    assert loaded.origins[path].place == variable

    loaded = load_settings(environ={}, options={path: value})
    assert contains(plain_at(loaded, path), value)
    assert loaded.origins[path].kind == "option"


def contains(found, given):
    """Whether `found` is `given`, where mappings inside may have more keys, at their defaults."""
    if isinstance(given, dict):
        return all(contains(found[name], value) for name, value in given.items())
    if isinstance(given, list):
        return len(found) == len(given) and all(map(contains, found, given))
    return found == given


def test_only_keys_with_one_choice_or_a_partner_are_left_out_above():
    left_out = {path for path in KEYS if another_value(path) is None}
    assert left_out == {"training.hex_encoder_version", "external_drive_sync.enabled"}
    enabled = {"external_drive_sync.enabled": True, "external_drive_sync.target_dir": "/mnt"}
    assert load_settings(environ={}, options=enabled).values.external_drive_sync.enabled


def test_every_key_has_a_meaning_and_a_default_that_is_valid():
    assert all(key.meaning for key in known_keys().values())
    assert Settings() == Settings.model_validate(
        json.loads(Settings().model_dump_json(by_alias=True))
    )


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
    assert (training.batch_size, training.max_reuse, training.hidden_dim) == (500, 6, 128)
    kinds = {
        name: loaded.origins[f"training.{name}"].kind
        for name in Settings().training.__dict__
        if name != "policy"
    }
    assert kinds["batch_size"] == "option"
    assert kinds["max_reuse"] == "environment"
    assert kinds["hidden_dim"] == "profile"
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


@pytest.mark.parametrize("name", profile_names())
def test_profiles_load_and_are_named_for_each_value_they_set(name):
    loaded = load_settings(profile=name, environ={})
    kinds = {origin.kind for origin in loaded.origins.values()}
    assert kinds == {"default", "profile"}
    assert loaded.origins["evaluation.simulations"].place == f"profile {name}"


@pytest.mark.parametrize(
    ("name", "configurations", "nets", "full", "job", "trigger", "batch", "simulations", "bound"),
    [
        ("cpu", 2, ("nnue",), 48, 64, 300, 1024, 32, 20),
        ("gpu", 6, ("cnn", "nnue"), 64, 512, 1000, 4096, 64, 20),
        ("cluster", 12, ("cnn", "nnue"), 64, 512, 2000, 4096, 64, 20),
    ],
)
def test_profiles_are_those_of_the_table(
    name, configurations, nets, full, job, trigger, batch, simulations, bound
):
    settings = load_settings(profile=name, environ={}).values
    assert len(settings.configurations) == configurations
    assert settings.training.nets == nets
    assert settings.selfplay.mcts_simulations == full
    assert settings.selfplay.cheap_simulations == full // 4
    assert settings.selfplay.games_per_job == job
    assert settings.training.trigger_threshold_games == trigger
    assert settings.training.batch_size == batch
    assert settings.evaluation.simulations == simulations
    assert settings.promotion.elo_threshold == bound


def test_a_run_record_says_what_was_set_by_whom_and_with_which_versions(tmp_path):
    file = write_root(tmp_path, "training: {batch_size: 7}\np2p: {auth_token: 'env:MINE'}\n")
    record = load_settings(
        root=tmp_path, profile="quick", environ={"MINE": "0123456789"}
    ).as_record()
    assert json.loads(json.dumps(record)) == record
    assert record["settings"]["training"]["batch_size"] == 7
    assert record["settings"]["p2p"]["auth_token"] == "***"
    assert record["origins"]["training.batch_size"] == f"{file}:1"
    assert record["origins"].keys() == known_keys().keys()
    assert (record["profile"], record["file"]) == ("quick", str(file))
    assert record["versions"]["python"]
    assert record["versions"]["torch"]
    assert record["versions"].keys() == {"python", "ringrift", "torch", "numba", "numpy"}


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
