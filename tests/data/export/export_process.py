"""Exports in a process of its own; says each checkpoint and waits for a line, so that it can be killed there."""

import sys
from pathlib import Path

from ringrift.data.dataset import ExportOptions, plan_export
from ringrift.data.export.cache import BlockCache
from ringrift.data.export.run import Exporter


def main(store, output, cache, workers, interval):
    plan = plan_export([Path(store)], "square8_2p", ExportOptions())
    exporter = Exporter(
        output=Path(output),
        workers=int(workers),
        interval=int(interval),
        cache=BlockCache(Path(cache)) if cache else None,
        on_games=lambda games, samples: say(f"{games} {samples}"),
        on_written=lambda games: say(f"written {games}"),
    )
    print("ready", flush=True)
    done = exporter.export(plan)
    print(f"done {done.manifest.id} {done.made} {done.kept}", flush=True)


def say(line):
    """Print, and go on once the other end has sent a line or closed."""
    print(line, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
