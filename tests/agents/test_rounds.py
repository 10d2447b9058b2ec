"""A search whose rounds are compiled decides as one that goes through Python for each of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.protocol import Budget, Rngs
from ringrift.agents.search import lockstep
from ringrift.agents.search.arrays import Forest
from ringrift.nets.loading import open_model
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec

from .games import batch_of, choices


@pytest.mark.parametrize("text", ["gumbel@net:sims=48,m=8", "mcts@net:sims=48"])
@pytest.mark.parametrize("cramped", [False, True])
@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3)])
def test_compiled_rounds_change_no_decision(
    text: str,
    cramped: bool,
    board: Any,
    players: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cramped search runs out of room for nodes, forced plies and edges again and again."""
    spec = BoardSpec.create(board, players)
    path = init_nnue(spec, folder=tmp_path, seed=1, hidden=64, policy=True)
    batch = batch_of(choices(spec, 5))
    calls: list[bool] = []
    inner = lockstep.rounds

    def counted(*given: Any) -> int:
        calls.append(True)
        return int(inner(*given))

    monkeypatch.setattr(lockstep, "rounds", counted)
    compiled: Any = make_agent(text, spec, lambda _: open_model(path, spec))
    if cramped:
        compiled._search.forest = Forest(5, 1)
        compiled._search.forest.sims = 48
    ours = compiled.choose(batch, Budget(), Rngs())
    assert len(calls) > (4 if cramped else 0)
    calls.clear()
    plain: Any = make_agent(text, spec, lambda _: open_model(path, spec))
    plain._search._net = None
    theirs = plain.choose(batch, Budget(), Rngs())
    assert not calls
    assert [replace(d, time_ms=0.0) for d in ours] == [replace(d, time_ms=0.0) for d in theirs]
