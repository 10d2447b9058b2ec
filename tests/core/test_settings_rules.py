"""Rules between keys: one meaning, one limit, one order, one port; and keys of older files."""

import pytest

from ringrift.core.errors import SettingsError
from ringrift.core.settings import Settings
from ringrift.core.settings.limits import Limits
from ringrift.core.settings_loader import (
    DEFAULT_FILE,
    RETIRED,
    RETIRED_SECTIONS,
    check_file,
    known_keys,
    load_settings,
    replaced_by,
)
from ringrift.core.settings_loader.keys import value_at
from ringrift.core.settings_loader.rules import LIMITED, SAME_MEANING


def write_root(tmp_path, text):
    file = tmp_path / DEFAULT_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def two_keys(first, a, second, b):
    """A file with two keys, each in a section and a line of its own."""
    lines = []
    for path, value in ((first, a), (second, b)):
        section, _, name = path.rpartition(".")
        lines += [f"{section}:", f"  {name}: {value}"]
    return "\n".join(lines) + "\n"


def test_two_keys_with_one_meaning_agree_or_name_both_places(tmp_path):
    quick = load_settings(profile="quick", environ={})
    assert quick.values.selfplay.min_games_for_training == 200
    assert quick.values.training.trigger_threshold_games == 200
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


def test_of_two_keys_with_one_meaning_the_later_layer_wins(tmp_path):
    write_root(tmp_path, "selfplay: {min_games_for_training: 10}\n")
    environ = {"RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": "20"}
    for options, wanted in (({}, 20), ({"selfplay.min_games_for_training": 30}, 30)):
        loaded = load_settings(root=tmp_path, environ=environ, options=options)
        assert loaded.values.training.trigger_threshold_games == wanted
        assert loaded.values.selfplay.min_games_for_training == wanted
    file_only = load_settings(root=tmp_path, profile="quick", environ={})
    assert file_only.values.training.trigger_threshold_games == 10


@pytest.mark.parametrize(("first", "second"), SAME_MEANING)
def test_both_keys_of_a_pair_have_one_value_whoever_is_set(tmp_path, first, second):
    value, other = (["random"], ["mcts_7"]) if "baseline" in first else (7, 8)
    expected = tuple(value) if isinstance(value, list) else value
    assert value_at(Settings(), first) == value_at(Settings(), second)
    for given in (first, second):
        loaded = load_settings(environ={}, options={given: value})
        for path in (first, second):
            assert value_at(loaded.values, path) == expected
            assert loaded.origins[path].place == f"option for {given}"
    file = write_root(tmp_path, two_keys(first, value, second, other))
    (problem,) = check_file(file)
    assert f"{file}:2 {first}" in str(problem)
    assert f"{file}:4 {second}" in str(problem)
    write_root(tmp_path, two_keys(first, value, second, value))
    assert check_file(file) == []


def test_a_bad_value_that_two_keys_share_is_one_problem(tmp_path):
    file = write_root(tmp_path, "training: {trigger_threshold_games: 0}\n")
    (problem,) = check_file(file)
    assert "training.trigger_threshold_games: found 0" in str(problem)


@pytest.mark.parametrize(("limit", "threshold"), LIMITED)
def test_thresholds_follow_their_limit_and_are_cut_to_it(tmp_path, limit, threshold):
    for value in (50, 90):
        loaded = load_settings(environ={}, options={limit: value})
        assert value_at(loaded.values, threshold) == value
        assert loaded.origins[threshold].place == f"option for {limit}"
        assert loaded.warnings == ()

    loaded = load_settings(environ={}, options={threshold: 95})
    most = known_keys()[limit].default
    assert value_at(loaded.values, threshold) == value_at(loaded.values, limit) == most
    (warning,) = loaded.warnings
    assert f"option for {threshold}" in warning
    assert f"found 95, above {limit} {most}" in warning

    loaded = load_settings(environ={}, options={threshold: 50})
    assert value_at(loaded.values, threshold) == 50
    assert value_at(loaded.values, limit) == most
    assert loaded.warnings == ()

    file = write_root(tmp_path, two_keys(limit, 75, threshold, 76))
    problems = [str(problem) for problem in check_file(file)]
    assert len(problems) == 1, problems
    assert f"{file}:2 {limit}" in problems[0]
    assert f"{file}:4 {threshold}" in problems[0]


def test_a_limit_of_a_later_layer_wins_over_a_threshold_of_the_file(tmp_path):
    write_root(tmp_path, "p2p_daemon: {disk_high_threshold: 60}\n")
    loaded = load_settings(root=tmp_path, environ={"RINGRIFT_MAX_DISK_PERCENT": "50"})
    assert loaded.values.p2p_daemon.disk_high_threshold == 50
    assert loaded.warnings == ()


def test_aims_that_nobody_set_sink_with_a_lowered_limit_or_aim():
    targets = load_settings(environ={}, options={"limits.cpu_critical": 50}).values.resource_targets
    assert [getattr(targets, f"cpu_{aim}") for aim in ("min", "target", "max", "critical")] == [
        50, 50, 50, 50,
    ]  # fmt: skip
    loaded = load_settings(environ={}, options={"resource_targets.memory_target": 30})
    targets = loaded.values.resource_targets
    assert (targets.memory_min, targets.memory_target, targets.memory_max) == (30, 30, 70)
    assert loaded.origins["resource_targets.memory_min"].kind == "option"
    assert loaded.warnings == ()


def test_aims_out_of_order_are_an_error_naming_both(tmp_path):
    file = write_root(tmp_path, "resource_targets:\n  gpu_min: 70\n  gpu_target: 65\n")
    (problem,) = check_file(file)
    assert f"{file}:2 resource_targets.gpu_min, {file}:3 resource_targets.gpu_target" in str(
        problem
    )


