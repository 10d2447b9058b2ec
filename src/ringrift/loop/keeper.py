"""Control's hold on the keeper: the process that has the game store, its writer and its facts.

Control imports no compiler, so what reads games runs there (`keeper_process`). A keeper that dies is
started again; nothing is lost by that, since all it says is computed from the files and all it
writes is written once.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import NotRunningError, RingriftError
from ringrift.core.log import get_logger
from ringrift.core.processes import threads_of_children

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.actions import Action, Done
    from ringrift.loop.facts import ConfigFacts

log = get_logger(__name__)

START_LIMIT_S = 120.0
"""A cold start compiles the rules."""
GATHER_LIMIT_S = 120.0
"""The first look at a large store; later ones take milliseconds."""
ACT_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0
LOOK_S = 0.2


class KeeperGone(NotRunningError):
    """The keeper died; another one was started and nothing is lost: ask again."""


class KeeperFailed(RingriftError):
    """The keeper met a defect of its own; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAccess:
    """How a keeper reaches the hub: its address, the file of the node's key, the node's name."""

    url: str
    key: Path
    node: str
    prefix: str = "rr"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperOrder:
    """What a keeper is started with; without a `hub` it collects no games.

    `seed` is that of the plans of matches.
    """

    root: Path
    settings: Settings
    configs: tuple[str, ...]
    hub: HubAccess | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What the collector has done since its keeper started.

    `lag_s` is how long after the hub took it the last batch was committed; `suspects` are the nodes
    too many of whose games failed; `error` says why it does not collect now.
    """

    games: int = 0
    quarantined: int = 0
    duplicates: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    lag_s: float | None = None
    suspects: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The answer of a keeper: facts in the order of the configurations, and what it collected.

    `seconds` is what gathering took.
    """

    facts: tuple[ConfigFacts, ...]
    collected: Collected
    seconds: float


class Keeper:
    """Starts the keeper, asks it, and starts it again when it died; a context manager.

    One question at a time: threads that ask wait for each other.
    """

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        *,
        configs: tuple[str, ...] | None = None,
        hub: HubAccess | None = None,
        seed: int = 0,
    ) -> None:
        self._order = KeeperOrder(
            root=paths.root,
            settings=settings,
            configs=settings.configurations if configs is None else configs,
            hub=hub,
            seed=seed,
        )
        self._guard = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._ready = False

    def __enter__(self) -> Keeper:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The number of its process, None before `start`."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; it gets ready while the caller goes on."""
        with self._guard:
            if self._process is None:
                self._spawn()

    def gather(self, now: float) -> Gathered:
        """Return the facts of the moment `now`, Unix seconds.

        Raises `KeeperGone` where the keeper died, the domain's errors as they are.
        """
        found = self._ask("gather", now, limit_s=GATHER_LIMIT_S)
        assert isinstance(found, Gathered)
        return found

    def act(self, action: Action) -> Done:
        """Have an action carried out; what was carried out before changes nothing.

        Raises as `gather`, and `RefusedError` for a term that is over.
        """
        done: Done = self._ask("act", action, limit_s=ACT_LIMIT_S)
        return done

    def stop(self) -> None:
        """End the process; games that it has not committed stay in the hub."""
        with self._guard:
            process, pipe = self._process, self._pipe
            self._process = self._pipe = None
        if process is None or pipe is None:
            return
        with suppress(OSError):  # it is gone already
            pipe.send(("stop", None))
        process.join(STOP_LIMIT_S)
        if process.is_alive():
            process.kill()
            process.join()
        pipe.close()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_main, args=(theirs, self._order), name="keeper", daemon=True
        )
        with threads_of_children(1):
            process.start()
        theirs.close()
        self._process, self._pipe, self._ready = process, ours, False

    def _ask(self, what: str, value: Any, *, limit_s: float) -> Any:
        with self._guard:
            if self._process is None:
                raise NotRunningError("the keeper was not started")
            try:
                self._wait_until_ready()
                assert self._pipe is not None
                self._pipe.send((what, value))
                return self._answer(limit_s)
            except (EOFError, OSError, TimeoutError) as error:
                raise self._replaced(error) from None

    def _wait_until_ready(self) -> None:
        if not self._ready:
            self._answer(START_LIMIT_S)
            self._ready = True

    def _answer(self, limit_s: float) -> Any:
        assert self._pipe is not None
        assert self._process is not None
        waited_s = 0.0
        while not self._pipe.poll(LOOK_S):
            waited_s += LOOK_S
            if not self._process.is_alive() and not self._pipe.poll():
                raise EOFError
            if waited_s >= limit_s:
                raise TimeoutError(f"no answer in {limit_s:g} s")
        kind, value = self._pipe.recv()
        if kind == "error":
            raise value
        return value

    def _replaced(self, error: BaseException) -> KeeperGone:
        """Start another process in place of one that is gone or does not answer."""
        process, pipe = self._process, self._pipe
        assert process is not None
        assert pipe is not None
        pipe.close()
        process.join(0.0 if isinstance(error, TimeoutError) else STOP_LIMIT_S)
        if process.is_alive():
            process.kill()
            process.join()
        why = str(error) if isinstance(error, TimeoutError) else f"exit code {process.exitcode}"
        log.error("the keeper is started again", why=why)
        self._spawn()
        return KeeperGone(f"the keeper is gone ({why})", hint="asking again")


def _main(pipe: Connection, order: KeeperOrder) -> None:
    from ringrift.loop.keeper_process import serve

    serve(pipe, order)
