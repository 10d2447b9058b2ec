"""`ringrift node safeguards`: what it shows, halts, lifts and starts."""

import json

import pytest

from ringrift.core.breakers import Breakers
from ringrift.core.emergency import halt, halted


@pytest.fixture(autouse=True)
def _own_host(tmp_path, monkeypatch):
    host = tmp_path / "host"
    host.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(host))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def command(ringrift, root):
    def run(*words):
        return ringrift("--root", root, "node", "safeguards", *words)

    return run


def answer(result):
    code, out, _err = result
    return code, json.loads(out)


def test_status_of_a_quiet_root_is_all_clear_and_writes_nothing(command, root, tmp_path):
    for words in ((), ("--status",)):
        code, fields = answer(command(*words, "--json"))
        assert code == 0
        assert (fields["ok"], fields["halted"], fields["breakers"]) == (True, False, [])
        assert fields["spawns"]["max_spawns"] == 30
        assert fields["spawns"]["max_depth"] == 2
        bounds = {use["category"]: use["bound"] for use in fields["spawns"]["uses"]}
        assert (bounds["training"], bounds["all"]) == (1, 64)
    assert list(root.iterdir()) == []
    assert list((tmp_path / "host").iterdir()) == []
    code, out, _ = command("--status")
    assert code == 0
    assert "not halted" in out
    assert "no breaker has counted a failure" in out


def test_the_bounds_are_those_of_the_settings(command, monkeypatch):
    monkeypatch.setenv("RINGRIFT_SAFEGUARDS__MAX_SPAWNS", "7")
    monkeypatch.setenv("RINGRIFT_SAFEGUARDS__MAX_TRAINING_PROCESSES", "3")
    monkeypatch.setenv("RINGRIFT_SPAWN_DEPTH", "1")
    _, fields = answer(command("--json"))
    assert fields["spawns"]["max_spawns"] == 7
    assert fields["spawns"]["depth"] == 1
    assert {use["category"]: use["bound"] for use in fields["spawns"]["uses"]}["training"] == 3


def test_emergency_halts_until_it_is_cleared(command, root):
    code, fields = answer(command("--emergency", "--reason", "elo fell", "--json"))
    assert code == 0
    assert fields["halt"]["reason"] == "elo fell"
    assert halted(root).reason == "elo fell"
    code, fields = answer(command("--json"))
    assert (code, fields["ok"], fields["halted"]) == (1, False, True)
    code, out, _ = command()
    assert code == 1
    assert "this data root is halted by" in out
    code, out, _ = command("--test-spawn")
    assert code == 75, "nothing starts"
    code, out, _ = command("--clear-emergency")
    assert code == 0
    assert "lifted" in out
    assert halted(root) is None
    code, fields = answer(command("--clear-emergency", "--json"))
    assert (code, fields["cleared"]) == (0, None)
    assert command()[0] == 0


def test_one_configuration_is_halted_and_lifted_alone(command, root):
    assert command("--emergency", "--config-key", "hex8_3p")[0] == 0
    assert halted(root) is None
    assert halted(root, "hex8_3p").reason == "by hand"
    _, fields = answer(command("--clear-emergency", "--json"))
    assert [each["config"] for each in fields["left"]] == ["hex8_3p"]
    assert command("--clear-emergency", "--config-key", "hex8_3p")[0] == 0
    assert halted(root, "hex8_3p") is None


def test_dry_runs_change_nothing(command, root, tmp_path):
    assert command("--emergency", "--dry-run")[0] == 0
    assert command("--test-spawn", "--dry-run")[0] == 0
    assert list(root.iterdir()) == []
    assert list((tmp_path / "host").iterdir()) == []
    halt(root, reason="x")
    code, out, _ = command("--clear-emergency", "--dry-run")
    assert code == 0
    assert "would lift" in out
    assert halted(root) is not None


@pytest.mark.timed
def test_test_spawn_starts_a_real_program_within_the_bounds(command, monkeypatch):
    code, fields = answer(command("--test-spawn", "--json"))
    assert code == 0
    assert (fields["exit_code"], fields["depth"], fields["own_session"]) == (0, 1, True)
    assert 0 < fields["seconds"] < 30
    _, fields = answer(command("--json"))
    assert fields["spawns"]["recent_spawns"] == 1
    monkeypatch.setenv("RINGRIFT_SPAWN_DEPTH", "2")
    code, _, err = command("--test-spawn")
    assert code == 75
    assert "depth 2; at most 2" in err


def test_an_open_breaker_of_a_living_process_is_shown_with_its_last_error(command, root):
    breaker = Breakers(root).get("alerts:slack")
    for _ in range(5):
        with pytest.raises(OSError, match="no route"), breaker.guard():
            raise OSError("no route to host")
    code, fields = answer(command("--json"))
    assert code == 1
    (row,) = fields["breakers"]
    assert (row["name"], row["state"], row["failures"]) == ("alerts:slack", "open", 5)
    assert row["last_error"] == "OSError: no route to host"
    code, out, _ = command()
    assert code == 1
    assert "alerts:slack" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--emergency", "--clear-emergency"), "one at a time"),
        (("--status", "--test-spawn"), "one at a time"),
        (("--reason", "x"), "--emergency"),
        (("--config-key", "hex8_2p"), "--config-key"),
        (("--emergency", "--config-key", "hex9_2p"), "unknown configuration"),
        (("--emergency", "--config-key", "../x"), "unknown configuration"),
    ],
)
def test_words_that_do_not_fit_are_usage_errors(command, root, words, text):
    code, _, err = command(*words)
    assert code == 2
    assert text in err
    assert list(root.iterdir()) == []
