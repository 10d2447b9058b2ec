"""The election under delays, losses, partitions, pauses and skew, in simulated time."""

import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest

from ringrift.cluster.election import LOOK, Election, Put, Term
from ringrift.core.errors import DataError

TTL_S = 6.0


@dataclass
class Lease:
    """The hub's key: writes are compared with the last revision, unrenewed ones expire."""

    revision: int = 0
    holder_since: int = 0
    expires_s: float = -1.0

    def look(self, now):
        return {"revision": self.revision, "free": now >= self.expires_s}

    def put(self, now, last):
        """Return the new revision, None if it is refused."""
        if last != self.revision:
            return None
        self.revision += 1
        self.expires_s = now + TTL_S
        return self.revision


@dataclass
class Node:
    name: int
    skew: float
    rate: float
    election: Election = field(
        default_factory=lambda: Election(ttl_s=TTL_S, incarnation=1763830000)
    )
    frozen_until: float = 0.0
    cut_until: float = 0.0

    def clock(self, now):
        return self.skew + self.rate * now


@dataclass
class Store:
    """Accepts writes of the highest term it has seen, and no lower one."""

    highest: Term | None = None
    accepted: list = field(default_factory=list)

    def write(self, term):
        if self.highest is not None and term < self.highest:
            return
        self.highest = term
        self.accepted.append(term)


def simulate(seed, *, nodes=3, seconds=60.0):
    """Return the acting leaders of each instant that was looked at, and the store."""
    rng = random.Random(seed)
    lease, store, number = Lease(), Store(), itertools.count()
    world = [
        Node(n, skew=rng.uniform(0, 1000), rate=1 + rng.uniform(-1, 1) * 1e-3) for n in range(nodes)
    ]
    queue, acting = [], []

    def at(when, act):
        heapq.heappush(queue, (when, next(number), act))

    def delay():
        return rng.expovariate(20) if rng.random() < 0.95 else rng.uniform(0.5, 8.0)

    def send(now, node, action):
        """Carry a question to the hub and its answer back; either may get lost."""
        asked = node.clock(now)
        if now < node.cut_until or rng.random() < 0.02:
            at(now + 2.0, lambda t: deliver(t, node, node.election.timed_out))
            return

        def arrive(then):
            if action == LOOK:
                found = lease.look(then)
                answer = lambda c: node.election.seen(c, **found)  # noqa: E731
            else:
                new = lease.put(then, action.last)
                answer = (
                    (node.election.refused)
                    if new is None
                    else (lambda c: node.election.renewed(c, revision=new, asked_s=asked))
                )
            if then < node.cut_until or rng.random() < 0.02:
                answer = node.election.timed_out
            at(then + delay(), lambda t: deliver(t, node, answer))

        at(now + delay(), arrive)

    def deliver(now, node, answer):
        if now < node.frozen_until:
            at(node.frozen_until, lambda t: deliver(t, node, answer))
            return
        action = answer(node.clock(now))
        if action is not None:
            send(now, node, action)

    def tick(now, node):
        at(now + 0.25, lambda t: tick(t, node))
        if now < node.frozen_until:
            return
        if rng.random() < 0.004:
            node.frozen_until = now + rng.uniform(1, 20)
            return
        if rng.random() < 0.004:
            node.cut_until = now + rng.uniform(1, 20)
        clock = node.clock(now)
        action = node.election.tick(clock, wall_s=clock)
        if action is not None:
            send(now, node, action)
        if node.election.acting(clock):
            store.write(node.election.term)

    for node in world:
        at(rng.uniform(0, 1), lambda t, node=node: tick(t, node))
    while queue and queue[0][0] < seconds:
        now, _, act = heapq.heappop(queue)
        act(now)
        leaders = [node for node in world if node.election.acting(node.clock(now))]
        acting.append([(node.name, node.election.term) for node in leaders])
    return acting, store


def check(seeds):
    led = 0
    for seed in seeds:
        acting, store = simulate(seed)
        assert max(map(len, acting)) <= 1, f"seed {seed}: two leaders at once"
        assert store.accepted == sorted(store.accepted), f"seed {seed}: a lower term was accepted"
        tenures = {term: name for leaders in acting for name, term in leaders}
        assert len(set(tenures)) == len(tenures)
        led += bool(tenures)
    return led


def test_never_two_leaders_and_no_lower_term_after_a_higher_one():
    assert check(range(40)) == 40


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_never_two_leaders_over_ten_thousand_schedules():
    assert check(range(10_000)) >= 9_900


def test_a_free_lease_is_taken_renewed_and_lost():
    election = Election(ttl_s=TTL_S, incarnation=5)
    assert election.tick(100.0, 0.0) == LOOK
    assert election.tick(100.1, 0.1) is None  # one question at a time
    assert election.seen(100.2, revision=0, free=True) == Put(0)
    election.renewed(100.4, revision=7, asked_s=100.2)
    assert election.term == Term(5, 7)
    assert election.acting(100.2 + 0.74 * TTL_S)
    assert not election.acting(100.2 + 0.75 * TTL_S)
    assert election.tick(101.9, 1.9) == Put(7)
    election.renewed(102.0, revision=8, asked_s=101.9)
    assert election.term == Term(5, 7)  # the tenure's, not the renewal's
    assert election.tick(103.5, 3.5) == Put(8)
    election.refused(103.6)
    assert (election.state, election.term) == ("follower", None)


def test_a_lease_of_another_is_left_alone():
    election = Election(ttl_s=TTL_S, incarnation=5)
    election.tick(0.0, 0.0)
    assert election.seen(0.1, revision=3, free=False) is None
    assert election.tick(0.2, 0.2) is None
    assert election.tick(0.7, 0.7) == LOOK


def test_a_machine_that_slept_does_not_act():
    election = Election(ttl_s=TTL_S, incarnation=5)
    election.tick(0.0, 1000.0)
    election.seen(0.1, revision=0, free=True)
    election.renewed(0.2, revision=1, asked_s=0.1)
    assert election.acting(0.3)
    election.tick(0.4, 1010.0)  # the monotonic clock stood still
    assert not election.acting(0.5)


def test_terms_compare_by_storage_first():
    assert Term.parse("1763830000.42") == Term(1763830000, 42)
    assert str(Term(2, 1)) == "2.1"
    assert Term(1, 900) < Term(2, 1)
    for text in ("", "3", "3.x", "1.2.3"):
        with pytest.raises(DataError, match="term"):
            Term.parse(text)