def test_rules_are_reported_beside_invalid_keys_of_the_same_section(tmp_path):
    file = write_root(
        tmp_path,
        "promotion:\n  min_games: 900\n  elo_threshold: -1\n"
        "web: {port: 9090}\ntraining: {batch_size: x}\n",
    )
    problems = [str(problem) for problem in check_file(file)]
    assert len(problems) == 4
    assert any("found min_games 900 above max_games 800" in line for line in problems)
    assert any("web.port and metrics_port: found port 9090 twice" in line for line in problems)


def test_a_rule_about_an_invalid_key_is_not_judged_by_its_default(tmp_path):
    file = write_root(tmp_path, "promotion:\n  min_games: 900\n  max_games: many\n")
    (problem,) = check_file(file)
    assert "promotion.max_games: found 'many'" in str(problem)


def test_the_model_itself_keeps_the_rules():
    with pytest.raises(ValueError, match="disk_warning 80"):
        Limits(disk_warning=80)


@pytest.mark.parametrize(
    ("text", "environ", "names"),
    [
        ("metrics_port: 8001", {}, ("web.port", "metrics_port")),
        ("web: {port: 8770}", {}, ("web.port", "p2p.p2p_base_url")),
        ("p2p: {p2p_base_url: 'http://127.0.0.1:9090'}", {}, ("metrics_port", "p2p.p2p_base_url")),
        ("{}", {"RINGRIFT_P2P_PORT": "9090"}, ("metrics_port", "RINGRIFT_P2P_PORT")),
        ("{}", {"RINGRIFT_WEB__PORT": "9090"}, ("RINGRIFT_WEB__PORT", "metrics_port")),
    ],
)
def test_two_settings_with_one_port_are_an_error_naming_both(tmp_path, text, environ, names):
    write_root(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(root=tmp_path, environ=environ)
    assert caught.value.exit_code == 78
    assert len(caught.value.problems) == 1
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize(
    "text",
    [
        "{metrics_port: 8001, metrics_enabled: false}",
        "{metrics_port: 0, web: {port: 0}}",
        "p2p: {p2p_base_url: 'http://node-7:9090'}",  # another machine's port
        "{web: {port: 8770}, p2p: {enabled: false}}",
    ],
)
def test_ports_that_nothing_of_ours_listens_on_are_free(tmp_path, text):
    assert check_file(write_root(tmp_path, text)) == []


def test_a_port_beyond_the_last_is_an_error(tmp_path):
    (problem,) = check_file(write_root(tmp_path, "p2p: {p2p_base_url: 'http://localhost:99999'}"))
    assert "99999" in str(problem)


EXAMPLES = {"wal_*": "wal_enabled", "*_script": "training_script", "gossip_*": "gossip_interval",
            "swa_*": "swa_start"}  # fmt: skip


@pytest.mark.parametrize("row", RETIRED, ids=lambda row: row.pattern)
def test_each_retired_key_loads_with_one_line_naming_its_place_and_replacement(tmp_path, row):
    name = EXAMPLES.get(row.pattern, row.pattern)
    file = write_root(tmp_path, f'version: "1.4"\ntraining:\n  {name}: {{a: [1]}}\n{name}: 3\n')
    loaded = load_settings(root=tmp_path, environ={})
    assert loaded.warnings == (
        f"{file}:3 training.{name}: retired, has no effect; replaced by {row.replacement}",
        f"{file}:4 {name}: retired, has no effect; replaced by {row.replacement}",
    )
    assert loaded.values == Settings(version="1.4")
    loaded = load_settings(environ={f"RINGRIFT_TRAINING__{name.upper()}": "1"})
    (warning,) = loaded.warnings
    assert row.replacement in warning


def test_no_key_of_today_is_retired():
    assert [path for path in known_keys() if replaced_by(path) is not None] == []


@pytest.mark.parametrize("name", RETIRED_SECTIONS)
def test_a_retired_section_loads_switched_off_and_is_an_error_switched_on(tmp_path, name):
    file = write_root(tmp_path, f"{name}:\n  population: 8\n  enabled: false\n")
    (warning,) = load_settings(root=tmp_path, environ={}).warnings
    assert warning.startswith(f"{file}:1 {name}: retired")
    write_root(tmp_path, f"{name}:\n  population: 8\n  enabled: true\n")
    (problem,) = check_file(file)
    assert f"{name}.enabled: found True; expected false" in str(problem)
    assert f"{file}:3 {name}.enabled" in str(problem)


def test_an_unknown_key_that_only_looks_retired_elsewhere_is_unknown(tmp_path):
    (problem,) = check_file(write_root(tmp_path, "nosection: {k_factor: 1}\n"))
    assert "unknown section 'nosection'" in str(problem)


def test_elements_of_lists_of_mappings_are_checked_with_their_lines(tmp_path):
    file = write_root(
        tmp_path,
        "cloud:\n  groups:\n    - name: a\n      provider: vast\n      gpus: [A10]\n"
        "    - name: a\n      provider: nobody\n      gpus: [A10]\n      colour: red\n",
    )
    problems = [str(problem) for problem in check_file(file)]
    assert len(problems) == 2
    assert any(f"{file}:7 cloud.groups.1.provider" in line for line in problems)
    assert any(f"{file}:9 cloud.groups.1.colour" in line for line in problems)
    file.write_text(file.read_text().replace("nobody", "lambda").replace("      colour: red\n", ""))
    (problem,) = check_file(file)
    assert "found 2 groups named 'a'; expected one" in str(problem)
    file.write_text("cloud: {groups: [{name: b, provider: vast, gpus: [A10], min: 9}]}\n")
    (problem,) = check_file(file)
    assert "cloud.groups.0: found min 9 above target 5" in str(problem)
