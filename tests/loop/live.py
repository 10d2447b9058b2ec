"""Start the real loop in a process of its own and look at what it left."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
from tests.unhurried import UNWARNED, unhurried

from ringrift.cluster.hub import read_state
from ringrift.core.errors import DataError
from ringrift.core.files import is_locked, read_owner
from ringrift.core.paths import Paths
from ringrift.loop.events import EVENTS
from ringrift.models.decisions import read_chain
from ringrift.models.registry import model_ids
from ringrift.records.store import GameStore

CONFIG = "square8_2p"
SMALL = {
    "RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": "24",
    "RINGRIFT_TRAINING__HIDDEN_DIM": "32",
    "RINGRIFT_SELFPLAY__MCTS_SIMULATIONS": "4",
    "RINGRIFT_SELFPLAY__CHEAP_SIMULATIONS": "2",
    "RINGRIFT_SELFPLAY__GAMES_PER_JOB": "8",
    "RINGRIFT_EVALUATION__SIMULATIONS": "2",
    "RINGRIFT_EVALUATION__FLOOR_GAMES": "4",
    "RINGRIFT_PROMOTION__MIN_GAMES": "4",
    "RINGRIFT_PROMOTION__MAX_GAMES": "16",
    "RINGRIFT_LOOP__RECONCILE_SECONDS": "0.5",
}
"""A loop whose cycles take seconds; its nets learn nothing."""
DECIDING = ("promoted", "rejected", "inconclusive")
LIMIT_S = 540


def command(root, *words):
    main = "from ringrift.cli.main import main; main()"
    return [sys.executable, "-c", main, "--root", str(root), *words]


def environ(*, small=True, **variables):
    return unhurried(**{**UNWARNED, **(SMALL if small else {}), **variables})


def start(root, *words, seed=11, **variables):
    """Begin `loop run` in a session of its own; its output goes to a file beside the root."""
    said = root.with_suffix(".log").open("ab")
    arguments = ["loop", "run", "--profile", "quick", "--yes", "--seed", str(seed)]
    if "--metrics-port" not in words:
        arguments.append("--no-metrics")
    return subprocess.Popen(
        command(root, *arguments, *words),
        env=environ(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,
    )


def said(root):
    return root.with_suffix(".log").read_text()


def finish(process, root, limit_s=LIMIT_S):
    out, _ = process.communicate(timeout=limit_s)
    return process.returncode, out.decode(), said(root)


def call(root, *words, limit_s=LIMIT_S, small=True, **variables):
    """Run another command to its end: exit code, standard output, standard error."""
    done = subprocess.run(
        command(root, *words),
        env=environ(small=small, **variables),
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def events(root, *kinds):
    """The whole events so far, of some kinds or all."""
    path = root / "logs" / "unified_loop" / EVENTS
    found = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):  # the line that is being written
            event = json.loads(line)
            found += [event] if not kinds or event["kind"] in kinds else []
    return found


def decisions(root, config=CONFIG):
    chain = read_chain(Paths(root).decisions, config)
    return [d for d in chain.decisions if d.kind in DECIDING and d.champion_before is not None]


def games(root):
    path = Paths(root).game_store
    if not path.exists():
        return 0
    try:
        with GameStore.open(path) as store:
            return store.max_seq()
    except DataError:  # it is just being made
        return 0


def await_(process, root, condition, limit_s=LIMIT_S):
    """Wait for a condition while the loop runs; the seconds that took."""
    begun = time.monotonic()
    while not condition():
        assert process.poll() is None, said(root)[-4000:]
        assert time.monotonic() - begun < limit_s, said(root)[-4000:]
        time.sleep(0.1)
    return time.monotonic() - begun


def children(process, *words):
    """Processes below the loop's whose command line has one of the words."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = " ".join(child.cmdline())
            found += [child] if any(word in line for word in words) else []
    return found


def kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def kill_hub(root):
    """Kill the hub's server; it is in a session of its own."""
    with contextlib.suppress(DataError):
        state = read_state(Paths(root).cluster / "hub")
        if state is not None and state.process.alive:
            os.kill(state.pid, signal.SIGKILL)


def end_hub(root):
    """End what a killed loop has left, and the loop of a test that failed."""
    path = Paths(root).coordination / "loop.lock"
    owner = read_owner(path) if is_locked(path) else None
    if owner is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(owner.pid, signal.SIGKILL)
    kill_hub(root)


def check_whole(root, config=CONFIG):
    """No game twice, each replays to its hash, no decision twice, the champion is there."""
    paths = Paths(root)
    with GameStore.open(paths.game_store) as store:
        assert store.verify_all().failures == ()
        records = [record for _, record, _ in store.records(config)]
    keys = [(game.meta.purpose, game.meta.run, game.meta.index) for game in records]
    assert len(keys) == len(set(keys))
    assert len({game.id for game in records}) == len(records)
    chain = read_chain(paths.decisions, config)
    judged = [d.candidate for d in chain.decisions if d.kind in (*DECIDING, "superseded")]
    assert len(judged) == len(set(judged))
    assert chain.champion in model_ids(paths.model_objects)
    seqs = [event["seq"] for event in events(root)]
    assert seqs == sorted(set(seqs))
    trained = [e["job"] for e in events(root, "training_finished")]
    assert len(trained) == len(set(trained))
    return records
