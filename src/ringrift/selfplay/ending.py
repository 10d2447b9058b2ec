"""The record of a game that ended, by the rules or otherwise."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from ringrift.core.versions import installed
from ringrift.records.record import GameMeta
from ringrift.records.verify import build_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringrift.records.record import AgentRef, GameRecord
    from ringrift.selfplay.plans import GamePlan, PlayJob

MOST_FAULT = 200


def record_game(
    job: PlayJob,
    plan: GamePlan,
    agents: Sequence[AgentRef],
    moves: Sequence[int],
    *,
    marks: Mapping[int, str],
    tags: Sequence[str],
    started: float,
    fault: str | None = None,
    resigned: int | None = None,
) -> GameRecord:
    """Make the record of a game played from `plan` by `agents`, one per seat at the start.

    `fault` says why it was aborted, `resigned` which seat resigned; else the rules or the ply limit
    ended it. `started` is Unix seconds.
    """
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
        max_plies=job.max_plies,
        meta=GameMeta(
            purpose=job.purpose,
            run=job.run,
            index=plan.index,
            host=socket.gethostname(),
            version=installed("ringrift"),
            device="cpu",
            started=round(started, 3),
            ms=round((time.time() - started) * 1000),
            tags=(*job.tags, *plan.tags, *tags),
        ),
    )
