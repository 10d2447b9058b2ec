"""`ringrift config`: what it shows, checks and writes."""

import json
import os
from pathlib import Path

import pytest
from tests.unhurried import settings_of

from ringrift.core.hyperparameters import (
    HYPERPARAMETERS_FILE,
    Hyperparameters,
    as_json_text,
    load_hyperparameters,
    merge_hyperparameters,
    shipped_hyperparameters,
)
from ringrift.core.settings import CONFIGURATIONS, Settings
from ringrift.core.settings_loader import (
    DEFAULT_FILE,
    OTHER_NAMES,
    SHORT_NAMES,
    VARIABLES,
    known_keys,
    load_settings,
)
from ringrift.core.settings_text import commented_settings

REPOSITORY = Path(__file__).parents[2]
SECRET = "s3cret-word-of-the-cluster"


@pytest.fixture(autouse=True)
def _no_settings(ringrift, monkeypatch):
    """Take back what the fixture sets so that no command waits for the machine."""
    for name in settings_of(os.environ):
        monkeypatch.delenv(name)


def tuned_root(folder):
    """Make a data root whose hex8_3p has a set of its own."""
    tree = json.loads(as_json_text(shipped_hyperparameters()))
    tree["configs"]["hex8_3p"].update(
        optimized=True,
        confidence="medium",
        tuning_trials=40,
        hyperparameters={"dropout": 0.25, "learning_rate": 0.002},
    )
    (folder / "config").mkdir()
    (folder / ".ringrift-root").write_text("")
    (folder / HYPERPARAMETERS_FILE).write_text(json.dumps(tree))
    return tree


