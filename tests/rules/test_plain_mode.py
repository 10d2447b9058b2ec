"""The same rules, compiled and as plain Python: equal on games of all twelve configurations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ringrift
from ringrift.rules.jitconf import COMPILED

from .plain_games import lines
from .positions import CONFIGURATIONS

SCRIPT = Path(__file__).with_name("plain_games.py")


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="this run is the plain mode itself")
def test_plain_mode_plays_the_same_games() -> None:
    """Fingerprint, legal set with packed moves, hash64, counters and border at every ply."""
    package = str(Path(ringrift.__file__).resolve().parents[1])
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": package}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    plain, compiled = done.stdout.splitlines(), list(lines())
    for here, there in zip(compiled, plain, strict=False):
        assert here == there
    assert len(plain) == len(compiled)
    assert {tuple(line.split()[1:3]) for line in plain} == {(b, str(n)) for b, n in CONFIGURATIONS}
