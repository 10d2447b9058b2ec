"""Search statistics as bytes (selfplay.md 6).

The distributions of all plies are one list of numbers: `ply_kernels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.records import ply_kernels as kernel
from ringrift.records.analysis import Analysis
from ringrift.records.envelope import Fields, decode, encode, seal, unseal
from ringrift.records.game_bytes import check_identity
from ringrift.records.ply_analysis import KINDS
from ringrift.records.ply_kernels import UNKNOWN
from ringrift.records.ply_table import PlyTable, column, kind_column, same_width, units_of
from ringrift.records.record import VerificationError

ANALYSIS_FORMAT = "ringrift.analysis/1"


class _Ply(Fields):
    ply: int
    kind: str
    sims: int
    value: tuple[int, ...]
    root_value: tuple[int, ...]
    visits: bool
    prior_kl: int | None
    nodes: int | None
    depth: int | None
    ms: int | None


class _Analysis(Fields):
    game: bytes
    agent: str
    budget: dict[str, int | float | str | None]
    plies: tuple[_Ply, ...]
    counts: bytes


class _Pair(Fields):
    game: bytes
    analysis: bytes | None


def analysis_to_bytes(analysis: Analysis) -> bytes:
    """Encode search statistics; equal ones have equal bytes."""
    return seal(ANALYSIS_FORMAT, analysis.id, analysis_body(analysis))


def analysis_from_bytes(data: bytes) -> Analysis:
    """Decode search statistics; whether they fit their game is for `verify` to say."""
    identity, body = unseal(data, ANALYSIS_FORMAT)
    analysis = _read(decode(body, _Analysis))
    check_identity(identity, analysis.id)
    return analysis


def stored_analysis(data: bytes) -> tuple[str, Analysis]:
    """Decode bytes that were verified when they entered a store; return the id they claim too.

    Their digest guards them; the id is not made again.
    """
    identity, body = unseal(data, ANALYSIS_FORMAT)
    return identity, _read(decode(body, _Analysis))


def searched_plies(data: bytes) -> list[tuple[int, str, int]]:
    """Return ply, kind and simulations of each distribution, the distributions undecoded.

    For bytes that were verified; raises `VerificationError` for bytes that were altered since.
    """
    _, body = unseal(data, ANALYSIS_FORMAT)
    return [(p.ply, p.kind, p.sims) for p in decode(body, _Analysis).plies]


def seal_pair(game: bytes, analysis: bytes | None) -> bytes:
    """Put the bytes of a game and of its analysis into one."""
    return encode(_Pair(game, analysis))


def open_pair(data: bytes) -> tuple[bytes, bytes | None]:
    """Take the two apart again, undecoded."""
    pair = decode(data, _Pair)
    return pair.game, pair.analysis


def analysis_body(analysis: Analysis) -> bytes:
    """Encode all that an analysis holds, which its digest guards."""
    table = analysis.table
    rows = zip(
        table.ply.tolist(),
        [KINDS[kind] for kind in table.kinds.tolist()],
        table.sims.tolist(),
        _rows(table.values, table.value_known),
        _rows(table.roots, table.root_known),
        table.with_visits.tolist(),
        *(_known(numbers) for numbers in (table.prior_kl, table.nodes, table.depth, table.ms)),
        strict=True,
    )
    return encode(
        (
            bytes.fromhex(analysis.game),
            analysis.agent,
            dict(analysis.budget),
            list(rows),
            table.packed_counts(),
        )
    )


def _read(wire: _Analysis) -> Analysis:
    plies = wire.plies
    with_visits = np.array([p.visits for p in plies], np.bool_)
    policy, visits, offsets = _read_counts(wire.counts, with_visits)
    values, value_known = units_of([p.value for p in plies], "value", given_units=True)
    roots, root_known = units_of([p.root_value for p in plies], "root_value", given_units=True)
    table = PlyTable(
        ply=column([p.ply for p in plies], "ply"),
        kinds=kind_column([p.kind for p in plies]),
        sims=column([p.sims for p in plies], "sims"),
        **same_width(values, value_known, roots, root_known),
        prior_kl=column([p.prior_kl for p in plies], "prior_kl"),
        nodes=column([p.nodes for p in plies], "nodes"),
        depth=column([p.depth for p in plies], "depth"),
        ms=column([p.ms for p in plies], "ms"),
        moves=policy[0],
        counts=policy[1],
        offsets=offsets[0],
        with_visits=with_visits,
        visited=visits[0],
        visits=visits[1],
        visit_offsets=offsets[1],
    )
    return Analysis(game=wire.game.hex(), agent=wire.agent, budget=wire.budget, plies=table)


_FAULTS = {
    kernel.CUT: ("truncated", "moves without their counts"),
    kernel.WIDE: ("malformed", "a number of more than 40 bits"),
    kernel.LEFT_OVER: ("malformed", "counts that belong to no ply"),
}


def _read_counts(
    data: bytes, with_visits: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return `int64[2, k]` moves and counts, those of the visits, and both offsets."""
    numbers = np.frombuffer(data, np.uint8)
    room = np.zeros((4, len(numbers) // 2 + 1), np.int64)
    offsets = np.zeros((2, len(with_visits) + 1), np.int64)
    fault = int(
        kernel.read_lists(
            numbers, with_visits, room[0], room[1], offsets[0], room[2], room[3], offsets[1]
        )
    )
    if fault != kernel.FINE:
        reason, detail = _FAULTS[fault]
        raise VerificationError(reason, detail, where="field counts")
    return room[:2, : offsets[0, -1]], room[2:, : offsets[1, -1]], offsets


def _rows(units: NDArray[np.int64], known: NDArray[np.bool_]) -> list[list[int]]:
    return [row if there else [] for row, there in zip(units.tolist(), known.tolist(), strict=True)]


def _known(numbers: NDArray[np.int64]) -> list[Any]:
    return [None if number == UNKNOWN else number for number in numbers.tolist()]