def test_show_names_values_and_origins(ringrift, monkeypatch):
    monkeypatch.setenv("RINGRIFT_TRAINING__BATCH_SIZE", "512")
    code, out, _ = ringrift("config", "show", "--profile", "quick", "--origin", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["settings"]["training"]["batch_size"] == 512
    assert answer["origins"]["training.batch_size"] == {
        "kind": "environment",
        "place": "RINGRIFT_TRAINING__BATCH_SIZE",
    }
    assert answer["origins"]["training.hidden_dim"]["place"] == "profile quick"
    assert answer["origins"].keys() == known_keys().keys()
    text = ringrift("config", "show", "--origin")[1]
    assert "RINGRIFT_TRAINING__BATCH_SIZE" in text
    assert all(path in text for path in known_keys())


def test_show_of_all_settings_equals_the_defaults(ringrift):
    answer = json.loads(ringrift("config", "show", "--json")[1])
    assert Settings.model_validate(answer["settings"]) == Settings()


def test_show_with_a_configuration_names_the_origin_of_each_hyper_parameter(
    ringrift, tmp_path, monkeypatch
):
    tuned_root(tmp_path)
    monkeypatch.setenv("RINGRIFT_TRAINING__LEARNING_RATE", "0.01")
    arguments = ("config", "show", "--config-key", "hex8_3p", "--profile", "cpu", "--origin")
    code, out, err = ringrift(*arguments, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    merged = answer["hyperparameters"]
    assert merged["config"] == "hex8_3p"
    assert merged["confidence"] == "medium"
    assert (
        merged["values"].keys() == merged["origins"].keys() == Hyperparameters.model_fields.keys()
    )
    assert merged["values"]["dropout"] == 0.25
    place = f"{tmp_path / HYPERPARAMETERS_FILE} configs.hex8_3p.hyperparameters.dropout"
    assert merged["origins"]["dropout"] == {"kind": "file", "place": place}
    assert merged["values"]["learning_rate"] == 0.01
    assert merged["origins"]["learning_rate"] == {
        "kind": "environment",
        "place": "RINGRIFT_TRAINING__LEARNING_RATE",
    }
    assert merged["values"]["batch_size"] == 1024
    assert merged["origins"]["batch_size"]["place"] == "profile cpu"
    assert merged["origins"]["epochs"]["place"].endswith("defaults.epochs")
    assert answer["origins"].keys() == known_keys().keys()
    text = ringrift(*arguments)[1]
    assert "hyper-parameters of hex8_3p (confidence medium)" in text
    assert all(name in text for name in Hyperparameters.model_fields)
    assert "config/hyperparameters.json configs.hex8_3p.hyperparameters.dropout" in text


def test_what_a_run_would_save_equals_what_show_prints(ringrift, tmp_path, monkeypatch):
    tuned_root(tmp_path)
    monkeypatch.setenv("RINGRIFT_TRAINING__HIDDEN_DIM", "384")
    for config in ("hex8_3p", "square8_2p"):
        out = ringrift("config", "show", "--config-key", config, "--profile", "quick", "--json")[1]
        saved = merge_hyperparameters(
            load_hyperparameters(root=tmp_path),
            config,
            settings=load_settings(root=tmp_path, profile="quick"),
        ).as_tree()
        assert json.loads(out)["hyperparameters"] == json.loads(json.dumps(saved))


def test_show_says_when_a_configuration_falls_back_to_the_defaults(ringrift, tmp_path):
    code, out, err = ringrift("config", "show", "--config-key", "hex_3p", "--json")
    answer = json.loads(out)["hyperparameters"]
    assert code == 0
    assert answer["config"] == "hexagonal_3p"
    assert answer["values"] == Hyperparameters().model_dump()
    assert "falls back to the defaults" in answer["notes"][0]
    assert answer["notes"][0] in err
    tree = tuned_root(tmp_path)
    del tree["configs"]["hex8_3p"]
    (tmp_path / HYPERPARAMETERS_FILE).write_text(json.dumps(tree))
    err = ringrift("config", "show", "--config-key", "hex8_3p")[2]
    assert f"hex8_3p is not in {tmp_path / HYPERPARAMETERS_FILE}" in err


def test_an_unknown_configuration_is_a_usage_error(ringrift):
    code, _, err = ringrift("config", "show", "--config-key", "hex9_3p")
    assert code == 2
    assert "hex9" in err


def test_broken_hyper_parameters_are_78_with_every_json_path(ringrift, tmp_path):
    tree = tuned_root(tmp_path)
    tree["configs"]["hex8_3p"]["hyperparameters"] = {"lr": 1e-3, "batch_size": 300}
    (tmp_path / HYPERPARAMETERS_FILE).write_text(json.dumps(tree))
    for arguments in (("show", "--config-key", "hex8_2p"), ("validate",)):
        code, _, err = ringrift("config", *arguments)
        assert code == 78
        assert "configs.hex8_3p.hyperparameters.lr); try learning_rate" in err
        assert "configs.hex8_3p.hyperparameters.batch_size: found 300" in err
        assert len(err.splitlines()) == 2
    assert ringrift("config", "show")[0] == 0


def test_show_prints_each_value_as_it_is_set(ringrift, monkeypatch):
    monkeypatch.setenv("RINGRIFT_LOG_DIR", "./x/")
    monkeypatch.setenv("RINGRIFT_HOSTS_CONFIG_PATH", "here/../hosts.yaml")
    answer = json.loads(ringrift("config", "show", "--json")[1])
    assert answer["settings"]["hosts_config_path"] == "here/../hosts.yaml"
    assert answer["settings"]["log_dir"] == "./x/"
    assert answer["settings"]["cloud"].keys() >= {"lambda", "vast"}


@pytest.mark.parametrize("command", ["show", "env", "validate"])
def test_with_verbose_stdout_is_one_json_object_and_nothing_else(spawn, tmp_path, command):
    tuned_root(tmp_path)
    (tmp_path / DEFAULT_FILE).write_text("training:\n  use_swa: true\n")
    arguments = ["--config-key", "hex8_2p"] if command == "show" else []
    process = spawn("config", command, "--json", "-v", *arguments, env={"RINGRIFT_ODD": "1"})
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["ok"] is True
    assert "use_swa" in err  # a retired key is warned about, but not there
    assert "RINGRIFT_ODD" in err


def test_secrets_are_hidden_unless_asked_for(ringrift, monkeypatch):
    monkeypatch.setenv("RINGRIFT_CLUSTER_AUTH_TOKEN", SECRET)
    monkeypatch.setenv("RINGRIFT_SOCKS_PROXY", f"socks5://me:{SECRET}@127.0.0.1:1080")
    for arguments in (("show",), ("show", "--json"), ("env", "--all"), ("env", "--json", "-v")):
        code, out, err = ringrift("config", *arguments)
        assert code == 0
        assert SECRET not in out + err
        assert "***" in out
    rows = json.loads(ringrift("config", "env", "--json", "--reveal")[1])["variables"]
    shown = {row["name"]: row["value"] for row in rows}
    assert shown["RINGRIFT_CLUSTER_AUTH_TOKEN"] == SECRET
    assert shown["RINGRIFT_SOCKS_PROXY"] == f"socks5://me:{SECRET}@127.0.0.1:1080"
    answer = json.loads(ringrift("config", "show", "--json", "--reveal")[1])
    # A setting is only a reference: the secret itself is in no settings.
    assert answer["settings"]["p2p"]["auth_token"] == "env:RINGRIFT_CLUSTER_AUTH_TOKEN"


def test_show_takes_one_section(ringrift):
    answer = json.loads(ringrift("config", "show", "--section", "training.policy", "--json")[1])
    assert answer["settings"].keys() == {"training"}
    assert answer["settings"]["training"].keys() == {"policy"}


def test_a_missing_settings_file_is_78(ringrift):
    code, _, err = ringrift("--config", "none.yaml", "config", "show")
    assert code == 78
    assert "none.yaml" in err


def test_validate_prints_every_error_of_every_file(ringrift, tmp_path):
    (tmp_path / "a.yaml").write_text("training:\n  batch_sze: 3\n  max_reuse: x\n")
    (tmp_path / "b.yaml").write_text("loop: {reconcile_seconds: 1}\n")
    code, out, _ = ringrift("config", "validate", "a.yaml", "b.yaml", "--json")
    answer = json.loads(out)
    assert code == 78
    assert answer["ok"] is False
    assert [problem["file"] for problem in answer["problems"]] == ["a.yaml", "a.yaml"]
    assert ringrift("config", "validate", "b.yaml")[:2] == (0, "1 file valid\n")
    assert ringrift("config", "validate")[:2] == (0, "settings are valid\n")
    code, _, err = ringrift("config", "validate", "none.yaml")
    assert code == 2
    assert "none.yaml" in err


def test_validate_tells_the_kinds_of_files_apart(ringrift, tmp_path):
    (tmp_path / "loop.yaml").write_text("loop: {reconcile_seconds: 1}\n")
    (tmp_path / "h.json").write_text('{"defaults": {"epoch": 1}}')
    (tmp_path / "hyper.yaml").write_text('{"configs": {"hex8_9p": {}}}')
    (tmp_path / "settings.json").write_text('{"version": "2", "loop": {"reconcile_seconds": 1}}')
    (tmp_path / "my_hosts.yaml").write_text("hosts:\n  a: {cpus: 1}\n  b: {cpus: 1, cpus: 2}\n")
    (tmp_path / "remote_hosts.yaml").write_text("- a\n")
    names = sorted(path.name for path in tmp_path.iterdir())
    code, out, _ = ringrift("config", "validate", *names, "--json")
    answer = json.loads(out)
    assert code == 78
    assert dict(zip(names, answer["kinds"], strict=True)) == {
        "h.json": "hyperparameters",
        "hyper.yaml": "hyperparameters",
        "loop.yaml": "settings",
        "my_hosts.yaml": "hosts",
        "remote_hosts.yaml": "hosts",
        "settings.json": "settings",
    }
    found = {problem["file"]: problem for problem in answer["problems"]}
    assert len(answer["problems"]) == len(found) == 4
    assert found["h.json"]["where"] == "h.json defaults.epoch"
    assert found["h.json"]["hint"] == "epochs"
    assert found["my_hosts.yaml"]["where"] == "my_hosts.yaml:3 hosts.b.cpus"
    assert "expected sections" in found["remote_hosts.yaml"]["message"]


def test_validate_says_that_the_fields_of_a_hosts_file_are_not_checked(ringrift, tmp_path):
    (tmp_path / "distributed_hosts.yaml").write_text("hosts:\n  a: {cpus: 1}\n")
    code, out, err = ringrift("config", "validate", "distributed_hosts.yaml")
    assert (code, out) == (0, "1 file valid\n")
    assert "fields of a hosts file are not checked yet" in err
    (tmp_path / "distributed_hosts.yaml").write_text("hosts: [\n")
    code, out, _ = ringrift("config", "validate", "distributed_hosts.yaml")
    assert code == 78
    assert "distributed_hosts.yaml:2" in out


def test_validate_without_files_checks_all_of_the_run_together(ringrift, tmp_path, monkeypatch):
    tree = tuned_root(tmp_path)
    (tmp_path / "config" / "my.yaml").write_text("hosts: {a: 1, a: 2}\n")
    monkeypatch.setenv("RINGRIFT_HOSTS_CONFIG_PATH", "config/my.yaml")
    code, out, err = ringrift("config", "validate")
    assert (code, out) == (78, "")
    assert "my.yaml:1 hosts.a" in err
    (tmp_path / DEFAULT_FILE).write_text("trainin: {}\n")
    monkeypatch.setenv("RINGRIFT_POLICY_KL_MIN_COVERAGE", "1.5")
    monkeypatch.delenv("RINGRIFT_HOSTS_CONFIG_PATH")
    del tree["configs"]["hex8_3p"]["hyperparameters"]
    (tmp_path / HYPERPARAMETERS_FILE).write_text(json.dumps(tree))
    code, out, err = ringrift("config", "validate", "--json")
    assert code == 78
    assert len(json.loads(out)["error"]["problems"]) == len(err.splitlines()) == 3
    assert f"{tmp_path / DEFAULT_FILE}:1 trainin" in err
    assert "RINGRIFT_POLICY_KL_MIN_COVERAGE" in err
    assert "configs.hex8_3p.hyperparameters: found null" in err


def test_env_lists_each_variable_once(ringrift, monkeypatch):
    monkeypatch.setenv("RINGRIFT_DISABLE_LOCAL_TASKS", "1")
    rows = json.loads(ringrift("config", "env", "--json")[1])["variables"]
    by_name = {row["name"]: row for row in rows}
    assert by_name.keys() == {*SHORT_NAMES, *OTHER_NAMES}
    assert [row["name"] for row in rows] == [variable.name for variable in VARIABLES]
    assert all(row["meaning"] for row in rows)
    assert (
        by_name["RINGRIFT_P2P_PORT"]["value"] == by_name["RINGRIFT_P2P_PORT"]["default"] == "8770"
    )
    assert by_name["RINGRIFT_P2P_PORT"]["origin"] == "default"
    assert by_name["RINGRIFT_DISABLE_LOCAL_TASKS"]["value"] is True
    assert by_name["RINGRIFT_DISABLE_LOCAL_TASKS"]["default"] is False
    assert by_name["RINGRIFT_DISABLE_LOCAL_TASKS"]["origin"] == "RINGRIFT_DISABLE_LOCAL_TASKS"
    assert by_name["RINGRIFT_POLICY_KL_MIN_SAMPLES"]["origin"] == "default"
    rows = json.loads(ringrift("config", "env", "--all", "--json")[1])["variables"]
    assert len(rows) == len({row["name"] for row in rows})
    assert len(rows) == len(VARIABLES) + len(known_keys())


def test_env_with_a_value_out_of_range_is_78_naming_the_variable(ringrift, monkeypatch):
    monkeypatch.setenv("RINGRIFT_POLICY_KL_MIN_COVERAGE", "1.5")
    code, _, err = ringrift("config", "env")
    assert code == 78
    assert "RINGRIFT_POLICY_KL_MIN_COVERAGE" in err


def test_init_makes_a_root_that_every_folder_below_finds(ringrift, tmp_path, monkeypatch):
    assert ringrift("config", "init", "home", "--dry-run")[0] == 0
    assert not (tmp_path / "home").exists()
    assert ringrift("config", "init", "home")[0] == 0
    file = tmp_path / "home" / "config" / "unified_loop.yaml"
    file.write_text("training:\n  batch_size: 77\n")
    monkeypatch.chdir(tmp_path / "home" / "data" / "games")
    answer = json.loads(ringrift("config", "show", "--json")[1])
    assert answer["settings"]["training"]["batch_size"] == 77
    assert answer["file"] == str(file)
    assert (
        json.loads(ringrift("config", "init", tmp_path / "home", "--json")[1])["written"] is False
    )
    assert "batch_size: 77" in file.read_text()
    assert ringrift("config", "init", tmp_path / "home", "--force")[0] == 0
    assert "# batch_size: 256" in file.read_text()


def test_init_inside_a_root_is_refused(ringrift, tmp_path):
    assert ringrift("config", "init")[0] == 0
    code, _, err = ringrift("config", "init", "data/inner")
    assert code == 2
    assert "inside another" in err
    assert not (tmp_path / "data" / "inner").exists()


def test_init_where_nothing_can_be_written_says_so(ringrift, tmp_path):
    (tmp_path / "f").write_text("")
    code, _, err = ringrift("config", "init", "f/root")
    assert code == 2
    assert "cannot make the data root" in err


def test_init_writes_settings_and_hyper_parameters_that_are_valid(ringrift, tmp_path):
    assert ringrift("config", "init")[0] == 0
    assert ringrift("config", "validate", "-q") == (0, "settings are valid\n", "")
    content = load_hyperparameters(tmp_path / HYPERPARAMETERS_FILE).content
    assert tuple(content.configs) == CONFIGURATIONS


def test_init_with_force_keeps_what_was_there(ringrift, tmp_path):
    tuned_root(tmp_path)
    before = (tmp_path / HYPERPARAMETERS_FILE).read_bytes()
    answer = json.loads(ringrift("config", "init", "--json")[1])
    assert (answer["written"], answer["hyperparameters_written"]) == (True, False)
    assert (tmp_path / HYPERPARAMETERS_FILE).read_bytes() == before
    answer = json.loads(ringrift("config", "init", "--force", "--json")[1])
    assert (answer["written"], answer["hyperparameters_written"]) == (True, True)
    assert (tmp_path / f"{HYPERPARAMETERS_FILE}.bak").read_bytes() == before
    assert (tmp_path / HYPERPARAMETERS_FILE).read_text() == as_json_text(shipped_hyperparameters())


def test_the_shipped_settings_file_is_the_commented_one_and_changes_nothing():
    shipped = REPOSITORY / DEFAULT_FILE
    assert shipped.read_text(encoding="utf-8") == commented_settings()
    loaded = load_settings(file=shipped, environ={})
    assert loaded.warnings == ()
    assert loaded.values == Settings()
    with_profile = load_settings(file=shipped, profile="quick", environ={})
    assert with_profile.values == load_settings(profile="quick", environ={}).values


def test_the_shipped_settings_file_uncommented_equals_the_defaults(tmp_path):
    lines = (REPOSITORY / DEFAULT_FILE).read_text(encoding="utf-8").splitlines()[1:]
    active = [
        line.replace("# ", "", 1) if line.lstrip().startswith("# ") else line for line in lines
    ]
    file = tmp_path / "active.yaml"
    file.write_text("\n".join(active))
    loaded = load_settings(file=file, environ={})
    assert loaded.warnings == ()
    assert loaded.values == Settings()
    assert {origin.kind for origin in loaded.origins.values()} == {"file"}
