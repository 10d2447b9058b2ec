# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Search statistics as arrays, for those who read many: no object for each ply and move.

The bytes are guarded by their digest as everywhere; that they fit their game and have this id was
checked when they entered the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringrift.records.analysis_bytes import ANALYSIS_FORMAT, _Analysis
from ringrift.records.envelope import decode, unseal
from ringrift.records.record import KINDS, VALUE_UNITS, VerificationError
from ringrift.rules.jitconf import rule

FINE, CUT, LEFT_OVER = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchArrays:
    """One analysis of `n` plies with `k` policy entries, plies ascending.

    `plies`, `sims`: `int64[n]`; `kinds`: `int8[n]`, indices of `KINDS`; `prior_kl`: `float32[n]`,
    NaN unknown; `root_values`: `float32[n, players]`, `has_value`: `bool[n]`. `moves`, `counts`:
    `int64[k]`, those of row i from `offsets[i]` to `offsets[i + 1]`, moves ascending; likewise
    `visited`, `visits`, `visit_offsets`, empty where visits are unknown.
    """

    id: str
    game: str
    agent: str
    budget: Mapping[str, int | float | str | None]
    plies: NDArray[np.int64]
    kinds: NDArray[np.int8]
    sims: NDArray[np.int64]
    prior_kl: NDArray[np.float32]
    root_values: NDArray[np.float32]
    has_value: NDArray[np.bool_]
    moves: NDArray[np.int64]
    counts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    visited: NDArray[np.int64]
    visits: NDArray[np.int64]
    visit_offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.plies)


@rule
def next_number(data, at):
    """Read the number at `at` (seven bits a byte, low bits first); return it and the next place.

    The place is -1 where the bytes end within a number.
    """
    value = 0
    shift = 0
    while at < len(data):
        byte = int(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return 0, -1


@rule
def read_list(data, at, moves, counts, k):
    """Read one distribution to index `k` on; return the new `k` and place, which is -1 if cut."""
    size, at = next_number(data, at)
    if at < 0 or size > len(data):
        return k, -1
    move = 0
    for i in range(size):
        step, at = next_number(data, at)
        if at < 0:
            return k, -1
        move += step
        moves[k + i] = move
    for i in range(size):
        counts[k + i], at = next_number(data, at)
        if at < 0:
            return k, -1
    return k + size, at


@rule
def read_lists(data, with_visits, moves, counts, offsets, visited, visits, visit_offsets):
    """Read the distributions of all plies; return FINE, CUT or LEFT_OVER."""
    at = 0
    k = 0
    v = 0
    for i in range(len(with_visits)):
        k, at = read_list(data, at, moves, counts, k)
        if at < 0:
            return CUT
        offsets[i + 1] = k
        if with_visits[i]:
            v, at = read_list(data, at, visited, visits, v)
            if at < 0:
                return CUT
        visit_offsets[i + 1] = v
    return FINE if at == len(data) else LEFT_OVER


def search_arrays(data: bytes, players: int) -> SearchArrays:
    """Decode the bytes of an analysis; raises `VerificationError` for altered or cut ones."""
    identity, body = unseal(data, ANALYSIS_FORMAT)
    wire = decode(body, _Analysis)
    n = len(wire.plies)
    numbers = np.frombuffer(wire.counts, np.uint8)
    room = len(numbers) // 2 + 1
    whole = np.zeros((4, room), np.int64)
    bounds = np.zeros((2, n + 1), np.int64)
    with_visits = np.array([p.visits for p in wire.plies], np.bool_)
    fault = int(
        read_lists(
            numbers, with_visits, whole[0], whole[1], bounds[0], whole[2], whole[3], bounds[1]
        )
    )
    if fault == CUT:
        raise VerificationError("truncated", "moves without their counts", where="field counts")
    if fault == LEFT_OVER:
        raise VerificationError("malformed", "counts that belong to no ply", where="field counts")
    k, v = int(bounds[0, -1]), int(bounds[1, -1])
    has_value = np.array([len(p.root_value) == players for p in wire.plies], np.bool_)
    unknown = (0,) * players
    units = np.array(
        [p.root_value if len(p.root_value) == players else unknown for p in wire.plies], np.float64
    ).reshape(n, players)
    kls = [np.nan if p.prior_kl is None else p.prior_kl for p in wire.plies]
    return SearchArrays(
        id=identity,
        game=wire.game.hex(),
        agent=wire.agent,
        budget=wire.budget,
        plies=np.array([p.ply for p in wire.plies], np.int64),
        kinds=np.array([_KIND_INDEX[p.kind] for p in wire.plies], np.int8),
        sims=np.array([p.sims for p in wire.plies], np.int64),
        prior_kl=(np.array(kls, np.float64) / VALUE_UNITS).astype(np.float32),
        root_values=(units / VALUE_UNITS).astype(np.float32),
        has_value=has_value,
        moves=whole[0, :k],
        counts=whole[1, :k],
        offsets=bounds[0],
        visited=whole[2, :v],
        visits=whole[3, :v],
        visit_offsets=bounds[1],
    )


_KIND_INDEX = {kind: i for i, kind in enumerate(KINDS)}
