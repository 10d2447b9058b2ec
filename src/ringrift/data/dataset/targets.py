"""What each ply of a game teaches: whose distribution counts, and how much (data.md 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.records.analysis import Analysis
from ringrift.records.ply_analysis import KINDS, VALUE_UNITS
from ringrift.records.ply_kernels import UNKNOWN
from ringrift.records.ply_table import PlyTable
from ringrift.records.record import GameRecord
from ringrift.selfplay.findings import SOFT_FROM, SOFT_WEIGHT

UNCHOSEN = ("random", "book")
FROM_PLAY, FROM_SEARCH = 0, 1

_CHEAP, _REANALYSIS = KINDS.index("cheap"), KINDS.index("reanalysis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Targets of all plies of a game, as the kernel takes them; `P` plies, `K` moves together.

    `moves`: `int64[K]` and `shares`: `float32[K]`, those of ply i from `offsets[i]` to
    `offsets[i + 1]`; `source`, `policy_weight`, `weight`, `sims`, `prior_kl` (NaN unknown): `[P]`;
    `q`: `float32[P, 4]`, `q_mask`: `bool[P]`; `recorded`: `bool[P]`, whether a distribution is there.
    """

    moves: NDArray[np.int64]
    shares: NDArray[np.float32]
    offsets: NDArray[np.int64]
    source: NDArray[np.uint8]
    policy_weight: NDArray[np.float32]
    weight: NDArray[np.float32]
    sims: NDArray[np.int32]
    prior_kl: NDArray[np.float32]
    q: NDArray[np.float32]
    q_mask: NDArray[np.bool_]
    recorded: NDArray[np.bool_]


def chosen_rows(
    searches: Sequence[Analysis], plies: int, choice: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each ply, which search counts and its row there, -1 for none: `int64[P]` twice.

    `searches` are newest first. `best` has most simulations, then is the newest; `own` leaves out
    what was searched after the game; `newest` is the newest.
    """
    which = np.full(plies, -1, np.int64)
    row = np.full(plies, -1, np.int64)
    most = np.full(plies, -1, np.int64)
    for index, found in enumerate(searches):
        table = found.table
        better = table.sims > most[table.ply]
        if choice == "newest":
            better = which[table.ply] < 0
        elif choice == "own":
            better &= table.kinds != _REANALYSIS
        at = table.ply[better]
        which[at], row[at], most[at] = index, np.flatnonzero(better), table.sims[better]
    return which, row


def targets_of(
    record: GameRecord, searches: Sequence[Analysis], *, choice: str, policy: str
) -> Targets:
    """Return the targets of a game; `policy` is one of `POLICY_TARGETS`."""
    plies = len(record.moves)
    which, row = chosen_rows(searches, plies, choice)
    moves, shares, offsets, source = _policies(record, searches, which, row, choice, policy)
    found = Targets(
        moves=moves,
        shares=shares,
        offsets=offsets,
        source=source,
        policy_weight=np.ones(plies, np.float32),
        weight=_decided_weights(record, searches),
        sims=np.zeros(plies, np.int32),
        prior_kl=np.full(plies, np.nan, np.float32),
        q=np.zeros((plies, 4), np.float32),
        q_mask=np.zeros(plies, np.bool_),
        recorded=np.zeros(plies, np.bool_),
    )
    for index, search in enumerate(searches):
        at = np.flatnonzero(which == index)
        table, rows = search.table, row[at]
        found.sims[at] = table.sims[rows]
        found.recorded[at] = np.diff(table.offsets)[rows] > 0
        kl = table.prior_kl[rows]
        found.prior_kl[at] = np.where(kl == UNKNOWN, np.nan, kl / VALUE_UNITS)
        known = table.root_known[rows]
        found.q[at[known], : record.spec.players] = table.roots[rows[known]] / VALUE_UNITS
        found.q_mask[at] = known
        found.policy_weight[at[table.kinds[rows] == _CHEAP]] = 0.0
    unchosen = [ply for ply, mark in record.marks.items() if mark in UNCHOSEN]
    found.policy_weight[unchosen] = 0.0
    return found


def _policies(
    record: GameRecord,
    searches: Sequence[Analysis],
    which: NDArray[np.int64],
    row: NDArray[np.int64],
    choice: str,
    policy: str,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.uint8]]:
    """Return moves, shares, offsets and sources: searched distributions, else the move played."""
    plies = len(record.moves)
    if policy == "descent_softmax":
        kinds = {agent.agent_hash: agent.kind for agent in record.agents}
        of_descent = [kinds.get(found.agent) == "descent" for found in searches]
        kept = [found for found, wanted in zip(searches, of_descent, strict=True) if wanted]
        which, row = chosen_rows(kept, plies, choice)
        searches = kept
    # The pool holds the moves played, then the distributions of each search.
    pool_moves = [np.array(record.moves, np.int64)]
    pool_counts = [np.ones(plies, np.int64)]
    starts = np.arange(plies)
    sizes = np.ones(plies, np.int64)
    source = np.zeros(plies, np.uint8)
    begin = plies
    for index, found in enumerate(() if policy == "played" else searches):
        moves, counts, offsets = _entries(found.table, policy)
        at = np.flatnonzero(which == index)
        size = np.diff(offsets)[row[at]]
        at, size = at[size > 0], size[size > 0]
        starts[at], sizes[at], source[at] = begin + offsets[row[at]], size, FROM_SEARCH
        pool_moves.append(moves)
        pool_counts.append(counts)
        begin += len(moves)
    offsets = np.zeros(plies + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)
    counts = np.concatenate(pool_counts)[places]
    totals = np.add.reduceat(counts, offsets[:-1])
    shares = (counts / np.repeat(totals, sizes)).astype(np.float32)
    return np.concatenate(pool_moves)[places], shares, offsets, source


def _entries(
    table: PlyTable, policy: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return moves, positive counts and offsets of a search's distributions, or of its visits."""
    if policy != "mcts_visits":
        return table.moves, table.counts, table.offsets
    used = table.visits > 0
    places = np.concatenate(([0], np.cumsum(used)))
    return table.visited[used], table.visits[used], places[table.visit_offsets]


def _decided_weights(record: GameRecord, searches: Sequence[Analysis]) -> NDArray[np.float32]:
    """Give 1 to each ply, less from where the game counted as decided (selfplay.md 5)."""
    weights = np.ones(len(record.moves), np.float32)
    for found in searches:
        soft_from = found.budget.get(SOFT_FROM)
        if soft_from is None:
            continue
        if not isinstance(soft_from, int):
            raise DataError(f"budget.{SOFT_FROM} is {soft_from!r}; expected a ply", where=record.id)
        weights[soft_from:] = SOFT_WEIGHT
    return weights
