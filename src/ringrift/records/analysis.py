"""The search statistics of one game by one agent: what they hold, their id, their limits (selfplay.md 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ringrift.core.ids import canonical_msgpack, content_id
from ringrift.records.ply_analysis import PlyAnalysis
from ringrift.records.ply_table import PlyTable
from ringrift.records.record import GameRecord, refuse, text_field


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Search statistics of one game by one agent, plies ascending.

    `plies` may be given as any sequence; it is kept as a `PlyTable`.
    """

    game: str
    agent: str
    budget: Mapping[str, int | float | str | None] = field(default_factory=dict)
    plies: Sequence[PlyAnalysis]

    def __post_init__(self) -> None:
        """Lay the plies out in columns."""
        if not isinstance(self.plies, PlyTable):
            object.__setattr__(self, "plies", PlyTable.of(self.plies))

    @property
    def table(self) -> PlyTable:
        """The plies as columns."""
        assert isinstance(self.plies, PlyTable)
        return self.plies

    @cached_property
    def id(self) -> str:
        """64 hex digits over the content, without the times."""
        head = canonical_msgpack((1, self.game, self.agent, dict(self.budget), []))
        return content_id("analysis", head[:-1] + self.table.canonical())


def check_analysis(analysis: Analysis, record: GameRecord) -> None:
    """Raise `VerificationError` for statistics that fit no game of this shape."""
    if analysis.game != record.id:
        raise refuse("game", analysis.game, f"the game's id {record.id}")
    text_field("agent", analysis.agent)
    for key, value in analysis.budget.items():
        text_field("budget", key)
        if isinstance(value, str):
            text_field(f"budget.{key}", value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise refuse(f"budget.{key}", value, "a finite number")
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise refuse(f"budget.{key}", value, "a whole number of 64 bits")
    analysis.table.check(record.spec.players, len(record.moves))
