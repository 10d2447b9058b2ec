"""The searched plies of an analysis as columns; each ply is an object when it is looked at.

A game has hundreds of searched plies with dozens of moves each: what writes, reads, names and
checks them works on these columns, in compiled code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ringrift.records import ply_kernels as kernel
from ringrift.records.ply_analysis import (
    KINDS,
    POLICY_TOTAL,
    VALUE_UNITS,
    PlyAnalysis,
    check_ply,
    to_units,
)
from ringrift.records.ply_kernels import UNKNOWN
from ringrift.records.record import VerificationError, refuse

_MOST = 1 << 61
_KIND_INDEX = {kind: i for i, kind in enumerate(KINDS)}
_NAMES = np.zeros((len(KINDS), 16), np.uint8)
for _row, _kind in zip(_NAMES, KINDS, strict=True):
    _row[0] = len(_kind)
    _row[1 : 1 + len(_kind)] = list(_kind.encode())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlyTable(Sequence[PlyAnalysis]):
    """`n` searched plies with `k` policy entries and `v` visits.

    `ply`, `sims`, `nodes`, `depth`, `ms`, `prior_kl`: `int64[n]`, `UNKNOWN` for None; `kinds`:
    `int8[n]`, indices of `KINDS`. `values` and `roots`: `int64[n, players]`, the evaluator's and the
    search's value of each seat, where `value_known` and `root_known`: `bool[n]`. Values and
    `prior_kl` are in `VALUE_UNITS`. `moves`, `counts`: `int64[k]`, those of row i from `offsets[i]`
    to `offsets[i + 1]`, moves ascending; likewise `visited`, `visits`: `int64[v]` by
    `visit_offsets`, where `with_visits`: `bool[n]`.
    """

    ply: NDArray[np.int64]
    kinds: NDArray[np.int8]
    sims: NDArray[np.int64]
    values: NDArray[np.int64]
    value_known: NDArray[np.bool_]
    roots: NDArray[np.int64]
    root_known: NDArray[np.bool_]
    prior_kl: NDArray[np.int64]
    nodes: NDArray[np.int64]
    depth: NDArray[np.int64]
    ms: NDArray[np.int64]
    moves: NDArray[np.int64]
    counts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    with_visits: NDArray[np.bool_]
    visited: NDArray[np.int64]
    visits: NDArray[np.int64]
    visit_offsets: NDArray[np.int64]

    @classmethod
    def of(cls, plies: Iterable[PlyAnalysis]) -> PlyTable:
        """Lay plies out in columns.

        Raises `VerificationError` naming the field of what no column can hold: an unknown kind,
        values of several lengths, numbers beyond 61 bits.
        """
        given = plies if isinstance(plies, tuple) else tuple(plies)
        values, value_known = units_of([p.value for p in given], "value")
        roots, root_known = units_of([p.root_value for p in given], "root_value")
        moves, counts, offsets = _entries([p.policy for p in given], "policy")
        visited, visits, visit_offsets = _entries([p.visits or {} for p in given], "visits")
        kls = [None if p.prior_kl is None else to_units(p.prior_kl) for p in given]
        return cls(
            ply=column([p.ply for p in given], "ply"),
            kinds=kind_column([p.kind for p in given]),
            sims=column([p.sims for p in given], "sims"),
            **same_width(values, value_known, roots, root_known),
            prior_kl=column(kls, "prior_kl"),
            nodes=column([p.nodes for p in given], "nodes"),
            depth=column([p.depth for p in given], "depth"),
            ms=column([p.ms for p in given], "ms"),
            moves=moves,
            counts=counts,
            offsets=offsets,
            with_visits=np.array([p.visits is not None for p in given], np.bool_),
            visited=visited,
            visits=visits,
            visit_offsets=visit_offsets,
        )

    def __len__(self) -> int:
        return len(self.ply)

    @overload
    def __getitem__(self, at: int) -> PlyAnalysis: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[PlyAnalysis, ...]: ...
    def __getitem__(self, at: int | slice) -> PlyAnalysis | tuple[PlyAnalysis, ...]:
        """Return one ply, or several."""
        if isinstance(at, slice):
            return tuple(self[i] for i in range(len(self))[at])
        i = range(len(self))[at]

        def known(column: NDArray[np.int64]) -> int | None:
            return None if column[i] == UNKNOWN else int(column[i])

        kl = known(self.prior_kl)
        return PlyAnalysis(
            ply=int(self.ply[i]),
            kind=KINDS[self.kinds[i]],
            sims=int(self.sims[i]),
            value=self._seats(self.values, self.value_known, i),
            root_value=self._seats(self.roots, self.root_known, i),
            policy=_mapping(self.moves, self.counts, self.offsets, i),
            visits=_mapping(self.visited, self.visits, self.visit_offsets, i)
            if self.with_visits[i]
            else None,
            prior_kl=None if kl is None else kl / VALUE_UNITS,
            nodes=known(self.nodes),
            depth=known(self.depth),
            ms=known(self.ms),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PlyTable):
            return isinstance(other, tuple) and tuple(self) == other
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def _seats(units: NDArray[np.int64], known: NDArray[np.bool_], i: int) -> tuple[float, ...]:
        return tuple((units[i] / VALUE_UNITS).tolist()) if known[i] else ()

    @property
    def full(self) -> int:
        """Number of plies that were searched in full."""
        return int((self.kinds == _KIND_INDEX["full"]).sum())

    @property
    def keys(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The moves that distributions name, and the ply of each, plies ascending: `int64[k]` each."""
        plies = np.concatenate(
            [
                np.repeat(self.ply, np.diff(self.offsets)),
                np.repeat(self.ply, np.diff(self.visit_offsets)),
            ]
        )
        order = np.argsort(plies, kind="stable")
        return plies[order], np.concatenate([self.moves, self.visited])[order]

    def canonical(self) -> bytes:
        """Return the canonical MessagePack of what names the plies: all but nodes, depth and times."""
        players = self.values.shape[1]
        entries = len(self.moves) + len(self.visited)
        data = np.empty(5 + len(self) * (60 + 18 * players) + 19 * entries, np.uint8)
        length = kernel.put_plies(
            data, _NAMES, self.ply, self.kinds, self.sims, self.value_known, _bits(self.values),
            self.root_known, _bits(self.roots), self.prior_kl, _bits(self.prior_kl),
            self.with_visits, self.moves, self.counts, self.offsets, self.visited, self.visits,
            self.visit_offsets,
        )  # fmt: skip
        return data[:length].tobytes()

    def packed_counts(self) -> bytes:
        """Return the distributions of all plies as bytes (`ply_kernels`).

        Raises `VerificationError` for numbers of more than 40 bits.
        """
        entries = len(self.moves) + len(self.visited)
        data = np.empty(kernel.NUMBER_BYTES * 2 * (len(self) + entries), np.uint8)
        length = kernel.put_lists(
            data, self.with_visits, self.moves, self.counts, self.offsets, self.visited,
            self.visits, self.visit_offsets,
        )  # fmt: skip
        if length < 0:
            detail = "numbers of a distribution; expected 0 to 2**40 - 1"
            raise VerificationError("malformed", detail, where="field plies.policy")
        return data[:length].tobytes()

    def check(self, players: int, plies: int) -> None:
        """Raise `VerificationError` naming the first field that no game of `plies` plies has so."""
        i = kernel.first_fault(
            plies, VALUE_UNITS, POLICY_TOTAL, self.ply, self.sims, self.value_known, self.values,
            self.root_known, self.roots, self.prior_kl, self.nodes, self.depth, self.ms,
            self.moves, self.counts, self.offsets, self.visited, self.visits, self.visit_offsets,
        )  # fmt: skip
        if self.values.shape[1] != players and (self.value_known.any() or self.root_known.any()):
            wrong = int(np.flatnonzero(self.value_known | self.root_known)[0])
            i = wrong if i < 0 else min(i, wrong)
        if i < 0:
            return
        found = self[i]
        if not (int(self.ply[i - 1]) if i else -1) < found.ply < plies:
            expected = f"ascending plies below {plies}"
            raise refuse(f"plies[{i}].ply", found.ply, expected, reason="bad_policy")
        for name, moves, bounds in (
            ("policy", self.moves, self.offsets),
            ("visits", self.visited, self.visit_offsets),
        ):
            if (np.diff(moves[bounds[i] : bounds[i + 1]]) <= 0).any():
                where = f"field plies[{i}].{name}"
                raise VerificationError("bad_policy", "a move twice", ply=found.ply, where=where)
        check_ply(f"plies[{i}]", found, players)


