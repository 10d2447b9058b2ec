"""Samples of a NNUE in memory, prepared once, and the batches made of them (training.md 4).

A sample keeps the inputs of its mover's seat, two bytes each: those of other seats and of mirrored
positions follow by table. With a policy it keeps its legal moves: nine bytes and two for each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ringrift.nets.nnue.features import CELL_FEATURES, most_active, turn_table
from ringrift.nets.nnue.rows import MOST_ROWS, ROW_KINDS, policy_rows
from ringrift.rules import layout as lay
from ringrift.rules.geometry import geometry
from ringrift.rules.policy import SCALARS
from ringrift.rules.position import board_view
from ringrift.training.samples import nnue_kernel as kernel
from ringrift.training.samples.faults import BAD_POSITION, refused
from ringrift.training.samples.feed import CHUNK, Feed
from ringrift.training.samples.symmetry import symmetries

if TYPE_CHECKING:
    from ringrift.training.samples.table import SampleTable

_turns = cache(turn_table)


class NnueBatch(NamedTuple):
    """`B` samples of `n` seats, r = seat relative to the mover; with a policy `M` places for moves.

    `inputs`: `int32`, the active inputs of each sample and seat from `input_ptr[n i + r]` on;
    `input_ptr`: `int32[B * n + 1]`. `win`: `[B, n]`; weights: `[B]`. `entries`, `entry_ptr`
    (`int32[B * M + 1]`): likewise the rows of each move, as places of `[B, R]` for R policy rows;
    `target`: `[B, M]`; `legal`: `bool[B, M]`; `M` is 0 without a policy.
    """

    inputs: Tensor
    input_ptr: Tensor
    win: Tensor
    value_weight: Tensor
    entries: Tensor
    entry_ptr: Tensor
    target: Tensor
    legal: Tensor
    policy_weight: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Legal moves of samples; none where the policy has no weight.

    `pointer`: `int64[N + 1]`; per move `target`: `float32`, `count`: `uint8`, `form`: `int32`
    (`nnue_kernel`). `rows`: `uint16` from `row_ptr[i]` on; `extremes`: `uint16[regions, S, 2]`.
    """

    pointer: NDArray[np.int64]
    target: NDArray[np.float32]
    count: NDArray[np.uint8]
    form: NDArray[np.int32]
    rows: NDArray[np.uint16]
    row_ptr: NDArray[np.int64]
    extremes: NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class NnueSamples:
    """The samples of `table`; `inputs`: `uint16`, those of sample i from `pointer[i]` on.

    `choices` with a policy. Beside its table a sample takes about 110 bytes on square8 and 470 on
    hexagonal, with a policy 830 and 4,600.
    """

    table: SampleTable
    inputs: NDArray[np.uint16]
    pointer: NDArray[np.int64]
    choices: Choices | None

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size_bytes(self) -> int:
        """Memory that the samples take beside their table."""
        found: list[NDArray[Any]] = [self.inputs, self.pointer]
        if self.choices is not None:
            c = self.choices
            found += [c.pointer, c.target, c.count, c.form, c.rows, c.row_ptr, c.extremes]
        return sum(array.nbytes for array in found)

    def batch(self, chosen: NDArray[np.int64], maps: NDArray[np.int64]) -> NnueBatch:
        """Return the samples `chosen`, each under its symmetry of `maps`."""
        table = self.table
        spec, count = table.spec, len(chosen)
        inputs = np.empty(
            spec.players * int((self.pointer[chosen + 1] - self.pointer[chosen]).sum()), np.int32
        )
        input_ptr = np.empty(spec.players * count + 1, np.int32)
        kernel.fill_inputs(
            chosen,
            maps,
            spec.players,
            self.inputs,
            self.pointer,
            _turns(spec.players),
            symmetries(spec.board).cells,
            CELL_FEATURES * spec.cells,
            inputs,
            input_ptr,
        )
        entries, entry_ptr, target, legal = self._moves(chosen, maps)
        return NnueBatch(
            inputs=torch.from_numpy(inputs),
            input_ptr=torch.from_numpy(input_ptr),
            win=torch.from_numpy(table.win[chosen]),
            value_weight=torch.from_numpy(table.value_weight[chosen]),
            entries=torch.from_numpy(entries),
            entry_ptr=torch.from_numpy(entry_ptr),
            target=torch.from_numpy(target),
            legal=torch.from_numpy(legal),
            policy_weight=torch.from_numpy(table.policy_weight[chosen]),
        )

    def _moves(
        self, chosen: NDArray[np.int64], maps: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
        c, board = self.choices, self.table.spec.board
        most = 0 if c is None else max(1, int((c.pointer[chosen + 1] - c.pointer[chosen]).max()))
        entry_ptr = np.zeros(len(chosen) * most + 1, np.int32)
        target = np.empty((len(chosen), most), np.float32)
        legal = np.empty((len(chosen), most), np.bool_)
        if c is None:
            return np.empty(0, np.int32), entry_ptr, target, legal
        entries = np.empty(int((c.row_ptr[chosen + 1] - c.row_ptr[chosen]).sum()), np.int32)
        kernel.fill_choices(
            chosen,
            maps,
            most,
            c.pointer,
            c.count,
            c.form,
            c.target,
            c.rows,
            c.row_ptr,
            c.extremes,
            row_maps(board),
            symmetries(board).reversed,
            entries,
            entry_ptr,
            target,
            legal,
        )
        return entries, entry_ptr, target, legal


def prepare_samples(table: SampleTable, *, policy: bool) -> NnueSamples:
    """List the inputs of all samples and, with `policy`, their legal moves.

    Raises `RefusedError` naming dataset, game and ply of a sample that today's rules do not know.
    """
    inputs, pointer = _inputs(table)
    choices = _choices(table) if policy else None
    return NnueSamples(table=table, inputs=inputs, pointer=pointer, choices=choices)


def sample_bytes(table: SampleTable, *, policy: bool) -> int:
    """Estimate the memory that prepared samples take, from some spread over the table."""
    if len(table) <= CHUNK:
        return prepare_samples(table, policy=policy).size_bytes
    some = table.take(np.linspace(0, len(table) - 1, CHUNK).astype(np.int64))
    return prepare_samples(some, policy=policy).size_bytes * len(table) // CHUNK


def _inputs(table: SampleTable) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    spec = table.spec
    most = most_active(spec.board)
    states = lay.view(lay.zeros(1, lay.STATE))
    turn = _turns(spec.players)
    work = np.zeros(most, np.int32)
    out = np.zeros(CHUNK * most, np.uint16)
    parts, pointer = [np.zeros(0, np.uint16)], np.zeros(len(table) + 1, np.int64)
    for first in range(0, len(table), CHUNK):
        packed = table.states[first : first + CHUNK]
        ends = pointer[first + 1 : first + 1 + len(packed)]
        bad = kernel.list_inputs(packed, states, board_view(spec), turn, work, out, ends)
        if bad >= 0:
            raise refused(table, first + bad, BAD_POSITION)
        parts.append(out[: ends[-1]].copy())
        ends += pointer[first]
    return np.concatenate(parts), pointer


def _choices(table: SampleTable) -> Choices:
    spec = table.spec
    cells = symmetries(spec.board).cells
    pointer = np.zeros(len(table) + 1, np.int64)
    np.cumsum(np.where(table.policy_weight > 0, table.legal_count, 0), out=pointer[1:])
    total = int(pointer[-1])
    target, count = np.zeros(total, np.float32), np.zeros(total, np.uint8)
    form = np.zeros(total, np.int32)
    row_ptr = np.zeros(len(table) + 1, np.int64)
    states, scratch = lay.view(lay.zeros(1, lay.STATE)), lay.view(lay.zeros(1, lay.SCRATCH))
    buffer, work = np.zeros(spec.max_moves, np.int64), np.zeros(MOST_ROWS, np.int32)
    rows, extremes = [np.zeros(0, np.uint16)], [np.zeros((0, len(cells), 2), np.uint16)]
    regions = 0
    for first in range(0, len(table), CHUNK):
        packed = table.states[first : first + CHUNK]
        stop = first + len(packed)
        here = slice(int(pointer[first]), int(pointer[stop]))
        moves = here.stop - here.start
        answer = np.zeros(3, np.int64)
        found = np.zeros(moves * MOST_ROWS, np.uint16)
        corners = np.zeros((moves, len(cells), 2), np.uint16)
        ends = row_ptr[first + 1 : stop + 1]
        kernel.list_choices(
            packed,
            states,
            board_view(spec),
            scratch,
            pointer[first : stop + 1] - pointer[first],
            table.policy_ptr[first : stop + 1],
            table.policy_moves,
            table.policy_probs,
            table.sym_mask[first:stop],
            cells,
            buffer,
            work,
            target[here],
            count[here],
            form[here],
            found,
            ends,
            corners,
            answer,
        )
        if answer[1] >= 0:
            raise refused(table, first + int(answer[1]), int(answer[2]))
        rows.append(found[: ends[-1]].copy())
        extremes.append(corners[: answer[0]].copy())
        form[here][form[here] >= kernel.AXES] += regions
        regions += int(answer[0])
        ends += row_ptr[first]
    return Choices(
        pointer=pointer,
        target=target,
        count=count,
        form=form,
        rows=np.concatenate(rows),
        row_ptr=row_ptr,
        extremes=np.concatenate(extremes),
    )


@cache
def row_maps(board: str) -> NDArray[np.int32]:
    """Return the image of each policy row, `int32[2, S, R]`.

    At 0 as it is, at 1 with origin and target exchanged, for a line that runs the other way.
    """
    s, g = symmetries(board), geometry(board)
    cells, kinds, rays = len(g.keys), len(ROW_KINDS), g.size - 1
    table = np.tile(np.arange(len(policy_rows(board).names), dtype=np.int32), (2, len(s), 1))
    first_ray = 2 * kinds * cells + len(SCALARS) + 8
    for k in range(len(s)):
        image = s.cells[k].astype(np.int32)
        sides = (np.arange(kinds)[:, None] * cells + image[None]).ravel()
        table[:, k, : 2 * kinds * cells] = np.concatenate((sides, sides + kinds * cells))
        table[1, k, : 2 * kinds * cells] = np.concatenate((sides + kinds * cells, sides))
        for at, to in enumerate(s.directions[k].tolist()):
            place = first_ray + np.arange(rays)
            table[:, k, place + at * rays] = place + to * rays
    return table


class NnueFeed(Feed[NnueBatch]):
    """Makes batches for a NNUE, with legal moves where it has a policy."""

    def __init__(
        self, table: SampleTable, *, policy: bool, mirrored: bool, streamed: bool = False
    ) -> None:
        make = partial(prepare_samples, policy=policy)
        super().__init__(table, make, mirrored=mirrored, streamed=streamed)
