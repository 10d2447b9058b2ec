"""`ringrift loop run`: what it says without running, and what it refuses."""

import json
import subprocess
import sys

import pytest


def test_dry_run_prints_the_plan_and_changes_nothing(ringrift, tmp_path):
    words = ("--root", str(tmp_path), "loop", "run", "--dry-run", "--seed", "3")
    code, out, _ = ringrift(*words, "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["plan"]["config"] == "square8_2p"
    assert answer["plan"]["seed"] == 3
    assert answer["plan"]["generations"] == 3
    assert list(tmp_path.iterdir()) == []
    code, out, _ = ringrift(*words)
    assert code == 0
    assert "measuring.exam_games" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--configs", "square9_2p"), "unknown configuration 'square9_2p'"),
        (("--configs", "square8_2p,hex8_2p"), "expected one"),
        (("--generations", "0"), "generations"),
    ],
)
def test_bad_requests_are_usage_errors(ringrift, tmp_path, words, text):
    code, _, err = ringrift("--root", str(tmp_path), "loop", "run", "--dry-run", *words)
    assert code == 2
    assert text in err


def test_an_unknown_profile_is_a_settings_error(ringrift, tmp_path):
    code, _, err = ringrift("--root", str(tmp_path), "loop", "run", "--profile", "fast")
    assert code == 78
    assert "unknown profile" in err


def test_control_loads_no_torch():
    script = (
        "import sys, ringrift.cli.loop, ringrift.loop.control, ringrift.loop.players, "
        "ringrift.loop.learn, ringrift.loop.warm; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
