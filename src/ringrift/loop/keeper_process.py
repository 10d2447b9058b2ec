"""The keeper's process: a thread brings games from the hub into the store, another answers control.

Each has a connection of its own: SQLite lets readers go on while the one writer commits.
"""

from __future__ import annotations

import signal
import time
import traceback
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import RingriftError
from ringrift.core.paths import Paths
from ringrift.core.processes import end_with_parent
from ringrift.loop.collecting import Collecting
from ringrift.loop.deciding import carry_out
from ringrift.loop.gathering import Gatherer
from ringrift.loop.keeper import Gathered, KeeperFailed

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from ringrift.loop.actions import Action, Done
    from ringrift.loop.keeper import KeeperOrder

STORE_WAIT_S = 60.0


def serve(pipe: Connection, order: KeeperOrder) -> None:
    """Answer questions until told to stop or the parent is gone."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    paths = Paths(order.root)
    try:
        with Collecting(paths, order.hub) as collecting:
            collecting.wait_for_store(STORE_WAIT_S)
            with Gatherer(paths, order.settings, order.configs, seed=order.seed) as gatherer:
                pipe.send(("ready", None))
                _answer(pipe, order, paths, collecting, gatherer)
    except (EOFError, BrokenPipeError):
        pass  # the parent has gone
    except Exception as error:  # noqa: BLE001 - the border of the process
        pipe.send(("error", _portable(error)))


def _answer(
    pipe: Connection, order: KeeperOrder, paths: Paths, collecting: Collecting, gatherer: Gatherer
) -> None:
    while True:
        what, value = pipe.recv()
        if what == "stop":
            return
        try:
            answer: Any = (
                _gathered(gatherer, collecting, value)
                if what == "gather"
                else _acted(gatherer, order, paths, value)
            )
        except Exception as error:  # noqa: BLE001 - the border of the process
            pipe.send(("error", _portable(error)))
        else:
            pipe.send(("answer", answer))


def _gathered(gatherer: Gatherer, collecting: Collecting, now: float) -> Gathered:
    began_s = time.perf_counter()
    facts = gatherer.gather(now)
    return Gathered(
        facts=facts, collected=collecting.collected, seconds=time.perf_counter() - began_s
    )


def _acted(gatherer: Gatherer, order: KeeperOrder, paths: Paths, action: Action) -> Done:
    return carry_out(action, paths, gatherer.store, order.settings, matches=gatherer.matches_of)


def _portable(error: BaseException) -> RingriftError:
    """Return an error that survives pickling with its exit code, whatever its constructor takes."""
    if not isinstance(error, RingriftError):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return KeeperFailed(f"{error!r} in the keeper", where=f"{last.filename}:{last.lineno}")
    plain = RingriftError(error.message, where=error.where, hint=error.hint)
    for kind in type(error).__mro__:
        if kind.__module__ == RingriftError.__module__:
            plain = kind(error.message, where=error.where, hint=error.hint)
            break
    plain.exit_code = error.exit_code
    return plain
