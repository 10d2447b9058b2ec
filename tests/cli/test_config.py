"""`ringrift config`: what it shows, checks and writes."""

import json

from ringrift.core.settings import Settings
from ringrift.core.settings_loader import OTHER_NAMES, SHORT_NAMES, known_keys


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
    assert answer["origins"]["training.model_size"]["place"] == "profile quick"
    assert answer["origins"].keys() == known_keys().keys()
    text = ringrift("config", "show", "--origin")[1]
    assert "RINGRIFT_TRAINING__BATCH_SIZE" in text
    assert all(path in text for path in known_keys())


def test_show_of_all_settings_equals_the_defaults(ringrift):
    answer = json.loads(ringrift("config", "show", "--json")[1])
    assert Settings.model_validate(answer["settings"]) == Settings()


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


def test_env_lists_each_variable_once(ringrift, monkeypatch):
    monkeypatch.setenv("RINGRIFT_DISABLE_LOCAL_TASKS", "1")
    rows = json.loads(ringrift("config", "env", "--json")[1])["variables"]
    by_name = {row["name"]: row for row in rows}
    assert by_name.keys() == {*SHORT_NAMES, *OTHER_NAMES}
    assert by_name["RINGRIFT_DISABLE_LOCAL_TASKS"]["value"] is True
    assert by_name["RINGRIFT_DISABLE_LOCAL_TASKS"]["default"] is False
    assert by_name["RINGRIFT_DISABLE_LOCAL_TASKS"]["origin"] == "RINGRIFT_DISABLE_LOCAL_TASKS"
    assert by_name["RINGRIFT_POLICY_KL_MIN_SAMPLES"]["origin"] == "default"
    rows = json.loads(ringrift("config", "env", "--all", "--json")[1])["variables"]
    assert len(rows) == len({row["name"] for row in rows})
    assert len(rows) == len(SHORT_NAMES) + len(OTHER_NAMES) + len(known_keys())


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
