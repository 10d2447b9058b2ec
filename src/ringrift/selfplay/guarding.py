"""What a run of self-play does when the machine gets short (core.md 5, selfplay.md 2).

A warning pauses new games, a pause that lasts too long or a critical resource ends the run with 75;
so does an emergency stop. What was finished is kept in every case.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ringrift.core.emergency import halted
from ringrift.core.errors import BusyError
from ringrift.core.limits import State
from ringrift.core.watch import busy

if TYPE_CHECKING:
    from ringrift.core.limits import Verdict

HALT_EVERY_S = 0.5


class Watch(Protocol):
    """Judges the machine; `core.watch.ResourceWatch` is one."""

    def due(self, games: int) -> bool:
        """Return true once every 50 games or 60 s."""
        ...

    def verdicts(self) -> Sequence[Verdict]:
        """Return the judgement of all resources."""
        ...

    def must_stop(self) -> Sequence[Verdict]:
        """Return what running work must end for."""
        ...


@dataclass(slots=True, kw_only=True)
class RunGuard:
    """Looks at the machine every 50 games, and while it holds; at halt files twice a second.

    `on_change` is told when new games are held, and why, and when they go on (then empty).
    """

    watch: Watch
    root: Path
    config: str
    patience_s: float
    on_change: Callable[[tuple[str, ...]], None] = lambda reasons: None
    clock: Callable[[], float] = time.monotonic
    error: BusyError | None = field(default=None, init=False)
    _reasons: tuple[str, ...] = field(default=(), init=False)
    _held_s: float = field(default=0.0, init=False)
    _halt_read_s: float = field(default=float("-inf"), init=False)

    def look(self, games: int) -> None:
        """Judge the machine if it is time; `games` are finished so far."""
        self._look_for_halt()
        if self.error is None and (self._reasons or self.watch.due(games)):
            self._judge()

    @property
    def holds(self) -> bool:
        """Whether no new game may begin."""
        return bool(self._reasons) or self.ends

    @property
    def ends(self) -> bool:
        """Whether the run must end now; `error` says why."""
        return self.error is not None

    def _judge(self) -> None:
        short = [v for v in self.watch.verdicts() if v.state in (State.WARNING, State.CRITICAL)]
        ending = self.watch.must_stop()
        if ending:
            self.error = busy(ending[0])
            return
        reasons = tuple(v.reason for v in short)
        now_s = self.clock()
        if reasons and not self._reasons:
            self._held_s = now_s
        if bool(reasons) != bool(self._reasons):
            self.on_change(reasons)
        self._reasons = reasons
        if reasons and now_s - self._held_s >= self.patience_s:
            self.error = busy(short[0])

    def _look_for_halt(self) -> None:
        now_s = self.clock()
        if now_s - self._halt_read_s < HALT_EVERY_S:
            return
        self._halt_read_s = now_s
        found = halted(self.root, self.config)
        if found is not None:
            self.error = BusyError(
                str(found),
                where=str(found.path),
                hint="`ringrift node safeguards --clear-emergency`",
            )
