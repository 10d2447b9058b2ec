"""Agents of tests: in this process, or in one of their own that can be killed."""

import itertools
import os
import sys
import time
from collections import Counter
from pathlib import Path

from ringrift.cluster.agent import NodeAgent
from ringrift.cluster.bus import Bus
from ringrift.cluster.claims import Place
from ringrift.cluster.jobs import Job, JobQueue, Needs
from ringrift.cluster.keys import node_key
from ringrift.cluster.spool import Spool
from ringrift.cluster.streams import Subjects
from ringrift.core.errors import UsageError

ACK_WAIT_S = 3.0
SUBJECTS = Subjects()
ORDER = (
    Place("match", "cpu", 0),
    Place("match", "cpu", 1),
    Place("train", "cpu", 1),
    Place("verify", "cpu", 1),
    Place("bench", "cpu", 1),
    Place("reanalyze", "cpu", 1),
    Place("dataset", "cpu", 1),
    Place("selfplay", "cpu", 1),
)
WORK = {
    "selfplay": "work_functions:sleep",
    "match": "work_functions:nothing",
    "train": "work_functions:failing",
    "verify": "work_functions:deaf",
    "bench": "work_functions:hungry",
    "reanalyze": "work_functions:with_children",
    "dataset": "work_functions:printing",
}
_numbers = itertools.count()


def job(kind="selfplay", *, config="square8_2p", needs=None, timeout_s=60.0, **spec):
    return Job(
        kind=kind,
        config=config,
        spec={"n": next(_numbers), **spec},
        timeout_s=timeout_s,
        rules_hash="rules",
        needs=needs or Needs(mem_gb=1.0),
    )


def check(kind, spec):
    """Refuse what the functions of the tests do not know."""
    for key in spec:
        if key not in ("n", "s", "how"):
            raise UsageError(f"spec.{key}: unknown", where=f"{kind} job")


def queue_of(bus, *, wait_s=ACK_WAIT_S):
    return JobQueue(bus.js, SUBJECTS, ack_wait_s=wait_s)


def file(bus, *jobs, wait_s=ACK_WAIT_S):
    return bus.run(queue_of(bus, wait_s=wait_s).file_all(jobs), timeout_s=60)


def agent_of(bus, root, *, node="one", slots=2, threads=8, **options):
    root.mkdir(exist_ok=True)
    spool = Spool(root / "spool" / "spool.db", most_bytes=1 << 28)
    return NodeAgent(
        bus,
        SUBJECTS,
        **{
            "spool": spool,
            "root": root,
            "node": node,
            "slots": slots,
            "threads": threads,
            "order": ORDER,
            "work": WORK,
            "check": check,
            "rules_hash": "rules",
            "version": "1.0",
            "ack_wait_s": ACK_WAIT_S,
            **options,
        },
    )


def within(limit_s, look):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(0.05)
    return False


def results(bus, jobs):
    """Return the results of these jobs by id, as far as they are there."""
    queue = queue_of(bus)

    async def look():
        found = [await queue.result(one.id) for one in jobs]
        return {one.job_id: one for one in found if one is not None}

    return bus.run(look(), timeout_s=60)


def starts(folder):
    """Return how often each job began, by its number, as the jobs themselves noted.

    `folder` holds the roots of the nodes.
    """
    notes = folder / "notes"
    lines = notes.read_text().splitlines() if notes.exists() else []
    return Counter(int(line.split()[1]) for line in lines if line.startswith("start"))


def main():
    """Be the agent of a node until killed: URL, key, root, node, slots, ack wait."""
    url, key, root, node, slots, wait_s = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).parent))
    with Bus(url, node_key(Path(key)), node=node) as bus:
        agent = agent_of(bus, Path(root), node=node, slots=int(slots), ack_wait_s=float(wait_s))
        agent.start()
        print(os.getpid(), flush=True)
        sys.stdin.read()
        agent.stop()


if __name__ == "__main__":
    main()
