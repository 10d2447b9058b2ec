"""Writers that tests start as processes of their own and kill: `crash_writers.py KIND PATH GAMES`.

`GAMES` is a journal with what is to be written. A line on standard output is printed after each
game (journal) or batch (store) that the writer was told is safe.
"""

import sys
from pathlib import Path

from ringrift.records import GameStore, Journal, verify
from ringrift.records import store as store_module
from ringrift.records.shards import read_shard
from ringrift.records.spool import Spool


def write_journal(path: Path, games: Path) -> None:
    done = len(list(Journal.read(path))) if path.exists() else 0
    with Journal(path) as journal:
        print("ready", flush=True)
        for number, (game, analysis) in enumerate(Journal.read(games)):
            if number >= done:
                journal.append(game, analysis)
                print(number + 1, flush=True)


def write_spool(folder: Path, games: Path) -> None:
    found = [game.id for path in folder.glob("*.rrshard") for game, _ in read_shard(path)]
    with Spool(folder, "run", folder, most_games=17) as spool:
        found += [game.id for shard in spool.left_over for game, _ in read_shard(shard.path)]
        found += [game.id for game, _ in Journal.read(spool.path)]
        done = set(found)
        print("ready", flush=True)
        for number, (game, analysis) in enumerate(Journal.read(games)):
            if game.id not in done:
                spool.append(game, analysis)
            print(number + 1, flush=True)


def write_store(path: Path, games: Path) -> None:
    store_module.COMMIT_EVERY = 5
    items = list(Journal.read(games))
    verify(*items[0])  # compiled code is loaded before the clock starts

    def told():
        for number, item in enumerate(items):
            if number % 5 == 0:  # asked for the next batch, the store has the one before
                print(number, flush=True)
            yield item

    with GameStore.open(path, writer=True) as store:
        print("ready", flush=True)
        store.ingest(told(), input_id="all")
        print(len(items), flush=True)


def hold_store(path: Path, _games: Path) -> None:
    with GameStore.open(path, writer=True):
        print("ready", flush=True)
        sys.stdin.read()


def hold_journal(path: Path, _games: Path) -> None:
    with Journal(path):
        print("ready", flush=True)
        sys.stdin.read()


def hold_spool(folder: Path, _games: Path) -> None:
    with Spool(folder, "run", folder):
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    kind, path, games = sys.argv[1:]
    globals()[kind](Path(path), Path(games))
