"""Small jobs for the tests of self-play."""

from __future__ import annotations

from typing import Any

from ringrift.rules import BoardSpec
from ringrift.selfplay.plans import PlayJob

SQUARE8 = BoardSpec.create("square8")
SEARCH = "gumbel:eval=heuristic,m=4,sims=8"


def job(*agents: str, spec: BoardSpec = SQUARE8, **fields: Any) -> PlayJob:
    return PlayJob(
        **{"spec": spec, "agents": agents or (SEARCH,), "max_plies": 500, "run": "test", **fields}
    )
