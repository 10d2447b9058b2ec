"""Positions of random games as records: many, quickly, and the same in every process."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.listing import scratch
from ringrift.agents.protocol import Batch, Budget, Rngs, finished
from ringrift.agents.random_agent import RandomAgent
from ringrift.agents.spec import parse_spec, resolve
from ringrift.rules import BoardSpec, engine
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables


def sampled_states(spec: BoardSpec, count: int, seed: int = 0) -> NDArray[Any]:
    """Return `STATE[count]`, drawn from whole random games, their ends included."""
    boards, agent = board_tables(spec), RandomAgent(resolve(parse_spec("random")))
    games = max(2, count // (80 if spec.cells < 100 else 320))
    states = lay.zeros(games, lay.STATE)
    for i in range(games):
        engine.start(lay.view(states), i, boards)
    seen, live = [states.copy()], np.arange(games)
    while live.size:
        batch = Batch(spec, states[live], [seed * 10_000 + i for i in live.tolist()])
        for i, decision in zip(live.tolist(), agent.choose(batch, Budget(), Rngs()), strict=True):
            engine.play(lay.view(states), i, boards, scratch(), decision.move)
        seen.append(states[live].copy())
        live = np.flatnonzero(~finished(states))
    every = np.concatenate([states[:1], *seen])  # the first game's end is always among them
    kept = 1 + np.random.default_rng(seed).permutation(len(every) - 1)[: count - 1]
    assert len(kept) == count - 1
    return every[np.sort(np.append(kept, 0))]
