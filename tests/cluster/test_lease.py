"""The lease of a real hub: one holder, a higher term for the next, none for the frozen."""

import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from ringrift.cluster.election import Election, Term
from ringrift.cluster.lease import Lease
from ringrift.cluster.streams import Subjects, ensure

TTL_S = 2

HOLDER = """
import sys, time
from pathlib import Path
from ringrift.cluster.bus import Bus
from ringrift.cluster.keys import node_key
from ringrift.cluster.lease import Lease

url, key, node, ttl = sys.argv[1:]
with Bus(url, node_key(Path(key)), node=node) as bus:
    with Lease(bus, key="leader", ttl_s=float(ttl), incarnation=lambda: 7, node=node) as lease:
        while True:
            term = lease.term
            if term is not None:
                print(time.monotonic(), term, flush=True)
            time.sleep(0.02)
"""


@pytest.fixture
def holder(tmp_path, hub, bus):
    children = []

    def start(node, ttl_s=TTL_S):
        said = tmp_path / f"said{len(children)}"
        command = [sys.executable, "-c", HOLDER, hub.state.url, str(tmp_path / "node.nk")]
        with said.open("wb") as output:
            child = subprocess.Popen([*command, node, str(ttl_s)], stdout=output)
        child.said = said
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


def lease(bus, node, **options):
    values = {"key": "leader", "ttl_s": TTL_S, "incarnation": lambda: 7, "node": node, **options}
    return Lease(bus, **values)


def acting(child):
    """Return the moments at which a holder acted, and in which terms."""
    words = [
        line.split()
        for line in child.said.read_text().splitlines(keepends=True)
        if line[-1] == "\n"
    ]
    return [(float(moment), Term.parse(term)) for moment, term in words]


def first_term(child):
    """Wait until a holder acts and return its term."""
    while not acting(child):
        time.sleep(0.02)
    return acting(child)[0][1]


@pytest.mark.timed
def test_one_leads_and_gives_it_up(bus):
    with lease(bus, "a") as first, lease(bus, "b") as second:
        assert first.wait(2) or second.wait(2)
        (holding,) = [one for one in (first, second) if one.acting]
        (other,) = [one for one in (first, second) if not one.acting]
        term = holding.term
        assert (term.incarnation, other.term) == (7, None)
        time.sleep(TTL_S)
        assert holding.acting
        assert holding.term == term  # renewed, the same tenure
        assert not other.acting
        assert other.leader == holding.leader
        holding.stop()
        assert not holding.acting
        began_s = time.monotonic()
        assert other.wait(TTL_S)
        assert time.monotonic() - began_s < TTL_S / 2
        assert other.term > term
        assert other.term.number > term.number


@pytest.mark.timed
@pytest.mark.slow
def test_a_frozen_holder_does_not_act_when_it_thaws(bus, holder):
    child = holder("a")
    term = first_term(child)
    child.send_signal(signal.SIGSTOP)
    with lease(bus, "b") as second:
        assert second.wait(TTL_S + 2)
        taken_s = time.monotonic()
        child.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        assert second.acting
        assert second.term > term
        assert [at for at, _ in acting(child) if at > taken_s] == []


@pytest.mark.timed
def test_what_this_node_held_is_taken_over_at_once_by_its_only_process(bus, holder):
    child = holder("a", ttl_s=30)
    term = first_term(child)
    child.kill()
    with lease(bus, "a", ttl_s=30) as careful:
        assert not careful.wait(0.7)
    with lease(bus, "a", ttl_s=30, alone=True) as sure:
        assert sure.wait(2)
        assert sure.term > term


@pytest.mark.slow
def test_the_hub_may_be_gone_for_a_moment(hub, bus):
    with lease(bus, "a", ttl_s=6) as holding:
        assert holding.wait(2)
        term = holding.term
        os.kill(hub.state.pid, signal.SIGKILL)
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s and not (hub.restarts and bus.connected):
            time.sleep(0.05)
        assert holding.wait(4)
        assert holding.term == term


