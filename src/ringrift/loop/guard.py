"""What keeps the loop from starting something: the machine's limits and the halt files.

From weak to strong: at `warning` no new self-play begins; at `critical` no job does, and running ones
drain; where memory or disk is critical, or a halt file lies there, what runs is ended at once and its
memory given back (`core.md` 5 and 7). Finished games are kept in every case, and a game that was
dropped is played again from its seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ringrift.core.emergency import halted
from ringrift.core.limits import Resource, State
from ringrift.core.process_reading import tree
from ringrift.loop.plan import Level

if TYPE_CHECKING:
    from ringrift.core.limits import Verdict

LOOK_EVERY_S = 0.5
GIB = 1 << 30
ALL = "all"
"""Stands for every configuration where a whole root is halted."""


class Watch(Protocol):
    """Judges the machine; `core.watch.ResourceWatch` is one."""

    def verdicts(self) -> Sequence[Verdict]:
        """Return the judgement of all resources, the same object until the next look."""
        ...

    def held(self) -> Sequence[Verdict]:
        """Return what keeps new work from starting."""
        ...

    def must_stop(self) -> Sequence[Verdict]:
        """Return what running work must end for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one look found; `reasons` are in words, `halted` by configuration (`ALL` for all)."""

    level: Level = "ok"
    reasons: tuple[str, ...] = ()
    end: bool = False
    halted: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class LoopGuard:
    """Looks at the machine and at the halt files of one root; belongs to one thread.

    `on_look` is told every new judgement of the machine.
    """

    watch: Watch
    root: Path
    configs: Sequence[str]
    on_look: Callable[[Sequence[Verdict]], None] = field(default=lambda verdicts: None)
    clock: Callable[[], float] = time.monotonic
    _seen: Sequence[Verdict] = field(default=(), init=False)
    _needed_bytes: int = field(default=0, init=False)
    _found: Held = field(default=Held(), init=False)
    _looked_s: float = field(default=float("-inf"), init=False)

    def look(self) -> Held:
        """Return what holds the loop, at most half a second old."""
        now_s = self.clock()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._found = self._look()
        return self._found

    def workers_end(self, pids: Sequence[int]) -> None:
        """Remember the memory of processes that are about to be ended, and of all below them.

        The loop goes on only when there is room for it again: otherwise the workers would start,
        pass the limit and be ended once more.
        """
        self._needed_bytes = sum(process.memory_bytes for process in tree(pids).values())

    def _look(self) -> Held:
        verdicts = self.watch.verdicts()
        if verdicts is not self._seen:
            self._seen = verdicts
            self.on_look(verdicts)
        stopping = self.watch.must_stop()
        holding = {str(verdict.resource): verdict.reason for verdict in self.watch.held()}
        holding |= self._lacking(verdicts)
        if not holding:
            self._needed_bytes = 0
        halts = self._halted()
        if holding or stopping:
            reasons = tuple(holding.values()) or tuple(verdict.reason for verdict in stopping)
            return Held(level="critical", reasons=reasons, end=bool(stopping), halted=halts)
        warnings = tuple(v.reason for v in verdicts if v.state is State.WARNING)
        return Held(level="warning" if warnings else "ok", reasons=warnings, halted=halts)

    def _lacking(self, verdicts: Sequence[Verdict]) -> dict[str, str]:
        """Return why the workers that were ended have no room yet, empty if they have."""
        for verdict in verdicts if self._needed_bytes else ():
            if verdict.resource == Resource.MEMORY and verdict.space and verdict.used is not None:
                needed = 100 * self._needed_bytes / verdict.space.total_bytes
                if verdict.used + needed >= verdict.critical:
                    words = f"{self._needed_bytes / GIB:.1f} GiB for the workers are not free"
                    return {str(verdict.resource): f"{verdict.reason}, and {words}"}
        return {}

    def _halted(self) -> dict[str, str]:
        whole = halted(self.root)
        if whole is not None:
            return {ALL: str(whole)}
        found = {config: halted(self.root, config) for config in self.configs}
        return {config: str(halt) for config, halt in found.items() if halt is not None}
