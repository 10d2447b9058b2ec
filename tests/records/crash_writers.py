"""Writers that tests start as processes of their own and kill: `crash_writers.py KIND PATH GAMES`.

`GAMES` is a journal with what is to be written. A line on standard output is printed after each
game (journal) or batch (store) that the writer was told is safe.
"""

import sys
from pathlib import Path

from ringrift.records import GameStore, Journal, verify
from ringrift.records import store as store_module


def write_journal(path: Path, games: Path) -> None:
    done = len(list(Journal.read(path))) if path.exists() else 0
    with Journal(path) as journal:
        print("ready", flush=True)
        for number, (game, analysis) in enumerate(Journal.read(games)):
            if number >= done:
                journal.append(game, analysis)
                print(number + 1, flush=True)


def write_store(path: Path, games: Path) -> None:
    store_module.COMMIT_EVERY = 5
    items = list(Journal.read(games))
    verify(*items[0])  # compiled code is loaded before the clock starts
    with GameStore.open(path, writer=True) as store:
        print("ready", flush=True)
        for first in range(0, len(items), 10):
            store.ingest(items[first : first + 10])
            print(first + 10, flush=True)


def hold_store(path: Path, _games: Path) -> None:
    with GameStore.open(path, writer=True):
        print("ready", flush=True)
        sys.stdin.read()


def hold_journal(path: Path, _games: Path) -> None:
    with Journal(path):
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    kind, path, games = sys.argv[1:]
    globals()[kind](Path(path), Path(games))
