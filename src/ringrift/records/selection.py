"""Which stored games are meant: by configuration, run, purpose, reason, model and time (selfplay.md 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from ringrift.records.record import GameRecord


class Filters(TypedDict, total=False):
    """Keywords of the readers of a store; what is left out or None does not narrow."""

    run: str | None
    purpose: str | None
    reason: str | None
    model: str | None
    since: float | None
    gate_below: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A choice of games. `since` is in Unix seconds: when stored or, of a record, when played.

    `model` is a whole id; of records outside a store its first digits will do. `gate_below` means
    stored games that an older gate let through.
    """

    config: str | None = None
    run: str | None = None
    purpose: str | None = None
    reason: str | None = None
    model: str | None = None
    since: float | None = None
    gate_below: int | None = None

    def where(self, *, model: bool = True) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL condition on a verified row `g` and its values.

        Without `model` that condition is left to the caller, who starts from the table of agents.
        """
        conditions, values = ["g.status = 'verified'"], []
        for column in ("config", "run", "purpose", "reason"):
            wanted = getattr(self, column)
            if wanted is not None:
                conditions.append(f"g.{column} = ?")
                values.append(wanted)
        if self.since is not None:
            conditions.append("g.ingested_at >= ?")
            values.append(self.since)
        if self.gate_below is not None:
            conditions.append("g.gate_version < ?")
            values.append(self.gate_below)
        if model and self.model is not None:
            seats = "SELECT 1 FROM game_agents s WHERE s.game = g.id AND s.model = ?"
            conditions.append(f"EXISTS ({seats})")
            values.append(self.model)
        return " AND ".join(conditions), tuple(values)

    def fits(self, record: GameRecord) -> bool:
        """Tell whether a record that is in no store is meant."""
        meta = record.meta
        pairs = (
            (self.config, record.spec.config),
            (self.run, meta.run),
            (self.purpose, meta.purpose),
            (self.reason, record.result.reason),
        )
        models = [agent.model_id or "" for agent in record.agents]
        return (
            all(wanted is None or wanted == found for wanted, found in pairs)
            and (self.model is None or any(model.startswith(self.model) for model in models))
            and (self.since is None or (meta.started or 0.0) >= self.since)
        )
