"""What the searches of one game found, kept for each agent that searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.records.record import POLICY_TOTAL, Analysis, PlyAnalysis
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
    """What one search said: `moves`: int64[t], `shares`: float64[t] of its policy."""

    ply: int
    kind: str
    sims: int
    value: tuple[float, ...]
    root_value: tuple[float, ...]
    moves: NDArray[np.int64]
    shares: NDArray[np.float64]
    prior_kl: float | None
    visits: dict[int, int] | None
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
                d.visited,
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
                plies=_rounded([f for f in self._found[agent] if f.ply < len(record.moves)]),
            )
            for agent in sorted(self._found)
        )


def _rounded(found: Sequence[_Found]) -> tuple[PlyAnalysis, ...]:
    if not found:
        return ()
    moves = np.concatenate([f.moves for f in found])
    shares = np.concatenate([f.shares for f in found])
    offsets = np.zeros(len(found) + 1, np.int64)
    np.cumsum([len(f.moves) for f in found], out=offsets[1:])
    whole = np.zeros(len(moves), np.int64)
    bad = round_shares(moves, shares, offsets, POLICY_TOTAL, whole)
    if bad >= 0:
        raise DataError(f"the policy of ply {found[bad].ply} is no distribution")
    keys, counts, bounds = moves.tolist(), whole.tolist(), offsets.tolist()
    return tuple(
        PlyAnalysis(
            ply=f.ply,
            kind=f.kind,
            sims=f.sims,
            value=f.value,
            root_value=f.root_value,
            policy={
                move: count
                for move, count in zip(keys[first:last], counts[first:last], strict=True)
                if count
            },
            visits=f.visits,
            prior_kl=f.prior_kl,
            nodes=f.nodes,
            depth=f.depth,
        )
        for f, first, last in zip(found, bounds, bounds[1:], strict=False)
    )


def _budget(
    control: SearchControl, soft_from: int | None
) -> Mapping[str, int | float | str | None]:
    found: dict[str, int | float | str | None] = {"full_fraction": control.full_fraction}
    if control.full_fraction < 1:
        found["cheap_sims"] = control.cheap_sims
    if soft_from is not None:
        found[SOFT_FROM] = soft_from
    return found
