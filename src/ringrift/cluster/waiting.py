"""Which job of a node begins next: what was taken and waits here, or one from the queue.

A job that was taken but cannot run now - it needs more than is free, or its configuration stands
still - waits here, so that handing it to and fro costs no deliveries. What is free is kept for it,
except from urgent jobs that come before it in the node's order, and from jobs beside which it has
room all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ringrift.cluster.claims import Claim, Place
from ringrift.cluster.jobs import URGENT, Needs

PRODUCING = frozenset({"selfplay", "match", "reanalyze", "tune", "bench"})
"""Kinds that stop first when the machine gets full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What may not run now.

    `new_producing`: no job that plays may start and no game begin. `anything`: no job may start.
    `end`: running jobs end too. `halted`: configurations that stand still, and why; the key "all"
    is every one.
    """

    new_producing: bool = False
    anything: bool = False
    end: bool = False
    halted: Mapping[str, str] = field(default_factory=dict)

    def stops(self, config: str) -> bool:
        """Tell whether a job of a configuration that runs must end."""
        return self.end or "all" in self.halted or config in self.halted

    def keeps(self, kind: str, config: str) -> bool:
        """Tell whether a job may not start."""
        waits = self.anything or (self.new_producing and kind in PRODUCING)
        return waits or self.stops(config)


@dataclass(slots=True, kw_only=True)
class Taken:
    """A job that this node has; times are Unix seconds, those with `_s` of the monotonic clock.

    `taken_s` is when it came, `began_s` when it got its slot.
    """

    claim: Claim
    attempt: int
    started_at: float = field(default_factory=time.time)
    taken_s: float = field(default_factory=time.monotonic)
    began_s: float = field(default_factory=time.monotonic)
    beat_s: float = field(default_factory=time.monotonic)
    looked_s: float = field(default_factory=time.monotonic)
    has_result: bool = False

    @property
    def needs(self) -> Needs:
        """What it takes of the machine."""
        return self.claim.job.needs

    @property
    def place(self) -> Place:
        """Where it waited in the queue."""
        job = self.claim.job
        return Place(job.kind, job.needs.size, job.prio, job.node)

    def kept_by(self, hold: Hold) -> bool:
        """Tell whether it may not start now."""
        return hold.keeps(self.claim.job.kind, self.claim.job.config)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What jobs that run together may take; `memory_gb` None is as much as they like."""

    slots: int
    threads: int
    gpus: int = 0
    memory_gb: float | None = None

    def holds(self, needs: Sequence[Needs]) -> bool:
        """Tell whether jobs with these needs can run together; a single one always may."""
        if len(needs) <= 1:
            return len(needs) <= self.slots
        return (
            len(needs) <= self.slots
            and sum(each.cpu for each in needs) <= self.threads
            and (not any(each.gpu for each in needs) or sum(e.gpu for e in needs) <= self.gpus)
            and (self.memory_gb is None or sum(each.mem_gb for each in needs) <= self.memory_gb)
        )


class Waiting:
    """The jobs that wait here, and the choice of the next; for one thread.

    `order` is where work is looked for, first things first. `claim` takes a job from one of some
    places, None where there is none; `accept` answers one that is here already or cannot be done,
    and returns any other.
    """

    def __init__(
        self,
        room: Room,
        order: Sequence[Place],
        *,
        claim: Callable[[Sequence[Place]], Claim | None],
        accept: Callable[[Claim], Taken | None],
    ) -> None:
        self._room = room
        self._order = {place: number for number, place in enumerate(order)}
        self._claim = claim
        self._accept = accept
        self.jobs: list[Taken] = []

    def next(self, running: Sequence[Taken], hold: Hold) -> Taken | None:
        """Return a job that can begin now beside those that run, None where there is none.

        Raises `NotRunningError` where the hub does not answer.
        """
        while True:
            ahead: list[Taken] = []
            for one in self._in_order(hold):
                if self._may_begin(one, ahead, running):
                    self.jobs.remove(one)
                    return one
                ahead.append(one)
            places = self._places(ahead, running, hold)
            claim = self._claim(places) if places else None
            if claim is None:
                return None
            if (taken := self._accept(claim)) is not None:
                self.jobs.append(taken)

    def _in_order(self, hold: Hold) -> list[Taken]:
        """Return what waits and is not held, first things first."""
        last = len(self._order)
        ready = [one for one in self.jobs if not one.kept_by(hold)]
        return sorted(ready, key=lambda one: (self._order.get(one.place, last), one.taken_s))

    def _may_begin(self, one: Taken, ahead: Iterable[Taken], running: Sequence[Taken]) -> bool:
        """Tell whether a job fits now and takes nothing from those ahead of it."""
        if not self._room.holds([one.needs, *(each.needs for each in running)]):
            return False
        return all(
            self._room.holds([one.needs, first.needs, *_since(first, running)]) for first in ahead
        )

    def _places(self, ahead: Sequence[Taken], running: Sequence[Taken], hold: Hold) -> list[Place]:
        """Return where to look for a job that might begin although some wait."""
        allowed = [place for place in self._order if not hold.keeps(place.kind, "")]
        if not self._room.holds([_LEAST, *(each.needs for each in running)]):
            return []
        if not ahead:
            return allowed
        if len(ahead) >= self._room.slots:
            return []
        if all(self._room.holds([_LEAST, one.needs, *_since(one, running)]) for one in ahead):
            return allowed
        first = min(self._order.get(one.place, len(self._order)) for one in ahead)
        return [place for place in allowed if place.prio == URGENT and self._order[place] < first]


_LEAST = Needs(cpu=1, mem_gb=0.0)


def _since(first: Taken, running: Iterable[Taken]) -> list[Needs]:
    """Return the needs of the jobs that began while another waited."""
    return [one.needs for one in running if one.began_s >= first.taken_s]
