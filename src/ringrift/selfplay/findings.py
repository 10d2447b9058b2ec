"""What the searches of one game found, kept for each agent that searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.records.analysis import Analysis
from ringrift.records.ply_analysis import POLICY_TOTAL
from ringrift.records.ply_kernels import UNKNOWN
from ringrift.records.ply_table import PlyTable, kind_column, positive, to_units_all
from ringrift.selfplay.control import SearchControl
from ringrift.selfplay.rounding import round_shares

if TYPE_CHECKING:
    from ringrift.agents.protocol import Decision
    from ringrift.records.record import AgentRef, GameRecord

SOFT_FROM = "soft_from"
"""Entry of an analysis' budget: the first ply that was searched less because the game was decided;
samples from it on have `SOFT_WEIGHT`."""
SOFT_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class _Found:
    """What one search said of the legal moves: `moves`, `visits`: int64[t], `shares`: float64[t]."""

    ply: int
    kind: str
    sims: int
    value: tuple[float, ...]
    root_value: tuple[float, ...]
    moves: NDArray[np.int64]
    shares: NDArray[np.float64]
    prior_kl: float | None
    visits: NDArray[np.int64] | None
    nodes: int
    depth: int


class Findings:
    """Search statistics of a game under way, by the agent's place in the job.

    Distributions are rounded at the game's end, all in one call.
    """

    def __init__(self) -> None:
        self._found: dict[int, list[_Found]] = {}

    def note(self, agent: int, ply: int, decision: Decision) -> None:
        """Keep what a search says about the ply it decides; one without a policy says nothing."""
        d = decision
        if d.policy is None or d.value is None:
            return
        moves, shares = zip(*d.policy, strict=True)
        visits = None if d.visits is None else np.array([n for _, n in d.visits], np.int64)
        self._found.setdefault(agent, []).append(
            _Found(
                ply,
                "cheap" if d.kind == "cheap" else "full",
                d.sims,
                d.value if d.raw_value is None else d.raw_value,
                d.value,
                np.array(moves, np.int64),
                np.array(shares, np.float64),
                d.prior_kl,
                visits,
                d.nodes,
                d.depth,
            )
        )

    def analyses(
        self,
        record: GameRecord,
        refs: tuple[AgentRef, ...],
        control: SearchControl,
        soft_from: int | None,
    ) -> tuple[Analysis, ...]:
        """Return an analysis for each agent that searched, in the order of the job's agents."""
        budget = _budget(control, soft_from)
        return tuple(
            Analysis(
                game=record.id,
                agent=refs[agent].agent_hash,
                budget=budget,
                plies=_table([f for f in self._found[agent] if f.ply < len(record.moves)]),
            )
            for agent in sorted(self._found)
        )


def _table(found: Sequence[_Found]) -> PlyTable | tuple[()]:
    """Lay out what was found in columns, distributions rounded."""
    if not found:
        return ()
    shares = np.concatenate([f.shares for f in found])
    moves, offsets = _joined([f.moves for f in found])
    whole = np.zeros(len(moves), np.int64)
    bad = round_shares(moves, shares, offsets, POLICY_TOTAL, whole)
    if bad >= 0:
        raise DataError(f"the policy of ply {found[bad].ply} is no distribution")
    nothing = np.zeros(0, np.int64)
    visited, visit_offsets = _joined([nothing if f.visits is None else f.moves for f in found])
    visits, _ = _joined([nothing if f.visits is None else f.visits for f in found])
    moves, whole, offsets = positive(moves, whole, offsets)
    visited, visits, visit_offsets = positive(visited, visits, visit_offsets)
    everywhere = np.ones(len(found), np.bool_)
    return PlyTable(
        ply=np.array([f.ply for f in found], np.int64),
        kinds=kind_column([f.kind for f in found]),
        sims=np.array([f.sims for f in found], np.int64),
        values=to_units_all([f.value for f in found]),
        value_known=everywhere,
        roots=to_units_all([f.root_value for f in found]),
        root_known=everywhere,
        prior_kl=np.where(
            [f.prior_kl is None for f in found],
            UNKNOWN,
            to_units_all([f.prior_kl or 0.0 for f in found]),
        ),
        nodes=np.array([f.nodes for f in found], np.int64),
        depth=np.array([f.depth for f in found], np.int64),
        ms=np.full(len(found), UNKNOWN, np.int64),
        moves=moves,
        counts=whole,
        offsets=offsets,
        with_visits=np.array([f.visits is not None for f in found], np.bool_),
        visited=visited,
        visits=visits,
        visit_offsets=visit_offsets,
    )


def _joined(
    arrays: Sequence[NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join arrays; return the offsets of each too."""
    offsets = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    return np.concatenate(arrays), offsets


def _budget(
    control: SearchControl, soft_from: int | None
) -> Mapping[str, int | float | str | None]:
    found: dict[str, int | float | str | None] = {"full_fraction": control.full_fraction}
    if control.full_fraction < 1:
        found["cheap_sims"] = control.cheap_sims
    if soft_from is not None:
        found[SOFT_FROM] = soft_from
    return found
