"""Who is measured against fixed opponents: a model of the registry, or a fixed agent.

The registry lies to the right of this room: its rows are handed in as `ModelRow`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError
from ringrift.core.ids import short
from ringrift.evaluation.participants import participant, search_spec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ringrift.records.record import AgentRef
    from ringrift.rules import BoardSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model as the registry lists it; `path` is None where its file is not here.

    `place` is the path as it is shown, below the data root.
    """

    id: str
    kind: str
    config: str
    path: Path | None = None
    place: str | None = None
    label: str | None = None
    created_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How models search in matches: simulations a move, moves considered, scale of values."""

    sims: int = 64
    considered: int = 16
    c_scale: float = 1.0

    def spec(self, model_id: str) -> str:
        """Return the spec with which a model plays matches."""
        return search_spec(
            model_id, sims=self.sims, considered=self.considered, c_scale=self.c_scale
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Who is measured, in games of `spec`; `model` is None for a fixed agent.

    `alone` is the model almost without search: one simulation a move. A search of many finds good
    moves with any weights, so only the model alone tells weights that have learned nothing.
    """

    spec: BoardSpec
    agent: AgentRef
    alone: AgentRef
    model: ModelRow | None = None

    @classmethod
    def of_model(cls, model: ModelRow, spec: BoardSpec, search: Search) -> Contender:
        """Return a model that searches without noise.

        Raises `UsageError` for a model of another configuration.
        """
        if model.config != spec.config:
            raise UsageError(
                f"model {short(model.id)} is of {model.config}; the games are of {spec.config}",
                where="--model",
            )

        def playing(sims: int) -> AgentRef:
            return participant(replace(search, sims=sims).spec(model.id), spec)

        return cls(spec=spec, agent=playing(search.sims), alone=playing(1), model=model)

    @classmethod
    def of_agent(cls, text: str, spec: BoardSpec) -> Contender:
        """Return a fixed agent."""
        agent = participant(text, spec)
        return cls(spec=spec, agent=agent, alone=agent)

    @property
    def name(self) -> str:
        """The first digits of its model, else its spec."""
        return self.agent.spec if self.model is None else short(self.model.id)


def files_of(models: Iterable[ModelRow]) -> dict[str, Path]:
    """Return the files of models by id, as `MatchPlayers` takes them."""
    return {model.id: model.path for model in models if model.path is not None}
