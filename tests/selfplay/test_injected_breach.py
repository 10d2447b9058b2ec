"""Rules that really breach an invariant, from the run's exit code to the replay of its reproducer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unhurried import unhurried

from ringrift.core.paths import Paths

BREACHES = Path(__file__).parent / "breaches"
"""Its `sitecustomize` changes a rule before anything is compiled."""

SOAK = (
    "selfplay", "soak", "--engine-mode", "random-only", "--num-games", "2", "--seed", "5",
    "--max-moves", "60", "--workers", "1", "--no-wait",
)  # fmt: skip


def program(folder: Path, breach: str, *words: str, **env: str) -> tuple[int, Any, str]:
    """Run a command under a breach; its compiled code is kept in `folder` alone."""
    done = subprocess.run(
        [sys.executable, "-c", "from ringrift.cli.main import main; main()", *words, "--json"],
        cwd=folder,
        env={
            **unhurried(),
            "XDG_RUNTIME_DIR": str(folder),
            "NUMBA_CACHE_DIR": str(folder / "compiled"),
            "PYTHONPATH": str(BREACHES),
            "BREACH": breach,
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("breach", "kind", "reason", "words", "env"),
    [
        (
            "elimination falls", "INV-ELIMINATION-MONOTONIC", "invariant",
            ("--fail-on-anomaly",), {},
        ),
        (
            "no legal move", "INV-ACTIVE-NO-MOVES", "active no moves",
            (), {"RINGRIFT_STRICT_NO_MOVE_INVARIANT": "1"},
        ),
    ],
)  # fmt: skip
def test_a_breach_fails_the_run_and_its_reproducer_breaches_again(
    tmp_path: Path, breach: str, kind: str, reason: str, words: tuple[str, ...], env: dict[str, str]
) -> None:
    root = tmp_path / "root"
    Paths(root).create()
    run = tmp_path / "run"
    code, found, said = program(
        tmp_path, breach, *SOAK, *words, "--root", str(root), "--output-dir", str(run), **env
    )
    assert code == 1, said
    assert set(found["anomalies"]) == {kind}
    files = sorted((run / "anomalies").iterdir())
    assert len(files) == found["anomalies"][kind] > 0
    for file in files:
        assert file.name.startswith(f"{kind}-")
        ply = json.loads(file.read_text())["found"]["ply"]
        assert ply >= 11
        code, replayed, said = program(tmp_path, breach, "engine", "replay", str(file))
        assert code == 1, said
        assert (replayed["fault"]["ply"], replayed["fault"]["reason"]) == (ply, reason)
    env = {"NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", "")}
    code, replayed, said = program(tmp_path, "", "engine", "replay", str(files[0]), **env)
    assert (code, replayed["fault"]) == (0, None), said  # the rules as they are keep to it
