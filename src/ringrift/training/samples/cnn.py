"""Samples of the convolutional net in memory, encoded once, and the batches made of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ringrift.nets.encoder import ENCODER, GLOBALS, cell_places, grid
from ringrift.nets.encoders import encoder_named
from ringrift.rules import layout as lay
from ringrift.rules.geometry import geometry
from ringrift.rules.policy import PLACES, policy_layout
from ringrift.rules.position import board_view
from ringrift.training.samples import cnn_kernel as kernel
from ringrift.training.samples.faults import refused
from ringrift.training.samples.feed import CHUNK, Feed
from ringrift.training.samples.symmetry import symmetries

if TYPE_CHECKING:
    from ringrift.training.samples.table import SampleTable

_IDENTITY_ONLY = 1


class CnnBatch(NamedTuple):
    """`B` samples of `n` seats with at most `M` legal moves; r = seat relative to the mover.

    `planes`: `uint8[B, C, H, W]`, whole multiples of 1 / `encoders.STEPS`; `numbers`: `[B, 64]`.
    `first`: `int32[B, M]` into the net's policy table of a position, grid places by planes, then
    scalars; `second`: `int32[B, M]`, -1 where a move has one entry, or `[B, 0]` if all have.
    `legal_count`: `int32[B]`; `target`: `[B, M]`. `win`: `[B, n]`; `rank`: `[B, n, n]`;
    `owner`: `int8[B, H, W]`, -1 outside the board; `margins`: `[B, n, 3]`; weights: `[B]`.
    """

    planes: Tensor
    numbers: Tensor
    first: Tensor
    second: Tensor
    legal_count: Tensor
    target: Tensor
    win: Tensor
    rank: Tensor
    owner: Tensor
    margins: Tensor
    policy_weight: Tensor
    value_weight: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCnn:
    """`N` encoded samples with `T` legal moves together; `S` symmetries.

    `planes`: `uint8[N, H, W, C]`; `numbers`: `float32[N, 64]`. The moves of sample i are `index`
    (`int32[T]`) and `target` (`float32[T]`) from `offsets[i]` on; those of special samples
    (`cnn_kernel`) also `special_first`: `int32[S, T']` and `special_second`: `int32[T']` from
    `special_ptr[i]` on; `slides`: `bool[N]`. The rest is that of `table`.

    A sample takes C bytes per place of the grid, 256 for its numbers and 8 per legal move: about 3.4
    KB on square8, 2.7 KB of them planes, and 30 KB on hexagonal.
    """

    table: SampleTable
    planes: NDArray[np.uint8]
    numbers: NDArray[np.float32]
    offsets: NDArray[np.int64]
    index: NDArray[np.int32]
    target: NDArray[np.float32]
    special_ptr: NDArray[np.int64]
    special_first: NDArray[np.int32]
    special_second: NDArray[np.int32]
    slides: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.planes)

    def batch(self, chosen: NDArray[np.int64], maps: NDArray[np.int64]) -> CnnBatch:
        """Return the samples `chosen`, each under its symmetry of `maps`."""
        table, count = self.table, len(chosen)
        _, height, width, channels = self.planes.shape
        area, maps_of = height * width, symmetries(table.spec.board)
        planes = np.empty((count, area, channels), np.uint8)
        owner = np.empty((count, area), np.int8)
        kernel.fill_scenes(
            chosen,
            maps,
            maps_of.grid,
            self.planes.reshape(len(self), area, channels),
            table.owner,
            maps_of.cells,
            cell_places(table.spec.board),
            planes,
            owner,
        )
        scene = torch.from_numpy(planes).view(count, height, width, channels).permute(0, 3, 1, 2)
        return CnnBatch(
            scene,
            torch.from_numpy(self.numbers[chosen]),
            *self._moves(chosen, maps),
            win=torch.from_numpy(table.win[chosen]),
            rank=torch.from_numpy(table.rank[chosen]),
            owner=torch.from_numpy(owner).view(count, height, width),
            margins=torch.from_numpy(table.margins[chosen]),
            policy_weight=torch.from_numpy(table.policy_weight[chosen]),
            value_weight=torch.from_numpy(table.value_weight[chosen]),
        )

    def _moves(
        self, chosen: NDArray[np.int64], maps: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        board = self.table.spec.board
        most = int(self.table.legal_count[chosen].max())
        first = np.empty((len(chosen), most), np.int32)
        second = np.empty((len(chosen), most if self.slides[chosen].any() else 0), np.int32)
        shares = np.empty((len(chosen), most), np.float32)
        count = np.empty(len(chosen), np.int32)
        place_maps, plane_maps = table_maps(board)
        kernel.fill_moves(
            chosen,
            maps,
            plane_maps.shape[1],
            place_maps.shape[1],
            place_maps,
            plane_maps,
            self.offsets,
            self.index,
            self.target,
            self.special_ptr,
            self.special_first,
            self.special_second,
            first,
            second,
            shares,
            count,
        )
        a, b, c, d = (torch.from_numpy(array) for array in (first, second, count, shares))
        return a, b, c, d


@cache
def table_maps(board: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the image of each grid place, `int64[S, H * W]`, and policy plane, `int64[S, P]`.

    The planes are those of placements, moves and payments; others keep their number.
    """
    g, s = geometry(board), symmetries(board)
    place_maps = np.argsort(s.grid, axis=1)
    planes = np.tile(np.arange(len(policy_layout(board).planes)), (len(s), 1))
    steps = np.arange(g.size - 1)
    for k in range(len(s)):
        for direction, image in enumerate(s.directions[k].tolist()):
            planes[k, PLACES + direction * len(steps) + steps] = PLACES + image * len(steps) + steps
    return place_maps, planes


