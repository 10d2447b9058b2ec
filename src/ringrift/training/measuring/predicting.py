"""What a net says of a table of positions, seats relative to the mover as the targets have them."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.data.walk import named_hashes
from ringrift.nets.prediction import Prediction
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.position import WORKSPACE, board_view
from ringrift.training.measuring.kernel import decode, score_policy
from ringrift.training.samples.table import SampleTable

CHUNK = 256
"""Positions decoded at once."""


class Predictor(Protocol):
    """An evaluator that says all it knows: those of nets."""

    def predict(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> Prediction:
        """Return what the net says of positions and their legal moves."""
        ...


class Predicted(NamedTuple):
    """Of `N` positions and `P` seats; r = seat relative to the mover.

    `policy`, `entropy`: cross-entropy against the policy target and its entropy, nats; `top1`:
    whether the first choice is one of the target's best. `values`: value of r; `win`, `rank`:
    logarithms of the probabilities that r wins, has each rank. `thirds`: of the game, 0 to 2.
    `hashes`: those of `data.walk.state_hashes`.
    """

    policy: NDArray[np.float64]  # [N]
    entropy: NDArray[np.float64]  # [N]
    top1: NDArray[np.bool_]  # [N]
    values: NDArray[np.float64]  # [N, P]
    win: NDArray[np.float64]  # [N, P]
    rank: NDArray[np.float64] | None  # [N, P, P]
    thirds: NDArray[np.int8]  # [N]
    hashes: NDArray[np.uint64]  # [N]


def predict(net: Predictor, table: SampleTable) -> Predicted:
    """Lay all positions of a table before a net.

    Raises `DataError` for a position that is none, or whose target names a move that is not legal.
    """
    parts = [
        _predict(net, table, first, min(first + CHUNK, len(table)))
        for first in range(0, len(table), CHUNK)
    ]
    return joined(parts, table.spec.players)


def joined(parts: list[Predicted], players: int) -> Predicted:
    """Return several as one, without any an empty one."""
    if not parts:
        none = np.zeros(0)
        return Predicted(
            policy=none,
            entropy=none,
            top1=np.zeros(0, np.bool_),
            values=np.zeros((0, players)),
            win=np.zeros((0, players)),
            rank=None,
            thirds=np.zeros(0, np.int8),
            hashes=np.zeros(0, np.uint64),
        )
    fields = dict(zip(Predicted._fields, zip(*parts, strict=True), strict=True))
    known: dict[str, Any] = {
        n: None if some[0] is None else np.concatenate(some) for n, some in fields.items()
    }
    return Predicted(**known)


def _predict(net: Predictor, table: SampleTable, first: int, stop: int) -> Predicted:
    spec, n = table.spec, stop - first
    offsets = np.zeros(n + 1, np.int32)
    np.cumsum(table.legal_count[first:stop], out=offsets[1:])
    states = lay.zeros(n, lay.STATE)
    moves = np.zeros(offsets[-1], np.int64)
    target = np.zeros(offsets[-1])
    out = np.zeros((2, n), np.int64)
    bad = decode(
        table.states[first:stop],
        lay.view(states),
        board_view(spec),
        WORKSPACE.scratch,
        WORKSPACE.buffer(spec.max_moves),
        offsets,
        table.policy_moves,
        table.policy_probs,
        table.policy_ptr[first : stop + 1],
        moves,
        target,
        out,
    )
    if bad >= 0:
        game = table.games[int(table.game[first + bad])]
        raise DataError(
            "the packed position or its target is damaged",
            where=f"game {game} ply {table.ply[first + bad]}",
            hint="ringrift data export --force-export",
        )
    found = net.predict(states, board_tables(spec), moves, offsets)
    scores = np.zeros((3, n))
    score_policy(found.logits.astype(np.float64), target, offsets, scores)
    movers = table.mover[first:stop].astype(np.int64)
    seats = (movers[:, None] - 1 + np.arange(spec.players)) % spec.players
    rank = found.rank
    return Predicted(
        policy=scores[0],
        entropy=scores[1],
        top1=scores[2] > 0,
        values=np.take_along_axis(found.values.astype(np.float64), seats, 1),
        win=np.take_along_axis(found.win, seats, 1),
        rank=None if rank is None else np.take_along_axis(rank, seats[:, :, None], 1),
        thirds=out[1].astype(np.int8),
        hashes=named_hashes(out[0], spec),
    )
