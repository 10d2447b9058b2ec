"""The thread that owns the writer of the game store and fills it from the hub (`cluster.md` 7)."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from ringrift.cluster.bus import Bus
from ringrift.cluster.collector import Collector
from ringrift.cluster.keys import node_key
from ringrift.cluster.streams import Subjects
from ringrift.core.errors import BusyError, NotRunningError, RingriftError
from ringrift.core.log import get_logger
from ringrift.loop.keeper import Collected
from ringrift.records.store import GameStore

if TYPE_CHECKING:
    from types import TracebackType

    from ringrift.cluster.collector import Committed
    from ringrift.core.paths import Paths
    from ringrift.loop.keeper import HubAccess

log = get_logger(__name__)

AGAIN_S = 1.0
STOP_LIMIT_S = 8.0


class Collecting:
    """Holds the store's writer in a thread and collects there; a context manager.

    Without a hub it holds the store alone. What keeps it from collecting is told in `collected` and
    tried again each second.
    """

    def __init__(self, paths: Paths, hub: HubAccess | None) -> None:
        self._path = paths.game_store
        self._dead_letters = paths.quarantine / "dead_letter"
        self._hub = hub
        self._tried = threading.Event()
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._found = Collected()
        self._reasons: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._hold, name="collector", daemon=True)

    def __enter__(self) -> Collecting:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(STOP_LIMIT_S)

    @property
    def collected(self) -> Collected:
        """What has come in so far."""
        with self._guard:
            return self._found

    def wait_for_store(self, limit_s: float) -> None:
        """Wait until the store was opened, or could not be, but is there for readers.

        Raises `BusyError` where there is none and none could be made.
        """
        self._tried.wait(limit_s)
        if not self._path.is_file():
            why = self.collected.error or f"the store did not open in {limit_s:g} s"
            raise BusyError(why, where=str(self._path))

    def _hold(self) -> None:
        while not self._stopped.is_set():
            try:
                with GameStore.open(self._path, writer=True) as store:
                    self._tried.set()
                    self._collect(store)
            except RingriftError as error:
                self._failed(str(error))
            except Exception as error:
                log.exception("the collector failed")
                self._failed(repr(error))

    def _collect(self, store: GameStore) -> None:
        hub = self._hub
        if hub is None:
            self._going_on()
            self._stopped.wait()
            return
        with Bus(hub.url, node_key(hub.key), node=hub.node) as bus:
            collector = Collector(
                bus,
                Subjects(prefix=hub.prefix),
                store,
                node=hub.node,
                dead_letters=self._dead_letters,
                on_commit=self._committed,
            )
            while not self._stopped.is_set():
                try:
                    collector.run(self._going_on)
                except NotRunningError as error:
                    self._failed(str(error))

    def _going_on(self) -> bool:
        """Take note that nothing is in the way; tell whether to stop."""
        if self._found.error is not None:
            with self._guard:
                self._found = replace(self._found, error=None)
        return self._stopped.is_set()

    def _committed(self, done: Committed) -> None:
        with self._guard:
            self._reasons.update(done.reasons)
            self._found = Collected(
                games=self._found.games + done.games,
                quarantined=self._found.quarantined + done.quarantined,
                duplicates=self._found.duplicates + done.duplicates,
                reasons=dict(self._reasons),
                lag_s=done.lag_s,
                suspects=tuple(sorted(done.suspects)),
            )

    def _failed(self, why: str) -> None:
        with self._guard:
            if self._found.error != why:
                log.warning("no games are collected", why=why)
            self._found = replace(self._found, error=why)
        self._tried.set()
        self._stopped.wait(AGAIN_S)
