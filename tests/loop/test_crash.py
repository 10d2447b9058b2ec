"""What is killed in the midst of its work goes on where it was (`loop.md` 11)."""

import json
import os
import shutil
import signal
import time
from contextlib import suppress

import psutil
import pytest

from ringrift.core.ids import short
from ringrift.core.paths import Paths
from ringrift.records.store import GameStore

from . import live

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

LONG_TRAINING = {
    "RINGRIFT_TRAINING__HIDDEN_DIM": "128",
    "RINGRIFT_TRAINING__BATCH_SIZE": "16",
    "RINGRIFT_TRAINING__MAX_REUSE": "8",
}
"""Each pass over the samples is an epoch with a checkpoint at its end."""


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    live.end_hub(folder)


def running(root, kind):
    """The status of a job of a kind that is being done, None without one."""
    with suppress(OSError, ValueError):
        status = json.loads((Paths(root).loop / "status.json").read_text())
        return next((job for job in status["jobs"] if job["kind"] == kind), None)
    return None


def workers_with(process, library):
    """The worker processes that have a library loaded."""
    found = []
    for child in live.children(process, "job_child"):
        with suppress(psutil.Error):
            if any(f"/{library}/" in each.path for each in child.memory_maps()):
                found.append(child)
    return found


def stop(process, root):
    process.send_signal(signal.SIGINT)
    code, _, err = live.finish(process, root, 120)
    assert code == 0, err[-3000:]


def test_a_killed_trainer_goes_on_from_its_checkpoint(root):
    process = live.start(root, **LONG_TRAINING)
    runs = Paths(root).runs / live.CONFIG / "loop"
    live.await_(process, root, lambda: any(runs.glob("*/checkpoint/*")))
    run = next(runs.glob("*/checkpoint")).parent
    victims = workers_with(process, "torch")
    assert victims
    assert not (run / "report.json").exists()
    for victim in victims:
        victim.kill()
    live.await_(process, root, lambda: live.events(root, "training_finished"))
    notes = (run / "train.log").read_text()
    assert "continued at step " in notes
    report = json.loads((run / "report.json").read_text())
    assert report["steps"] > 0
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [each["step"] for each in metrics if "step" in each]
    assert steps == sorted(set(steps))  # none twice, none left out
    live.await_(process, root, lambda: live.decisions(root))
    stop(process, root)
    live.check_whole(root)
    trained = [e["data"]["model"] for e in live.events(root, "training_finished")]
    assert trained.count(report["model_id"]) == 1
    assert short(live.events(root, "training_finished")[0]["job"]) == run.name


def test_a_killed_export_leaves_no_partial_dataset(root):
    process = live.start(root, **{**LONG_TRAINING, "RINGRIFT_TRAINING__MAX_REUSE": "2"})
    live.await_(process, root, lambda: filed(root, "dataset"))
    killed = 0
    while killed < 3 and not any((Paths(root).npz / live.CONFIG).glob("*/part-*.npz")):
        for child in live.children(process, "job_child"):
            with suppress(psutil.Error):
                child.kill()
        killed += 1
        time.sleep(4)
    live.await_(process, root, lambda: live.decisions(root))
    stop(process, root)
    live.check_whole(root)
    assert killed
    for folder in (Paths(root).npz / live.CONFIG).iterdir():
        assert (folder / "manifest.json").exists() or folder.name.startswith("."), folder


def filed(root, kind):
    return [e for e in live.events(root, "job_filed") if e["data"]["job_kind"] == kind]


def test_a_killed_match_keeps_its_games_and_plays_none_twice(root):
    process = live.start(root, RINGRIFT_PROMOTION__MAX_GAMES="64")
    live.await_(process, root, lambda: running(root, "match"))
    for child in live.children(process, "job_child"):
        with suppress(psutil.Error):
            child.kill()
    live.await_(process, root, lambda: live.decisions(root))
    stop(process, root)
    live.check_whole(root)


def test_the_hub_loses_its_storage_and_the_loop_goes_on(root):
    process = live.start(root)
    live.await_(process, root, lambda: live.games(root) > 8)
    hub = Paths(root).cluster / "hub"
    live.kill_hub(root)
    shutil.rmtree(hub / "js", ignore_errors=True)
    stood = live.games(root)
    live.await_(process, root, lambda: live.games(root) > stood + 24, 120)
    live.await_(process, root, lambda: live.decisions(root))
    stop(process, root)
    live.check_whole(root)
    with GameStore.open(Paths(root).game_store) as store:
        assert store.max_seq() > stood


def test_a_whole_group_killed_between_start_and_first_decision_ends_there_too(root):
    """The group is killed at each new stage; the next start goes on, and each stage is done once."""
    stages = ("model_initialised", "games_ingested", "training_started", "training_finished")
    for stage in stages:
        process = live.start(root, **LONG_TRAINING)
        live.await_(process, root, lambda stage=stage: live.events(root, stage))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process = live.start(root, **LONG_TRAINING)
    live.await_(process, root, lambda: live.decisions(root))
    stop(process, root)
    live.check_whole(root)
    first = live.decisions(root)[0].candidate
    trained = [e["data"]["model"] for e in live.events(root, "training_finished")]
    assert trained.count(first) == 1
    assert len(live.events(root, "model_initialised")) == 1


def test_killed_as_a_decision_is_written_there_is_one_champion_and_one_event(root):
    process = live.start(root)
    chain = Paths(root).decisions / live.CONFIG
    live.await_(process, root, lambda: chain.is_dir() and len(list(chain.glob("*.json"))) > 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (decision,) = live.decisions(root)
    process = live.start(root)
    live.await_(process, root, lambda: len(live.decisions(root)) > 1)
    stop(process, root)
    live.check_whole(root)
    assert live.decisions(root)[0] == decision
    told = [e["data"]["candidate"] for e in live.events(root, *live.DECIDING)]
    assert told.count(decision.candidate) == 1