def sample_bytes(table: SampleTable, encoder: str) -> int:
    """Return the memory that a prepared table takes, without that of the table."""
    height, width = grid(table.spec.board)
    each = height * width * len(encoder_named(encoder).planes) + 4 * GLOBALS
    return len(table) * each + 8 * int(table.legal_count.sum())


def prepare(table: SampleTable, encoder: str, *, workers: int = 1) -> PreparedCnn:
    """Encode all samples of a table in `workers` threads.

    Raises `RefusedError` naming dataset, game and ply of a sample that does not fit today's rules.
    """
    spec, count = table.spec, len(table)
    height, width = grid(spec.board)
    board_symmetries = symmetries(spec.board)
    special = np.isin(table.phase, (lay.LINES, lay.TERRITORY)) | (table.sym_mask == _IDENTITY_ONLY)
    offsets, special_ptr = _pointer(table.legal_count), _pointer(table.legal_count * special)
    made = PreparedCnn(
        table=table,
        planes=np.empty((count, height, width, len(encoder_named(encoder).planes)), np.uint8),
        numbers=np.empty((count, GLOBALS), np.float32),
        offsets=offsets,
        index=np.empty(offsets[-1], np.int32),
        target=np.empty(offsets[-1], np.float32),
        special_ptr=special_ptr,
        special_first=np.empty((len(board_symmetries), special_ptr[-1]), np.int32),
        special_second=np.empty(special_ptr[-1], np.int32),
        slides=np.zeros(count, np.bool_),
    )
    bounds = list(pairwise([*range(0, count, CHUNK), count]))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for answer in pool.map(lambda bound: _encode(made, encoder, *bound), bounds):
            if answer[0] >= 0:
                raise refused(table, *answer)
    return made


def _encode(made: PreparedCnn, encoder: str, start: int, stop: int) -> tuple[int, int]:
    """Encode some samples; return the first faulty one, -1 for none, and its fault."""
    table = made.table
    spec, maps = table.spec, symmetries(table.spec.board)
    answer = np.zeros(2, np.int64)
    kernel.encode_samples(
        start,
        stop,
        table.states,
        table.legal_count,
        table.sym_mask,
        table.policy_ptr,
        table.policy_moves,
        table.policy_probs,
        lay.view(lay.zeros(1, lay.STATE)),
        board_view(spec),
        lay.view(lay.zeros(1, lay.SCRATCH)),
        np.zeros(spec.max_moves, np.int64),
        np.zeros(made.planes.shape[1:], np.float32),
        encoder != ENCODER.id,
        cell_places(spec.board),
        len(policy_layout(spec.board).planes),
        maps.cells,
        maps.axes,
        maps.reversed,
        made.offsets,
        made.special_ptr,
        made.planes,
        made.numbers,
        made.index,
        made.target,
        made.special_first,
        made.special_second,
        made.slides,
        answer,
    )
    return int(answer[0]), int(answer[1])


def _pointer(counts: NDArray[Any]) -> NDArray[np.int64]:
    pointer = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=pointer[1:])
    return pointer


class CnnFeed(Feed[CnnBatch]):
    """Makes batches for a convolutional net, encoded by `workers` threads."""

    def __init__(
        self,
        table: SampleTable,
        encoder: str,
        *,
        mirrored: bool,
        workers: int = 1,
        streamed: bool = False,
    ) -> None:
        super().__init__(
            table,
            partial(prepare, encoder=encoder, workers=workers),
            mirrored=mirrored,
            streamed=streamed,
            at_once=workers * CHUNK,
        )
