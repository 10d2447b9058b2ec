"""Processes that a test starts and kills: `-m selfplay.kill_victims play|gather FOLDER SEED GAMES`.

With `serve` it starts them itself, by lines of standard input: forks of one process that has loaded
all code, whose workers are forks too. `start KIND FOLDER SEED GAMES` is answered with a process id,
`poll PID` with its exit code, or `-` while it runs.

`play` goes on with a run of games and prints "games before, games since" whenever it gets one.
`gather` brings what is in its lines into a second store, again and again, until the run is over.
"""

import multiprocessing
import os
import sys
import time
import traceback
from pathlib import Path

from ringrift.records import GameStore, analysis_from_json, from_json
from ringrift.records import store as store_module
from ringrift.selfplay import recording, workers
from ringrift.selfplay.generator import play_here
from ringrift.selfplay.run import play_run
from ringrift.selfplay.run_folder import RunFolder

from .runs import Free, order, plan

AGENTS = ("gumbel:eval=heuristic,m=2,sims=2", "gumbel:eval=heuristic,m=4,sims=4")
MAX_PLIES = 40
OVER = "over"
"""File that tells the gatherer that no more games come."""


def a_plan(seed):
    return plan(*AGENTS, seed=seed, max_plies=MAX_PLIES)


def play(folder, seed, games):
    recording.CHECKPOINT_GAMES, recording.COMMIT_AFTER_S = 12, 0.2  # kills meet them often
    resume = RunFolder(folder / "run").checkpoint is not None
    outcome = play_run(
        order(folder, a_plan(seed), games=games, workers=2, games_per_worker=4, resume=resume),
        guard=Free(),
        on_progress=lambda session: print(session.resumed, session.games, flush=True),
    )
    return 0 if outcome.complete and not outcome.failed_indices else 3


def gather(folder, _seed, _games):
    store_module.COMMIT_EVERY = 5
    with GameStore.open(folder / "gathered.db", writer=True) as store:
        while True:
            last = (folder / OVER).exists()
            report = store.ingest(pairs(folder / "games.jsonl"))
            print(report.added, report.duplicate, report.quarantined, flush=True)
            if last:
                return 0
            time.sleep(0.02)


def pairs(path):
    """Yield the games of the whole lines with their analyses."""
    game, waiting = None, False
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else []:
        if line.startswith(b'{"type":"game"'):
            if waiting:
                yield game, None
            game, waiting = from_json(line), True
        else:
            yield game, analysis_from_json(line, game)
            waiting = False
    if waiting:
        yield game, None


def serve():
    made = a_plan(0)
    list(play_here(made.job("load"), made.games(range(2))))
    context = multiprocessing.get_context("fork")
    workers.multiprocessing.get_context = lambda _method: context
    for line in sys.stdin:
        order, *words = line.split()
        if order == "start":
            print(fork(*words), flush=True)
        else:
            pid, status = os.waitpid(int(words[0]), os.WNOHANG)
            print(os.waitstatus_to_exitcode(status) if pid else "-", flush=True)
    return 0


def fork(kind, folder, *numbers):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        said = os.open(f"{folder}/{kind}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(said, 1)
        os.dup2(said, 2)
        code = KINDS[kind](Path(folder), *map(int, numbers))
    except BaseException:  # noqa: BLE001 - what it was is in its output
        traceback.print_exc()
    finally:
        os._exit(code)


KINDS = {"play": play, "gather": gather}

if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    sys.exit(serve() if kind == "serve" else KINDS[kind](Path(rest[0]), *map(int, rest[1:])))