def column(numbers: Sequence[int | None], name: str) -> NDArray[np.int64]:
    """Return whole numbers as a column; raises `VerificationError` beyond 61 bits."""
    for i, number in enumerate(numbers):
        if number is not None and not -_MOST < number < _MOST:
            raise refuse(f"plies[{i}].{name}", number, "a whole number of at most 61 bits")
    return np.array([UNKNOWN if number is None else number for number in numbers], np.int64)


def kind_column(kinds: Sequence[str]) -> NDArray[np.int8]:
    """Return kinds as a column; raises `VerificationError` for an unknown one."""
    for i, kind in enumerate(kinds):
        if kind not in _KIND_INDEX:
            raise refuse(f"plies[{i}].kind", kind, ", ".join(KINDS))
    return np.array([_KIND_INDEX[kind] for kind in kinds], np.int8)


def units_of(
    values: Sequence[Sequence[float]], name: str, *, given_units: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the values of all plies in units, and which have any.

    `given_units` says that they are in units already. Raises `VerificationError` for values of
    several lengths.
    """
    known = np.array([bool(row) for row in values], np.bool_)
    players = max((len(row) for row in values), default=0)
    units = np.zeros((len(values), players), np.int64)
    for i, row in enumerate(values):
        if row and len(row) != players:
            raise refuse(f"plies[{i}].{name}", row, f"{players} values from -1 to 1, or none")
    if known.any():
        whole = [row if given_units else list(map(to_units, row)) for row in values if row]
        try:
            units[known] = np.array(whole, np.int64)
        except OverflowError:
            raise refuse(
                f"plies.{name}", "a number beyond 64 bits", "values from -1 to 1"
            ) from None
    return units, known


def same_width(
    values: NDArray[np.int64],
    value_known: NDArray[np.bool_],
    roots: NDArray[np.int64],
    root_known: NDArray[np.bool_],
) -> dict[str, NDArray[Any]]:
    """Return the columns of both values, with as many seats where one is unknown throughout."""
    if not value_known.any():
        values = np.zeros_like(roots)
    elif not root_known.any():
        roots = np.zeros_like(values)
    elif values.shape[1] != roots.shape[1]:
        expected = f"{values.shape[1]} values, as many as those of the evaluator"
        raise refuse("plies.root_value", f"{roots.shape[1]} values", expected)
    return {
        "values": values,
        "value_known": value_known,
        "roots": roots,
        "root_known": root_known,
    }


def _entries(
    counts: Sequence[Any], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return moves, counts and offsets of distributions, the moves of each ascending."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum([len(one) for one in counts], out=offsets[1:])
    try:
        moves = np.fromiter((m for one in counts for m in one), np.int64, offsets[-1])
        numbers = np.fromiter((n for one in counts for n in one.values()), np.int64, offsets[-1])
    except OverflowError:
        raise refuse(
            f"plies.{name}", "a number beyond 64 bits", "packed moves and counts"
        ) from None
    return (*ascending(moves, numbers, offsets), offsets)


def to_units_all(values: Sequence[Any]) -> NDArray[np.int64]:
    """Return values of any shape in units; raises `VerificationError` for NaN and infinity."""
    scaled = np.array(values, np.float64) * VALUE_UNITS
    if not np.isfinite(scaled).all():
        raise refuse("value", "NaN or infinity", "a finite number")
    return np.rint(scaled).astype(np.int64)


def positive(
    moves: NDArray[np.int64], counts: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Leave out what has no count; return moves, ascending in each row, counts and offsets."""
    some = counts > 0
    before = np.concatenate(([0], np.cumsum(some)))
    offsets = before[offsets]
    return (*ascending(moves[some], counts[some], offsets), offsets)


def ascending(
    moves: NDArray[np.int64], counts: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort the moves of each row, and their counts with them."""
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((moves, rows))
    return moves[order], counts[order]


def _mapping(
    moves: NDArray[np.int64], counts: NDArray[np.int64], offsets: NDArray[np.int64], i: int
) -> dict[int, int]:
    here = slice(int(offsets[i]), int(offsets[i + 1]))
    return dict(zip(moves[here].tolist(), counts[here].tolist(), strict=True))


def _bits(units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bits of the float64 that units stand for."""
    return (units / VALUE_UNITS).view(np.int64)
