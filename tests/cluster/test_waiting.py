"""Which job begins next: what is free is kept for what waits, but not from what goes before it."""

import itertools
from types import SimpleNamespace

import pytest

from ringrift.cluster.claims import Claim, Place
from ringrift.cluster.jobs import Job, Needs
from ringrift.cluster.waiting import Hold, Room, Taken, Waiting

ORDER = [
    Place("match", "cpu", 0),
    Place("train", "cpu", 0),
    Place("train", "cpu", 1),
    Place("match", "cpu", 1),
    Place("train", "gpu", 1),
    Place("selfplay", "gpu", 1),
    Place("selfplay", "cpu", 1),
]
_clock = itertools.count(1)


def taken(kind, *, config="square8_2p", prio=1, **needs):
    needs = Needs(**{"mem_gb": 1.0, **needs})
    job = Job(
        kind=kind,
        config=config,
        spec={"n": next(_clock)},
        timeout_s=1.0,
        rules_hash="r",
        needs=needs,
        prio=prio,
    )
    at_s = float(next(_clock))
    claim = Claim(job=job, deliveries=1, message=SimpleNamespace())
    return Taken(claim=claim, attempt=1, taken_s=at_s, began_s=at_s)


class Node:
    """A queue, a choice, and what runs."""

    def __init__(self, *, slots=2, threads=2, gpus=0, memory_gb=None):
        self.queue, self.running, self.hold, self.asked = [], [], Hold(), 0
        room = Room(slots=slots, threads=threads, gpus=gpus, memory_gb=memory_gb)
        self._known = {}
        self.waiting = Waiting(
            room, ORDER, claim=self._claim, accept=lambda claim: self._known[claim.job.id]
        )

    def _claim(self, places):
        self.asked += 1
        for place in places:
            for one in self.queue:
                if one.place == place:
                    self.queue.remove(one)
                    self._known[one.claim.job.id] = one
                    one.taken_s = float(next(_clock))
                    return one.claim
        return None

    def start(self):
        """Begin what can begin, as the agent does; return the kinds."""
        begun = []
        while len(self.running) < 9:
            one = self.waiting.next(self.running, self.hold)
            if one is None:
                return begun
            one.began_s = float(next(_clock))
            self.running.append(one)
            begun.append(one.claim.job.kind)
        return begun


def test_what_is_free_is_kept_for_a_job_that_needs_more():
    node = Node()
    node.queue += [taken("selfplay"), taken("selfplay")]
    assert node.start() == ["selfplay"] * 2
    node.queue += [taken("train", cpu=2), taken("selfplay"), taken("match")]
    node.running.pop()
    assert node.start() == []
    assert [one.claim.job.kind for one in node.waiting.jobs] == ["train"]
    node.running.pop()
    assert node.start() == ["train"]
    node.running.pop()
    assert node.start() == ["match", "selfplay"]


def test_an_urgent_match_passes_a_job_that_could_not_begin_anyway():
    node = Node()
    node.running.append(taken("selfplay"))
    node.queue += [taken("train", cpu=2)]
    assert node.start() == []
    node.queue += [taken("selfplay"), taken("match", prio=0)]
    assert node.start() == ["match"]
    assert [one.claim.job.kind for one in node.queue] == ["selfplay"]
    node.running.clear()
    assert node.start() == ["train"]


def test_an_urgent_job_that_waits_is_passed_only_by_what_goes_before_it():
    node = Node()
    node.running.append(taken("selfplay"))
    node.queue += [taken("train", cpu=2, prio=0)]
    assert node.start() == []
    node.queue += [taken("train"), taken("match")]
    assert node.start() == []
    node.queue += [taken("match", prio=0)]
    assert node.start() == ["match"]


def test_a_job_that_waits_for_a_gpu_leaves_the_cores_beside_it_to_others():
    node = Node(slots=4, threads=4, gpus=1)
    node.running.append(taken("train", gpu=1))
    node.queue += [taken("train", gpu=1), *(taken("selfplay") for _ in range(4))]
    assert node.start() == ["selfplay"] * 3
    node.running.pop(0)  # the one with the GPU
    assert node.start() == ["train"]


def test_beside_a_job_that_waits_only_so_much_begins_that_it_finds_room():
    node = Node(slots=4, threads=4)
    node.running += [taken("selfplay") for _ in range(2)]
    node.queue += [taken("train", cpu=3), *(taken("selfplay") for _ in range(3))]
    assert node.start() == ["selfplay"]  # 3 + 1 cores; another would keep the training out
    del node.running[:2]
    assert node.start() == ["train"]


def test_memory_counts_where_it_is_known():
    node = Node(slots=4, threads=4, memory_gb=8.0)
    node.queue += [taken("selfplay", mem_gb=3.0) for _ in range(3)]
    assert node.start() == ["selfplay"] * 2
    assert Room(slots=1, threads=1, memory_gb=1.0).holds([Needs(cpu=4, mem_gb=7.0)])  # alone


@pytest.mark.parametrize("hold", [Hold(halted={"square8_2p": "x"}), Hold(new_producing=True)])
def test_what_is_held_waits_and_keeps_nothing_from_others(hold):
    node = Node()
    node.hold = hold
    node.queue += [taken("selfplay"), taken("train", config="hex8_2p")]
    assert node.start() == ["train"]
    node.hold = Hold()
    assert node.start() == ["selfplay"]


def test_a_node_does_not_hoard_what_it_cannot_begin():
    node = Node(slots=2, threads=2)
    node.running.append(taken("selfplay"))
    node.queue += [taken("match", prio=0, cpu=2) for _ in range(10)]
    assert node.start() == []
    assert len(node.waiting.jobs) <= 2
