"""Batched inference: positions and their legal moves in, logits and values out.

Positions are encoded, and logits gathered from the policy table, in compiled code on the CPU;
between the two lies one forward pass per `chunk` positions, on the device of the evaluator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ringrift.core.errors import UsageError
from ringrift.nets.calibration import UNCALIBRATED, Temperatures, temperature_rows
from ringrift.nets.encoder import ENCODER, GLOBALS, cell_places, encode_batch, grid
from ringrift.nets.encoders import encoder_named
from ringrift.nets.gather import gather_logits, turn_values
from ringrift.nets.network import Net, Outputs, seat_values
from ringrift.nets.planes1 import encode_known_batch
from ringrift.nets.prediction import Prediction
from ringrift.rules import layout as lay
from ringrift.rules.jitconf import COMPILED

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ringrift.rules.spec import BoardSpec

CHUNK = 64
"""Positions per forward pass: the activations of a 4x32 net then stay in the L2 cache."""

LEAST_ROWS = 8
"""Fewest rows of a forward pass, the rest being padding. With one to three rows the matrix library
takes other kernels, whose sums differ in the last bit; from four on each row's result is the same in
whatever batch it stands (tested), so the size of a batch never changes a decision."""

DEVICE_CHUNK = 512
"""Positions per forward pass on a GPU, always as many: its library chooses kernels by the shape."""


class Positions(NamedTuple):
    """What an evaluator is asked: see `NetEvaluator.evaluate`."""

    states: Any
    boards: Any
    moves: NDArray[np.int64]
    offsets: NDArray[np.int32]


class NetEvaluator:
    """Evaluates batches of positions with one net, for one specification.

    The same instance may be used by one thread at a time; it owns the input buffers. Torch uses as
    many threads as `torch.set_num_threads` says; self-play workers set one. On CUDA the net runs in
    bfloat16 where that is precise enough, the buffers are pinned, and each forward pass has `chunk`
    rows, so that there too no result depends on the size of a batch. `chunk` is 64 on the CPU and
    512 elsewhere unless given.
    """

    def __init__(
        self,
        net: Net,
        spec: BoardSpec,
        *,
        chunk: int | None = None,
        device: str | torch.device = "cpu",
        temperatures: Temperatures = UNCALIBRATED,
    ) -> None:
        shape = net.architecture
        if (shape.board, shape.players) != (spec.board, spec.players):
            raise UsageError(
                f"a net of {shape.board}_{shape.players}p cannot evaluate {spec.config}"
            )
        self.device = torch.device(device)
        self.net = net.eval().to(  # type: ignore[call-overload]
            device=self.device, memory_format=torch.channels_last
        )
        self.players = spec.players
        on_cpu = self.device.type == "cpu"
        self.chunk = max(chunk or (CHUNK if on_cpu else DEVICE_CHUNK), LEAST_ROWS)
        self._least_rows = LEAST_ROWS if on_cpu else self.chunk
        self._temperatures = temperatures
        self._basic = shape.encoder == ENCODER.id
        self._places = cell_places(spec.board)
        self._scratch = lay.view(lay.zeros(1, lay.SCRATCH))
        self._buffer = np.zeros(spec.max_moves, np.int64)
        height, width = grid(spec.board)
        planes = len(encoder_named(shape.encoder).planes)
        self._torch_planes = self._inputs(self.chunk, height, width, planes)
        self._torch_numbers = self._inputs(self.chunk, GLOBALS)
        self._planes = self._torch_planes.numpy()
        self._numbers = self._torch_numbers.numpy()

    def _inputs(self, *shape: int) -> Tensor:
        return torch.zeros(shape, pin_memory=self.device.type == "cuda")

    def evaluate(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits of all moves, `float32[total]`, and values per seat, `float32[n, players]`.

        `states`: `STATE[n]`, none finished; `boards`: `BOARD[1]`; `moves[offsets[i]:offsets[i + 1]]`
        (`int64[total]`, `int32[n + 1]`) are the legal moves of position `i`, which the encoder
        `planes1` shows to the net: all of them, or none where only the value is asked for. Values
        lie in [-1, 1] and sum to 0; logits are over the given moves, not normalised.
        """
        asked = _viewed(states, boards, moves, offsets)
        logits = np.empty(len(moves), np.float32)
        values = np.empty((len(states), self.players), np.float32)
        with torch.inference_mode():
            for first in range(0, len(states), self.chunk):
                size = min(self.chunk, len(states) - first)
                self._evaluate_chunk(asked, first, size, logits, values)
        return logits, values

    def predict(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> Prediction:
        """Return all that the net says of positions; arguments are those of `evaluate`."""
        asked = _viewed(states, boards, moves, offsets)
        n, players = len(states), self.players
        logits, values = np.empty(len(moves), np.float32), np.empty((n, players), np.float32)
        win = np.empty((n, players))
        rank = None if self.net.rank is None else np.empty((n, players, players))
        with torch.inference_mode():
            for first in range(0, n, self.chunk):
                size = min(self.chunk, n - first)
                outputs = self._evaluate_chunk(asked, first, size, logits, values)
                for into, said in ((win, outputs.win), (rank, outputs.rank)):
                    if into is not None and said is not None:
                        logs = _logs(said, size)
                        turn_values(asked.states, first, asked.boards, logs, into)
        return Prediction(logits=logits, values=values, win=win, rank=rank)

    def _evaluate_chunk(
        self,
        asked: Positions,
        first: int,
        size: int,
        logits: NDArray[np.float32],
        values: NDArray[np.float32],
    ) -> Outputs:
        """Fill logits and values of positions `first` to `first + size`; return the outputs."""
        self._encode(asked, first, size)
        outputs = self._forward(max(size, self._least_rows))
        if self._temperatures != UNCALIBRATED:
            outputs = self._cooled(outputs, asked, first, size)
        planes = outputs.planes.permute(0, 2, 3, 1).contiguous().flatten(1, 2).cpu().numpy()[:size]
        scalars = outputs.scalars.cpu().numpy()[:size]
        utility = self.net.architecture.value_utility
        relative = seat_values(outputs, utility).cpu().numpy()[:size]
        gather_logits(
            asked.states,
            first,
            asked.boards,
            asked.moves,
            asked.offsets,
            self._places,
            planes,
            scalars,
            logits,
        )
        turn_values(asked.states, first, asked.boards, relative, values)
        return outputs

    def _encode(self, asked: Positions, first: int, size: int) -> None:
        states, boards, moves, offsets = asked
        if self._basic:
            here = states[first : first + size]
            encode_batch(here, boards, self._planes, self._numbers)
            return
        encode_known_batch(
            states,
            first,
            size,
            boards,
            self._scratch,
            self._buffer,
            moves,
            offsets,
            self._planes,
            self._numbers,
        )

    def _forward(self, rows: int) -> Outputs:
        planes = self._torch_planes[:rows].permute(0, 3, 1, 2)
        numbers = self._torch_numbers[:rows]
        planes, numbers = (t.to(self.device, non_blocking=True) for t in (planes, numbers))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            outputs = self.net(planes, numbers)
        return Outputs._make(None if t is None else t.float() for t in outputs)

    def _cooled(self, outputs: Outputs, asked: Positions, first: int, size: int) -> Outputs:
        """Divide the logits of values by the temperature of each position."""
        here = asked.states[first : first + size]
        rows = torch.ones(len(outputs.win))
        rows[:size] = torch.from_numpy(temperature_rows(here, asked.boards, self._temperatures))
        rows = rows.to(outputs.win.device)
        rank = None if outputs.rank is None else outputs.rank / rows[:, None, None]
        return outputs._replace(win=outputs.win / rows[:, None], rank=rank)


def _viewed(
    states: NDArray[Any],
    boards: NDArray[Any],
    moves: NDArray[np.int64],
    offsets: NDArray[np.int32],
) -> Positions:
    if COMPILED:
        return Positions(states, boards, moves, offsets)
    return Positions(lay.view(states), lay.view(boards), moves, offsets)


def _logs(logits: Tensor, size: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = torch.log_softmax(logits[:size].double(), -1).cpu().numpy()
    return found
