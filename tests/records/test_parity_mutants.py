"""A change of one operator in the rules is reported with game, ply, expected and got."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ringrift

from .mutants import MUTANTS

PACKAGE = Path(ringrift.__file__).parent
PROGRAM = "from ringrift.cli.main import main; main()"


class Copy:
    """A copy of the package whose rules may be changed; plain Python, so nothing is compiled."""

    def __init__(self, folder):
        self.rules = folder / "ringrift" / "rules"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_DISABLE_JIT": "1",
        }
        shutil.copytree(PACKAGE, folder / "ringrift", ignore=shutil.ignore_patterns("__pycache__"))

    def changed(self, file, old, new):
        """Run parity with one text of one file changed; return the code and the result."""
        path = self.rules / file
        source = path.read_text()
        assert source.count(old) == 1, (file, old)
        path.write_text(source.replace(old, new))
        try:
            return self.parity()
        finally:
            path.write_text(source)

    def parity(self, *arguments):
        words = ["engine", "parity", "--engines", "plain", "--stop-after", "1", "--json"]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.stdout, done.stderr[-2000:]
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def reported(code, found):
    failures = found.get("failures", [])
    return (
        code == 1
        and all(
            failure["game"]
            and failure["diverged_at"] is not None
            and failure["expected"]
            and failure["got"].keys() == failure["expected"].keys()
            for failure in failures
        )
        and bool(failures)
    )


def test_the_mutants_are_thirty_different_ones():
    assert len(set(MUTANTS)) == 30
    for file, old, new in MUTANTS:
        assert (PACKAGE / "rules" / file).read_text().count(old) == 1, (file, old)
        assert old != new


@pytest.mark.slow
def test_one_mutant_is_reported(copy):
    code, found = copy.changed(*MUTANTS[0])
    assert reported(code, found), found


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_at_least_29_of_30_mutants_are_reported(copy):
    unseen = []
    for mutant in MUTANTS:
        code, found = copy.changed(*mutant)
        first = found["failures"][0] if found.get("failures") else None
        print(mutant[0], mutant[2].splitlines()[0], code, first and str(first)[:400], flush=True)
        if not reported(code, found):
            unseen.append(mutant)
    assert len(unseen) <= 1, unseen
