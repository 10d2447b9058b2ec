"""What the checks of a canonical store found, under the names of its summary (selfplay.md 8)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalReport:
    """The summary of the checks; `problems` says in lines what is wrong and is not part of it.

    `canonical_ok` needs every stage whole and passed; a stage that a limit cut is not ok.
    """

    board_type: str
    num_players: int
    db_path: str
    num_games_requested: int | None
    db_stats: dict[str, int]
    parity_gate: dict[str, Any]
    canonical_config: dict[str, Any]
    canonical_history: dict[str, Any]
    fe_territory_fixtures_ok: bool
    anm_ok: bool
    canonical_ok: bool
    problems: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the summary as a JSON object, without `problems`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "problems"}
