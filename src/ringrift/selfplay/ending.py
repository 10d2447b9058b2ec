"""The record of a game that ended, by the rules or otherwise."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.versions import installed
from ringrift.records.record import CHECK_EVERY, GameMeta
from ringrift.records.verify import build_record, record_at
from ringrift.rules import Position, trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ringrift.records.record import AgentRef, GameRecord
    from ringrift.selfplay.plans import GamePlan, PlayJob

MOST_FAULT = 200
LATE = "late:"


@dataclass(frozen=True, slots=True)
class Reached:
    """What a table knows at a game's end: `states`: STATE[1], `checks`: int64[k] state hashes."""

    states: NDArray[Any]
    checks: NDArray[np.int64]


def record_game(
    job: PlayJob,
    plan: GamePlan,
    agents: Sequence[AgentRef],
    moves: Sequence[int],
    reached: Reached,
    *,
    marks: Mapping[int, str],
    tags: Sequence[str],
    started: float,
    fault: str | None = None,
    resigned: int | None = None,
    cut: bool = False,
) -> GameRecord:
    """Make the record of a game played from `plan` by `agents`, one per seat at the start.

    `fault` says why it was aborted, `resigned` which seat resigned, `cut` that its ply limit was set
    to where it is; else the rules or the ply limit ended it. `started` is Unix seconds. Moves are
    replayed where the position `reached` is in doubt (a fault), where the text of `plan.start` is to
    be checked, and for the trace of the rules.
    """
    meta = GameMeta(
        purpose=job.purpose,
        run=job.run,
        index=plan.index,
        host=socket.gethostname(),
        version=installed("ringrift"),
        device=job.device,
        started=round(started, 3),
        ms=round((time.time() - started) * 1000),
        tags=(*job.tags, *plan.tags, *tags),
    )
    max_plies = len(moves) if cut else job.max_plies
    if fault is None and plan.start is None and not trace.ENABLED:
        position = Position(job.spec, reached.states)
        return record_at(
            job.spec,
            plan.seed,
            agents,
            moves,
            position,
            _check_hashes(position, reached.checks, len(moves)),
            end=None if resigned is None else "resigned",
            resigned=resigned,
            marks=marks,
            max_plies=max_plies,
            meta=meta,
        )
    end = "aborted" if fault is not None else "resigned" if resigned is not None else None
    return build_record(
        job.spec,
        plan.seed,
        agents,
        moves,
        end=end,
        reason=None if fault is None else fault[:MOST_FAULT],
        resigned=resigned,
        start=plan.start,
        marks=marks,
        max_plies=max_plies,
        meta=meta,
    )


def late_tag(seat: int) -> str:
    """Return the tag of a game that a seat lost by time."""
    return f"{LATE}{seat}"


def late_seat(tags: Iterable[str]) -> int | None:
    """Return the seat that lost a game by time, from the game's tags."""
    return next((int(tag.removeprefix(LATE)) for tag in tags if tag.startswith(LATE)), None)


def _check_hashes(position: Position, checks: NDArray[np.int64], plies: int) -> list[int]:
    """Return the hashes after every 16th ply and the last, unsigned."""
    whole: list[int] = checks[: plies // CHECK_EVERY].view(np.uint64).tolist()
    return whole if plies % CHECK_EVERY == 0 else [*whole, position.hash64]
