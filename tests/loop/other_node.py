"""Another node of a loop's hub, in a process of its own: it plays jobs and sends their games."""

import sys
import time
from pathlib import Path

from ringrift.cluster.agent import NodeAgent
from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import read_state
from ringrift.cluster.keys import node_key
from ringrift.cluster.sender import Sender
from ringrift.cluster.spool import Spool
from ringrift.cluster.streams import Subjects
from ringrift.core.paths import Paths
from ringrift.core.versions import rules_hash
from ringrift.loop.job_specs import checked
from ringrift.loop.work import WORK


def main():
    """Work until killed: data root of the loop, own data root, name."""
    loop, own, node = Paths(Path(sys.argv[1])), Paths(Path(sys.argv[2])), sys.argv[3]
    own.create()
    state = read_state(loop.cluster / "hub")
    with (
        Bus(state.url, node_key(loop.cluster / "node.nk"), node=node) as bus,
        Spool(own.spool / "spool.db", most_bytes=1 << 28) as spool,
        Sender(bus, spool, min_replicas=1),
        NodeAgent(
            bus,
            Subjects(),
            slots=1,
            work={kind: WORK[kind] for kind in ("match", "selfplay")},
            check=checked,
            root=own.root,
            node=node,
            spool=spool,
            rules_hash=rules_hash(),
        ) as agent,
    ):
        while True:
            print(len(agent.jobs), flush=True)
            time.sleep(0.2)


if __name__ == "__main__":
    main()
