"""`data auto-export`: plan, rounds, the daemon, one at a time."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.files import lock
from ringrift.data.dataset import Dataset

from ...data.distributed.games import make_store
from .hashing import hashes

sys.path.insert(0, str(Path(__file__).parents[1]))
from json_schema import problems

sys.path.pop(0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """78 games of hex8 for three, of which more than 50 are trainable, and 30 of square8 for two."""
    path = make_store(tmp_path_factory.mktemp("store") / "games.db", 78, board="hex8", players=3)
    return make_store(path, 30)


@pytest.fixture
def call(ringrift, root):
    def run(*arguments):
        code, out, err = ringrift("data", "auto-export", *arguments, "--json", "--no-progress")
        result = json.loads(out)
        assert problems(schema_of("data auto-export" if code == 0 else "error"), result) == [], err
        return code, result

    return run


def exported(result):
    return [row["config"] for row in result["configurations"] if row["decision"] == "export"]


def reasons(result):
    return {row["config"]: row["reason"] for row in result["configurations"]}


def test_a_dry_run_lists_what_it_would_do_and_changes_no_byte(call, root):
    before = hashes(root.root)
    code, result = call("--dry-run")
    assert (code, exported(result), len(result["configurations"])) == (0, ["hex8_3p"], 12)
    assert "the minimum is 200" in reasons(result)["square8_2p"]
    assert hashes(root.root) == before
    shares = [row["representation"] for row in result["configurations"]]
    assert shares == sorted(shares)


def test_with_force_the_least_represented_comes_first(call):
    assert exported(call("--dry-run", "--force")[1]) == ["square8_2p", "hex8_3p"]


def test_board_and_players_narrow_it(call):
    code, result = call("--dry-run", "--force", "--board", "sq8", "--players", "2")
    assert (code, exported(result), len(result["configurations"])) == (0, ["square8_2p"], 1)


def test_an_empty_root_has_nothing_to_export(call, root):
    (root.games / "games.db").unlink()
    code, result = call("--dry-run")
    assert (code, set(reasons(result).values())) == (0, {"no games"})


@pytest.mark.slow
def test_a_second_round_exports_nothing_and_says_so(call, root):
    code, first = call()
    assert (code, exported(first)) == (0, ["hex8_3p"])
    (row,) = [row for row in first["configurations"] if row["config"] == "hex8_3p"]
    assert Dataset.open(Path(row["path"])).manifest.id == row["dataset"]
    before = hashes(root.npz)
    code, second = call("--once")
    assert (code, exported(second), reasons(second)["hex8_3p"]) == (0, [], "no new games")
    assert hashes(root.npz) == before
    state = json.loads((root.data / "export_state.json").read_text())
    assert [row["reason"] for row in state["configurations"]] == [
        row["reason"] for row in second["configurations"]
    ]


def test_another_instance_is_refused_by_name(call, root):
    with lock(root.coordination / "auto_export.lock"):
        code, result = call("--once")
    assert code == 75
    assert f"auto-export held by process {os.getpid()}" in result["error"]["message"]


@pytest.mark.acceptance
def test_the_daemon_goes_on_until_sigterm_and_then_ends_with_0(start, root):
    daemon = start("data", "auto-export", "--daemon", "--interval", "1", "--json")
    rounds = [json.loads(daemon.stdout.readline()) for _ in range(2)]
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=30) == 0
    assert exported(rounds[0]) == ["hex8_3p"]
    assert reasons(rounds[1])["hex8_3p"] == "no new games"


@pytest.mark.acceptance
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_daemon_leaves_no_dataset_in_part(start, call, root, number):
    """Killed at six moments of its work; what is visible is whole, and the next round finishes."""
    for moment in range(6):
        daemon = start("data", "auto-export", "--daemon", "--force")
        folder = root.npz / "hex8_3p"
        deadline_s = time.monotonic() + 60
        while not list(folder.glob(".*")) and time.monotonic() < deadline_s:
            time.sleep(0.002)
        time.sleep(0.02 * moment)
        daemon.send_signal(number)
        daemon.wait(timeout=60)
        for path in root.npz.glob("*/[0-9a-f]*"):
            Dataset.open(path)
    code, result = call("--force")
    assert (code, exported(result)) == (0, ["square8_2p", "hex8_3p"])
    for config in exported(result):
        left = [path.name for path in (root.npz / config).iterdir()]
        assert [name for name in left if name.endswith(".partial")] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [(("--once", "--daemon"), "exclude each other"), (("--board", "chess"), "chess")],
)
def test_mistakes_are_named(call, words, told):
    code, result = call(*words)
    assert (code, told in result["error"]["message"]) == (2, True)
