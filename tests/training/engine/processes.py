"""Trainings in processes of their own, which start at once, are killed, and go on."""

import multiprocessing
import random
import signal
import sys
import time
from pathlib import Path

from .toy import same

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "torch._dynamo", "ringrift.training.engine.trainer"])
TESTS = str(Path(__file__).parents[2])
SECONDS = 250


def start(train, folder, **options):
    """Start `train(folder, **options)`, a function of a module; return the process."""
    process = PROCESSES.Process(target=train, args=(folder,), kwargs=options)
    sys.path.append(TESTS)  # the process imports what it runs by name
    try:
        process.start()
    finally:
        sys.path.remove(TESTS)
    return process


def run(train, folder, **options):
    """Train to the end."""
    process = start(train, folder, **options)
    process.join(SECONDS)
    assert process.exitcode == 0


def kill(train, folder, step, wait_s, **options):
    """Train until a checkpoint of `step` or later is there, and a little longer; then `kill -9`."""
    before = starts(folder)
    process = start(train, folder, **options)
    while process.is_alive() and (starts(folder) == before or newest(folder) < step):
        time.sleep(0.002)
    time.sleep(wait_s)
    process.kill()
    process.join(SECONDS)
    assert process.exitcode == -signal.SIGKILL


def newest(folder):
    """The step of the newest checkpoint, which is only looked at."""
    return max((int(path.stem) for path in folder.glob("run/checkpoint/[0-9]*.json")), default=0)


def starts(folder):
    """How often a training was begun or continued."""
    log = folder / "run" / "train.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return sum(" steps in " in line for line in lines)


def kill_and_compare(tmp_path, train, weights, *, kills, steps, **options):
    """Train once whole and once with kills at random instants of its `steps`."""
    rng = random.Random(kills)
    run(train, tmp_path / "whole", **options)
    for step in sorted(rng.randrange(int(0.8 * steps)) for _ in range(kills)):
        kill(train, tmp_path / "parts", step, rng.uniform(0, 0.02), **options)
    run(train, tmp_path / "parts", **options)
    log = (tmp_path / "parts" / "run" / "train.log").read_text()
    assert starts(tmp_path / "parts") == kills + 1
    assert log.count("continued at step") >= kills / 2
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
