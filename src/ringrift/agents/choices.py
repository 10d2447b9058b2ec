"""The positions of a batch that leave a choice; the others are answered without a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.listing import legal_lists, refuse_swap
from ringrift.agents.protocol import Batch, Decision
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The `n` positions with more than one legal move, in the order of their batch.

    `index`: int64[n] places in the batch, `states`: `STATE[n]`, `seeds`: int64[n], `moves`:
    int64[t] with `offsets`: int32[n + 1]. `forced` holds the one move of every other place.
    """

    index: NDArray[np.int64]
    states: NDArray[Any]
    seeds: NDArray[np.int64]
    moves: NDArray[np.int64]
    offsets: NDArray[np.int32]
    forced: dict[int, int]

    def __len__(self) -> int:
        return len(self.index)

    def merge(self, decisions: list[Decision]) -> list[Decision]:
        """Put the `n` decisions and the forced plies back in the order of the batch."""
        answers = {i: Decision(move=move, kind="forced") for i, move in self.forced.items()}
        answers.update(zip(self.index.tolist(), decisions, strict=True))
        return [answers[i] for i in range(len(answers))]


def choices_of(agent: ResolvedSpec, board: BoardSpec, positions: Batch) -> Choices:
    """Split a batch for an agent that plays `board`.

    Raises `UsageError` for a batch of another configuration and for a position without a move.
    """
    if positions.spec != board:
        raise UsageError(f"{agent.text} plays {board.config}, not {positions.spec.config}")
    refuse_swap(positions.spec, positions.states)
    moves, offsets = legal_lists(positions.spec, positions.states)
    counts = np.diff(offsets)
    index = np.flatnonzero(counts > 1)
    return Choices(
        index=index,
        states=positions.states[index],
        seeds=positions.seed_array()[index],
        moves=moves[np.repeat(counts > 1, counts)],
        offsets=np.concatenate(([0], np.cumsum(counts[index]))).astype(np.int32),
        forced={i: int(moves[offsets[i]]) for i in np.flatnonzero(counts == 1).tolist()},
    )
