"""Batched inference on a CPU: positions and their legal moves in, logits and values out.

Positions are encoded, and logits gathered from the policy table, in compiled code; between the two
lies one forward pass per `chunk` positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ringrift.core.errors import UsageError
from ringrift.nets.encoder import GLOBALS, PLANES, cell_places, encode_batch, grid
from ringrift.nets.gather import gather_logits, turn_values
from ringrift.nets.network import Net, seat_values
from ringrift.rules import layout as lay
from ringrift.rules.jitconf import COMPILED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.rules.spec import BoardSpec

CHUNK = 64
"""Positions per forward pass: the activations of a 4x32 net then stay in the L2 cache."""

LEAST_ROWS = 8
"""Fewest rows of a forward pass, the rest being padding. With one to three rows the matrix library
takes other kernels, whose sums differ in the last bit; from four on each row's result is the same in
whatever batch it stands (tested), so the size of a batch never changes a decision."""


class NetEvaluator:
    """Evaluates batches of positions with one net, for one specification.

    The same instance may be used by one thread at a time; it owns the input buffers. Torch uses as
    many threads as `torch.set_num_threads` says; self-play workers set one.
    """

    def __init__(self, net: Net, spec: BoardSpec, *, chunk: int = CHUNK) -> None:
        shape = net.architecture
        if (shape.board, shape.players) != (spec.board, spec.players):
            raise UsageError(
                f"a net of {shape.board}_{shape.players}p cannot evaluate {spec.config}"
            )
        self.net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.players = spec.players
        self.chunk = max(chunk, LEAST_ROWS)
        self._places = cell_places(spec.board)
        height, width = grid(spec.board)
        self._planes = np.zeros((self.chunk, height, width, PLANES), np.float32)
        self._numbers = np.zeros((self.chunk, GLOBALS), np.float32)
        self._torch_planes = torch.from_numpy(self._planes).permute(0, 3, 1, 2)
        self._torch_numbers = torch.from_numpy(self._numbers)

    def evaluate(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits of all moves, `float32[total]`, and values per seat, `float32[n, players]`.

        `states`: `STATE[n]`, none finished; `boards`: `BOARD[1]`; the legal moves of position `i`
        are `moves[offsets[i]:offsets[i + 1]]` (`int64[total]`, `int32[n + 1]`). Values lie in
        [-1, 1] and sum to 0; logits are over the given moves, not normalised.
        """
        n = len(states)
        logits = np.empty(len(moves), np.float32)
        values = np.empty((n, self.players), np.float32)
        with torch.inference_mode():
            for first in range(0, n, self.chunk):
                self._evaluate_chunk(
                    states,
                    boards,
                    moves,
                    offsets,
                    first,
                    min(self.chunk, n - first),
                    logits,
                    values,
                )
        return logits, values

    def _evaluate_chunk(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
        first: int,
        size: int,
        logits: NDArray[np.float32],
        values: NDArray[np.float32],
    ) -> None:
        view, board_view = states, boards
        if not COMPILED:
            view, board_view = lay.view(states), lay.view(boards)
        encode_batch(view[first : first + size], board_view, self._planes, self._numbers)
        rows = max(size, LEAST_ROWS)
        outputs = self.net(self._torch_planes[:rows], self._torch_numbers[:rows])
        planes = outputs.planes.permute(0, 2, 3, 1).contiguous().flatten(1, 2).numpy()[:size]
        scalars = outputs.scalars.numpy()[:size]
        relative = seat_values(outputs).numpy()[:size]
        gather_logits(
            view, first, board_view, moves, offsets, self._places, planes, scalars, logits
        )
        turn_values(view, first, board_view, relative, values)
