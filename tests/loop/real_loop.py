"""Start the real loop in a process of its own and check what it left."""

import json
import os
import subprocess
import sys

from ringrift.core.paths import Paths
from ringrift.models.decisions import read_chain
from ringrift.models.registry import model_ids
from ringrift.records.store import GameStore

CONFIG = "square8_2p"
TINY = {
    "RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": "8",
    "RINGRIFT_TRAINING__MODEL_SIZE": "micro",
    "RINGRIFT_TRAINING__BATCH_SIZE": "64",
    "RINGRIFT_TRAINING__MAX_REUSE": "1",
    "RINGRIFT_SELFPLAY__MCTS_SIMULATIONS": "4",
    "RINGRIFT_SELFPLAY__CHEAP_SIMULATIONS": "2",
    "RINGRIFT_EVALUATION__SIMULATIONS": "2",
    "RINGRIFT_EVALUATION__FLOOR_GAMES": "4",
    "RINGRIFT_EVALUATION__EXAM_GAMES": "6",
    "RINGRIFT_PROMOTION__MIN_GAMES": "4",
    "RINGRIFT_PROMOTION__MAX_GAMES": "8",
}
# Other work on this machine must not hold the loop where a test is about something else.
UNHURRIED = {
    "RINGRIFT_LIMITS__CPU_CRITICAL": "100",
    "RINGRIFT_LIMITS__LOAD_CRITICAL_MULTIPLIER": "1000",
}
GENERATIONS = 2
GAMES = 8
LIMIT_S = 540


def command(root, *words):
    main = "from ringrift.cli.main import main; main()"
    return [sys.executable, "-c", main, "--root", str(root), *words]


LOOP = [
    "loop",
    "run",
    "--profile",
    "quick",
    "--yes",
    "--generations",
    str(GENERATIONS),
    "--seed",
    "11",
]


def start(root, *more, words=LOOP, metrics="--no-metrics", **variables):
    environ = {name: value for name, value in os.environ.items() if "RINGRIFT" not in name}
    return subprocess.Popen(
        command(root, *words, *more, *metrics.split()),
        env={**environ, **TINY, **UNHURRIED, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


def check_whole(root, games_per_generation=GAMES, generations=GENERATIONS):
    """No game twice, each replays to its hash, every stage done once, the run complete."""
    paths = Paths(root)
    with GameStore.open(paths.game_store) as store:
        assert store.verify_all().failures == ()
        games = [record for _, record, _ in store.records(CONFIG)]
    keys = [(game.meta.run, game.meta.index) for game in games]
    assert len(keys) == len(set(keys))
    assert len({game.id for game in games}) == len(games)
    selfplay = [game for game in games if game.meta.purpose == "selfplay"]
    assert len(selfplay) == generations * games_per_generation
    chain = read_chain(paths.decisions, CONFIG)
    assert [d.generation for d in chain.decisions] == [None, *range(1, generations + 1)]
    assert chain.champion in model_ids(paths.model_objects)
    folders = list((paths.runs / CONFIG).iterdir())
    assert len(folders) == 1
    report = json.loads((folders[0] / "report.json").read_text())
    assert len(report["generations"]) == generations
    assert report["exam"]["games"] == 6
    seqs = [json.loads(line)["seq"] for line in (folders[0] / "events.jsonl").open()]
    assert seqs == sorted(set(seqs))
    return games
