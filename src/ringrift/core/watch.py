"""Look at the machine while work runs, and say when to hold or to end it (`core.md` 5).

watch = ResourceWatch(limits=settings.limits, path=paths.root)
if watch.due(games) and watch.must_stop(): ...   # checkpoint, end with 75
if watch.held(): ...                             # start nothing new
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ringrift.core.errors import BusyError
from ringrift.core.limits import Resource, State, judge
from ringrift.core.readings import read as read_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from ringrift.core.limits import Verdict
    from ringrift.core.readings import Readings
    from ringrift.core.settings.limits import Limits

EVERY_S = 5.0
DUE_GAMES = 50
DUE_S = 60.0

_ENDING = frozenset({Resource.DISK, Resource.MEMORY})


class ResourceWatch:
    """Judge the machine at most once in `every_s`; asking in between costs next to nothing.

    `devices` are the GPUs whose memory counts. A resource that held work lets it go on only two
    points below critical, so that work does not start and stop at the limit. Belongs to one thread.
    """

    def __init__(
        self,
        limits: Limits,
        path: Path,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[Path], Readings] = read_machine,
        *,
        devices: Collection[int] = (),
    ) -> None:
        self.limits = limits
        self.path = path
        self._every_s = every_s
        self._clock = clock
        self._read = read
        self._devices = frozenset(devices)
        self._next_s = float("-inf")
        self._verdicts: tuple[Verdict, ...] = ()
        self._held: tuple[Verdict, ...] = ()
        self._must_stop: tuple[Verdict, ...] = ()
        self._due_games = 0
        self._due_s = clock()

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return the judgement of all resources, at most `every_s` old."""
        now_s = self._clock()
        if now_s >= self._next_s:
            self._refresh()
            self._next_s = now_s + self._every_s
        return self._verdicts

    def held(self) -> tuple[Verdict, ...]:
        """Return what keeps new work from starting; empty is free."""
        self.verdicts()
        return self._held

    def must_stop(self) -> tuple[Verdict, ...]:
        """Return what running work has to end for: critical memory or disk."""
        self.verdicts()
        return self._must_stop

    def due(self, games: int) -> bool:
        """Return true once every 50 games or 60 s; `games` is how many are finished so far."""
        now_s = self._clock()
        if games - self._due_games < DUE_GAMES and now_s - self._due_s < DUE_S:
            return False
        self._due_games, self._due_s = games, now_s
        return True

    def check(self, games: int) -> None:
        """Raise `BusyError` (exit 75) if a check is due and running work has to end."""
        if self.due(games) and (reasons := self.must_stop()):
            raise busy(reasons[0])

    def _refresh(self) -> None:
        before = {verdict.name for verdict in self._held}
        self._verdicts = tuple(
            verdict
            for verdict in judge(self._read(self.path), self.limits)
            if verdict.device is None or verdict.device in self._devices
        )
        self._held = tuple(
            verdict for verdict in self._verdicts if _holds(verdict, verdict.name in before)
        )
        self._must_stop = tuple(
            verdict
            for verdict in self._verdicts
            if verdict.resource in _ENDING and verdict.state is State.CRITICAL
        )


def busy(verdict: Verdict) -> BusyError:
    """Return the error of a resource at its limit: what is used, where, and what would help."""
    remedy = {
        Resource.DISK: "freeing space there",
        Resource.MEMORY: "ending other work",
        Resource.GPU: "ending other work on it",
        Resource.CPU: "again when others need less",
        Resource.LOAD: "again when others need less",
    }[verdict.resource]
    variable = f"RINGRIFT_{verdict.key.replace('.', '__').upper()}"
    return BusyError(
        f"{verdict.name}: {verdict.reason}",
        where=None if verdict.path is None else str(verdict.path),
        hint=f"{remedy}, or {verdict.key} in the settings ({variable})",
    )


def _holds(verdict: Verdict, held_before: bool) -> bool:
    if verdict.state is State.CRITICAL:
        return True
    # A reading that fails does not count as exceeded, nor does it hold for ever.
    return held_before and verdict.used is not None and verdict.used > verdict.limit.release