@pytest.mark.slow
def test_new_storage_of_the_hub_gives_a_higher_term(tmp_path, hub, bus):
    with lease(bus, "a", incarnation=lambda: hub.state.incarnation) as holding:
        assert holding.wait(2)
        term = holding.term
        hub.stop()
        (tmp_path / "hub" / "js" / "jetstream").rename(tmp_path / "lost")
        hub.start()
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s and not bus.connected:
            time.sleep(0.05)
        bus.run(ensure(bus.js, Subjects(), games_bytes=64 << 20))
        while time.monotonic() < end_s and holding.term in (term, None):
            time.sleep(0.05)
        assert holding.term.revision == 1
        assert holding.term.number > term.number


@pytest.mark.timed
def test_a_hub_that_stays_away_ends_the_authority(hub, bus):
    with lease(bus, "a") as holding:
        assert holding.wait(2)
        os.kill(hub.state.pid, signal.SIGSTOP)
        stopped_s = time.monotonic()
        try:
            while holding.acting:
                time.sleep(0.01)
            assert time.monotonic() - stopped_s <= 0.75 * TTL_S + 0.05
        finally:
            os.kill(hub.state.pid, signal.SIGCONT)


def test_a_machine_that_sleeps_between_two_ticks_does_not_act():
    election = Election(ttl_s=6, incarnation=1)
    election.tick(10.0, 1000.0)
    election.seen(10.0, revision=0, free=True)
    election.renewed(10.1, revision=3, asked_s=10.0)
    assert election.acting(11.0, 1001.0)
    assert not election.acting(11.0, 1005.0)
    assert election.held == 3


def test_terms_have_numbers_in_their_order():
    terms = [Term(1_763_830_000, 1), Term(1_763_830_000, 2), Term(1_763_830_001, 1)]
    numbers = [term.number for term in terms]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 1 << 63


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_random_faults_never_make_two_leaders(hub, bus, holder):
    """Three nodes are killed, frozen and started again, and so is the hub, for two minutes."""
    rng = random.Random(5)
    lines, running = {}, {name: holder(name) for name in ("a", "b", "c")}
    generation, end_s = 0, time.monotonic() + 120
    while time.monotonic() < end_s:
        name = rng.choice(sorted(running))
        child = running[name]
        what = rng.choice(["kill", "freeze", "freeze", "server"])
        if what == "kill":
            child.kill()
            lines[f"{name}{generation}"] = acting(child)
            generation += 1
            running[name] = holder(name)
        elif what == "freeze":
            child.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.2, 2.5 * TTL_S))
            child.send_signal(signal.SIGCONT)
        else:
            os.kill(hub.state.pid, signal.SIGKILL)
        time.sleep(rng.uniform(0.2, 2 * TTL_S))
    lines |= {name: acting(child) for name, child in running.items()}
    said = sorted((at, term, name) for name, found in lines.items() for at, term in found)
    tenures = {}
    for _, term, name in said:
        assert tenures.setdefault(term, name) == name, f"{term} of two"
    changes = [b for a, b in pairwise(said) if a[1:] != b[1:]]
    assert [term for _, term, _ in changes] == sorted(term for _, term, _ in changes)
    led_s = sum(min(0.5, b[0] - a[0]) for a, b in pairwise(said))
    print(f"{len(tenures)} tenures, a leader in {led_s:.0f} of 120 s")
    assert len(tenures) >= 5


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_figures_of_the_lease_as_set_by_default(bus, holder):
    """After SIGKILL and SIGSTOP of the leader another acts within 8 s, five times each."""
    for number in range(10):
        child = holder(f"a{number}", ttl_s=6)
        term = first_term(child)
        with lease(bus, "b", ttl_s=6) as second:
            assert not second.wait(1)
            gone_s = time.monotonic()
            child.send_signal(signal.SIGKILL if number % 2 else signal.SIGSTOP)
            assert second.wait(8)
            print(f"{'kill' if number % 2 else 'stop'}: {time.monotonic() - gone_s:.1f} s")
            assert second.term > term
            if number % 2 == 0:
                taken_s = time.monotonic()
                child.send_signal(signal.SIGCONT)
                time.sleep(1)
                assert [at for at, _ in acting(child) if at > taken_s] == []
            child.kill()
