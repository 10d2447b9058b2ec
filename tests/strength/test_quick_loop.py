"""The strength that the quick loop must reach on two cores (`loop.md` 12)."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.loop import live

from .exam import exam_of, published

pytestmark = [pytest.mark.strength, pytest.mark.acceptance]

CONFIG = "square8_2p"
SEEDS = (1, 2, 3)
MINUTES, MOST_MINUTES = 30.0, 45
RUNS = Path(__file__).parents[2] / "benchmarks" / "strength" / "runs"
WRITE = "RINGRIFT_STRENGTH_WRITE"
"""Set to 1 this variable has each run write its curve, settings and conclusion to `RUNS`."""


def play(root, seed):
    """One run to its end: the JSON that it printed, and its wall seconds."""
    root.mkdir()
    words = ["--profile", "quick", "--no-metrics", "--seed", str(seed)]
    until = ["--until", "beats_heuristic", "--max-minutes", str(MOST_MINUTES)]
    begun = time.monotonic()
    with root.with_suffix(".log").open("wb") as said:
        done = subprocess.run(
            live.command(root, "--yes", "--json", "loop", "run", *words, *until),
            env=live.environ(small=False),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            timeout=60 * (MOST_MINUTES + 10),
            check=False,
        )
    assert done.returncode in (0, 1), live.said(root)[-3000:]
    return json.loads(done.stdout), time.monotonic() - begun


@pytest.mark.timeout(60 * (MOST_MINUTES + 10) * len(SEEDS))
def test_it_beats_the_heuristic_within_the_time(tmp_path):
    """Two of three seeds within 30 minutes, all within 45, each confirmed by its stored exam."""
    minutes = {}
    for seed in SEEDS:
        root = tmp_path / f"seed{seed}"
        result, seconds = play(root, seed)
        reached = result["milestones"][CONFIG]
        minutes[seed] = reached.get("beats_heuristic", float("inf"))
        exam = exam_of(root, CONFIG, "heuristic") if result["ended"] == "milestone" else None
        if os.environ.get(WRITE) == "1":
            RUNS.mkdir(parents=True, exist_ok=True)
            day = datetime.now(UTC).date().isoformat()
            tree = published(root, CONFIG, seed, result, exam, seconds)
            text = json.dumps(tree, indent=1, sort_keys=True) + "\n"
            (RUNS / f"{day}-seed{seed}.json").write_text(text)
        sys.stdout.write(f"seed {seed}: {result['ended']} after {seconds:.0f} s, {reached}\n")
        assert exam is not None, (minutes, live.said(root)[-3000:])
        assert exam.low > 0.5, (seed, exam)
    assert all(taken <= MOST_MINUTES for taken in minutes.values()), minutes
    assert sum(taken <= MINUTES for taken in minutes.values()) >= 2, minutes
