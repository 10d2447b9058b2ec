"""What keeps the loop from starting something: the machine's limits, the emergency stop.

Three answers, from weak to strong: nothing holds; `hold`: no new game begins and those under way are
played on (CPU and load, `core.md` 5); `must_end`: what runs is ended at once and its memory given
back (critical memory or disk, emergency stop, `core.md` 5 and 7). Finished games are stored in every
case, and a game that was dropped is played again from its seed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ringrift.core.emergency import halted
from ringrift.core.limits import Resource
from ringrift.core.process_reading import tree

if TYPE_CHECKING:
    from ringrift.core.limits import Verdict

HALT_EVERY_S = 0.5
GIB = 1 << 30


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


@dataclass(slots=True, kw_only=True)
class LoopGuard:
    """Looks at the machine and at the halt files of one root and configuration.

    `on_change` is told each time the reasons appear, change or are gone (then empty), `on_look`
    every new judgement of the machine.
    """

    watch: Watch
    root: Path
    config: str
    on_change: Callable[[tuple[str, ...]], None] = field(default=lambda reasons: None)
    on_look: Callable[[Sequence[Verdict]], None] = field(default=lambda verdicts: None)
    clock: Callable[[], float] = time.monotonic
    _seen: Sequence[Verdict] = field(default=(), init=False)
    _needed_bytes: int = field(default=0, init=False)
    _told: tuple[str, ...] = field(default=(), init=False)
    _halt: str | None = field(default=None, init=False)
    _halt_read_s: float = field(default=float("-inf"), init=False)

    def listen(self, on_change: Callable[[tuple[str, ...]], None]) -> None:
        """Tell `on_change` from now on when the reasons appear, change or are gone."""
        self.on_change = on_change

    def hold(self) -> bool:
        """Say whether no new game may begin."""
        verdicts = self.watch.verdicts()
        if verdicts is not self._seen:
            self._seen = verdicts
            self.on_look(verdicts)
        reasons = {str(verdict.resource): verdict.reason for verdict in self.watch.held()}
        reasons |= self._lacking(verdicts)
        halt = self._halted()
        if halt is not None:
            reasons["halt"] = halt
        if not reasons:
            self._needed_bytes = 0
        if tuple(reasons) != self._told:
            self._told = tuple(reasons)
            self.on_change(tuple(reasons.values()))
        return bool(reasons)

    def workers_end(self) -> None:
        """Remember the memory of all processes below this one, which are about to be ended.

        The loop goes on only when there is room for it again: otherwise the workers would start,
        pass the limit and be ended once more.
        """
        below = tree([os.getpid()])
        del below[os.getpid()]
        self._needed_bytes = sum(process.memory_bytes for process in below.values())

    def _lacking(self, verdicts: Sequence[Verdict]) -> dict[str, str]:
        """Return why the workers that were ended have no room yet, empty if they have."""
        for verdict in verdicts if self._needed_bytes else ():
            if verdict.resource == Resource.MEMORY and verdict.space and verdict.used is not None:
                needed = 100 * self._needed_bytes / verdict.space.total_bytes
                if verdict.used + needed >= verdict.critical:
                    words = f"{self._needed_bytes / GIB:.1f} GiB for the workers are not free"
                    return {str(verdict.resource): f"{verdict.reason}, and {words}"}
        return {}

    def must_end(self) -> bool:
        """Say whether running work must end now."""
        return self.hold() and (self._halt is not None or bool(self.watch.must_stop()))

    def _halted(self) -> str | None:
        """Return the halt's reason; the files are looked at twice a second."""
        now_s = self.clock()
        if now_s - self._halt_read_s >= HALT_EVERY_S:
            self._halt_read_s = now_s
            found = halted(self.root, self.config)
            self._halt = None if found is None else str(found)
        return self._halt
