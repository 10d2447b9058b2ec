"""The quick loop with a trigger of 50 games decides about its first candidate in 3 minutes."""

import json
import subprocess
import time

import pytest
from tests.loop import live

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(900)]

CONFIG = "square8_2p"
LIMIT_S = 180.0


def test_a_trigger_of_50_games_reaches_the_first_cycle(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    words = ["--profile", "quick", "--no-metrics", "--min-games", "50"]
    begun = time.monotonic()
    done = subprocess.run(
        live.command(root, "--yes", "--json", "loop", "run", *words, "--until", "first_cycle"),
        env=live.environ(small=False),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=5 * LIMIT_S,
        check=False,
    )
    took_s = time.monotonic() - begun
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert "first_cycle" in json.loads(done.stdout)["milestones"][CONFIG]
    assert took_s < LIMIT_S
