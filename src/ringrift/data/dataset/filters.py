"""Filters over stored games; each that takes a game away has a name (data.md 5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringrift.records.record import TIMEOUT
from ringrift.rules import moves as mv

if TYPE_CHECKING:
    from ringrift.data.dataset.options import ExportOptions
    from ringrift.data.dataset.views import Row
    from ringrift.records.record import GameRecord

COMPLETED = ("game_over", "resigned")


def kind_of_spec(spec: str) -> str:
    """Return the first word of an agent's spec, such as `gumbel`."""
    return re.split(r"[@:(]", spec, maxsplit=1)[0]


class Filter:
    """Decides from what a view says of a game whether an export takes it."""

    def __init__(self, options: ExportOptions) -> None:
        self._options = options
        self._types = frozenset(options.ai_types)

    def reason(self, row: Row, uses: float) -> str | None:
        """Return why a game is left out, None if it is not; `uses` are training passes over it."""
        o = self._options
        kinds = [kind_of_spec(spec) for spec in row.agents]
        sims = max((sims for _, sims in row.analyses), default=0)
        checks = (
            ("incomplete", o.require_completed and row.end not in COMPLETED),
            ("timeout", o.exclude_timeout and TIMEOUT in row.reason),
            ("random", o.exclude_random and "random" in kinds),
            ("ai_types", bool(self._types) and not self._fits(row.agents, kinds)),
            ("min_simulations", sims < (o.min_simulations or 0)),
            ("min_moves", row.plies < (o.min_moves or 0)),
            ("max_moves", o.max_moves is not None and row.plies > o.max_moves),
            ("max_reuse", o.max_reuse is not None and uses >= o.max_reuse),
        )
        return next((name for name, left_out in checks if left_out), None)

    def _fits(self, specs: tuple[str, ...], kinds: list[str]) -> bool:
        pairs = zip(specs, kinds, strict=True)
        return all(spec in self._types or kind in self._types for spec, kind in pairs)


def has_recovery(record: GameRecord) -> bool:
    """Tell whether a recovery slide was played."""
    return any(move & mv.KIND_MASK == mv.RECOVER for move in record.moves)
