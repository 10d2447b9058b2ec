"""`ringrift config migrate`: retired keys go, everything else stays byte for byte."""

import json
from pathlib import Path

import pytest

from ringrift.core.settings import Settings
from ringrift.core.settings_loader import (
    DEFAULT_FILE,
    RETIRED,
    RETIRED_SECTIONS,
    load_settings,
)
from ringrift.core.settings_migration import migrate_file

REPOSITORY = Path(__file__).parents[2]

OLD = """\
# Settings of the third machine.
version: "1.3"  # of this file

training:      # odd indentation, on purpose
      batch_size:   0x200     # stays as written
      # about averaging
      use_swa: true           # goes
      swa_start: 0.75
      ema_decay: 0.99
      baselines_script: |
         # this is text
         run

evaluation: {shadow_games_per_config: 20, elo_k_factor: 32, initial_elo: 1500}
selfplay:
  ai_type_weights: &weights {random: 0.5, mcts: 0.5}

pbt:
  enabled: false
  population: 8
nas: {enabled: off}
wal_path: 'data/wal'
log_dir: "logs/x"
# The end.
"""

NEW = """\
# Settings of the third machine.
version: "2"  # of this file

training:      # odd indentation, on purpose
      batch_size:   0x200     # stays as written
      # about averaging
      ema_decay: 0.99

evaluation: {shadow_games_per_config: 20}
selfplay:
  ai_type_weights: &weights {random: 0.5, mcts: 0.5}

log_dir: "logs/x"
# The end.
"""


@pytest.fixture
def old(tmp_path):
    file = tmp_path / "old.yaml"
    file.write_text(OLD.replace("enabled: off", "enabled: false"))
    return file


def test_the_difference_is_printed_and_nothing_is_written(ringrift, old, tmp_path):
    before = old.read_bytes()
    code, out, err = ringrift("config", "migrate", "old.yaml")
    assert code == 0
    lines = out.splitlines()
    assert lines[:2] == ["--- old.yaml (old)", "+++ old.yaml (new)"]
    assert "-      use_swa: true           # goes" in lines
    assert '-version: "1.3"  # of this file' in lines
    assert '+version: "2"  # of this file' in lines
    assert "--write" in err
    assert old.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["old.yaml"]


def test_with_write_only_retired_keys_and_the_version_change(ringrift, old):
    before = old.read_bytes()
    code, out, _ = ringrift("config", "migrate", "old.yaml", "--write", "--json")
    answer = json.loads(out)
    assert code == 0
    assert old.read_text() == NEW
    assert old.with_name("old.yaml.bak").read_bytes() == before
    assert answer["written"] is True
    assert answer["backup"] == "old.yaml.bak"
    assert [one["path"] for one in answer["removed"]] == [
        "training.use_swa",
        "training.swa_start",
        "training.baselines_script",
        "evaluation.elo_k_factor",
        "evaluation.initial_elo",
        "pbt",
        "nas",
        "wal_path",
    ]
    assert [one["line"] for one in answer["removed"]] == [7, 8, 10, 14, 14, 18, 21, 22]
    assert all(one["instead"] for one in answer["removed"])
    assert load_settings(file=old, environ={}).warnings == ()


def test_the_settings_mean_the_same_before_and_after(ringrift, old):
    before = load_settings(file=old, environ={})
    assert len(before.warnings) == 8
    ringrift("config", "migrate", "old.yaml", "--write")
    after = load_settings(file=old, environ={})
    assert after.values == before.values.model_copy(update={"version": "2"})


def test_a_second_migration_changes_nothing(ringrift, old):
    ringrift("config", "migrate", "old.yaml", "--write")
    migrated, backup = old.read_bytes(), old.with_name("old.yaml.bak")
    backup.unlink()
    assert ringrift("config", "migrate", "old.yaml", "--write") == (
        0,
        "old.yaml is up to date\n",
        "",
    )
    assert old.read_bytes() == migrated
    assert not backup.exists()


@pytest.mark.parametrize(
    "text",
    [
        (REPOSITORY / DEFAULT_FILE).read_text(encoding="utf-8"),
        "training:   {batch_size :  3}   # x\n\n\n",
        "\ufeffversion: '2'\r\nloop:\r\n    reconcile_seconds: 1\r\n",
        "# nothing\n",
        "",
        "---\nlog_dir: >-\n  a\n  b\n...\n",
    ],
)
def test_a_file_that_is_up_to_date_keeps_every_byte(ringrift, tmp_path, text):
    file = tmp_path / "now.yaml"
    file.write_bytes(text.encode())
    code, out, _ = ringrift("config", "migrate", "now.yaml", "--write")
    assert (code, out) == (0, "now.yaml is up to date\n")
    assert file.read_bytes() == text.encode()


@pytest.mark.parametrize("row", RETIRED, ids=lambda row: row.pattern)
@pytest.mark.parametrize("section", ["", "training", "cluster"])
def test_every_retired_key_goes_from_wherever_it_loads(tmp_path, row, section):
    name = row.pattern.replace("*", "thing")
    file = tmp_path / "one.yaml"
    line = f"{name}: 3\n"
    file.write_text(f"{section}:\n  {line}" if section else line)
    assert len(load_settings(file=file, environ={}).warnings) == 1
    migration = migrate_file(file)
    assert migration.new == (f"{section}:\n" if section else "")
    assert [(one.path, one.instead) for one in migration.removed] == [
        (f"{section}.{name}" if section else name, row.replacement)
    ]


@pytest.mark.parametrize("section", RETIRED_SECTIONS)
def test_a_retired_section_that_is_switched_on_is_left_to_its_owner(ringrift, tmp_path, section):
    file = tmp_path / "on.yaml"
    text = f"{section}:\n  enabled: true\nuse_swa: true\n"
    file.write_text(text)
    code, _, err = ringrift("config", "migrate", "on.yaml", "--write")
    assert code == 78
    assert f"{section}.enabled" in err
    assert file.read_text() == text


def test_an_invalid_file_is_78_with_all_its_errors_and_not_written(ringrift, tmp_path):
    file = tmp_path / "bad.yaml"
    text = "use_swa: true\ntraining:\n  batch_sze: 3\n  max_reuse: -1\n"
    file.write_text(text)
    code, out, err = ringrift("config", "migrate", "bad.yaml", "--write")
    assert (code, out) == (78, "")
    assert "bad.yaml:3 training.batch_sze" in err
    assert "bad.yaml:4 training.max_reuse" in err
    assert file.read_text() == text
    file.write_text("training: [\n")
    code, _, err = ringrift("config", "migrate", "bad.yaml")
    assert code == 78
    assert "bad.yaml:2" in err


def test_a_missing_file_is_a_usage_error(ringrift):
    code, _, err = ringrift("config", "migrate", "none.yaml")
    assert code == 2
    assert "none.yaml" in err


def test_a_file_of_an_older_version_with_every_retired_key_equals_the_defaults(ringrift, tmp_path):
    file = tmp_path / "all.yaml"
    names = [row.pattern.replace("*", "thing") for row in RETIRED]
    file.write_text(
        "version: 1.0\nsafety:\n"
        + "".join(f"    {name}: [1, {{a: 2}}]  # {name}\n" for name in names)
        + "    # last\n"
    )
    assert ringrift("config", "migrate", "all.yaml", "--write")[0] == 0
    assert file.read_text() == 'version: "2"\nsafety:\n    # last\n'
    assert load_settings(file=file, environ={}).values == Settings()
