"""Measure branch coverage of `src/ringrift/rules` in plain-Python mode: python tests/rules/coverage_plain.py

Compiled code cannot be traced, so the tests of the rules run with `NUMBA_DISABLE_JIT=1`; the kernels of `gpu.py`
need a device. Ends with 1 below 97 % or with a failing test. Other test folders are named as arguments.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEAST = 97
FOLDERS = ("tests/rules", "tests/rules_draw", "tests/rules_policy")


def main(folders: list[str]) -> int:
    chosen = folders or [folder for folder in FOLDERS if list((ROOT / folder).glob("test_*.py"))]
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "COVERAGE_FILE": f"{scratch}/data"}
        run = ["run", "--branch", "--source=ringrift.rules", "-m", "pytest", "-q", *chosen]
        tests = subprocess.run(
            [sys.executable, "-m", "coverage", *run], env=environment, cwd=ROOT, check=False
        )
        report = [
            "report",
            "--show-missing",
            "--skip-covered",
            "--include=*/ringrift/rules/*",
            "--omit=*/gpu.py",
        ]
        table = subprocess.run(
            [sys.executable, "-m", "coverage", *report, f"--fail-under={LEAST}"],
            env=environment,
            cwd=ROOT,
            check=False,
        )
    return int(bool(tests.returncode or table.returncode))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
