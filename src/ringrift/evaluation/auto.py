"""Which tournament a configuration is due for by itself (`evaluation.md` 9).

There is no state: what was played stands in the store, and a tournament is named by its field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.evaluation.contenders import Contender
from ringrift.evaluation.participants import participant
from ringrift.evaluation.tournaments import Tournament

if TYPE_CHECKING:
    from ringrift.evaluation.contenders import ModelRow, Search
    from ringrift.evaluation.matches import Store
    from ringrift.evaluation.tournaments import Outcome
    from ringrift.records.record import AgentRef
    from ringrift.rules import BoardSpec

APART_S = 7200.0
"""Seconds between the beginnings of two tournaments of a configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Who takes part: all `agents`, among them the newest model, and the champions, the last now.

    `champions` names all champions, also those that take no part.
    """

    agents: tuple[AgentRef, ...]
    champions: tuple[AgentRef, ...] = ()
    newest: AgentRef | None = None


def field_of(
    spec: BoardSpec,
    models: Sequence[ModelRow],
    champions: Sequence[str],
    *,
    search: Search,
    baselines: Sequence[str],
    newest: int = 5,
) -> Field:
    """Return the fixed baselines, the `newest` models and the champion, each once.

    `models` are those with files, the newest first; `champions` are ids, the present one last.
    """
    agents = {
        model.id: Contender.of_model(model, spec, search).agent
        for model in models
        if model.config == spec.config
    }
    chosen = [*champions[-1:], *list(agents)[:newest]]
    fixed = [participant(text, spec) for text in baselines]
    playing = [agents[model] for model in chosen if model in agents]
    return Field(
        agents=tuple(dict.fromkeys([*fixed, *playing])),
        champions=tuple(agents[model] for model in champions if model in agents),
        newest=next(iter(agents.values()), None),
    )


def tournament_of(field: Field, spec: BoardSpec, *, games: int, seed: int) -> Tournament:
    """Return the tournament of a field."""
    return Tournament(spec=spec, agents=field.agents, games=games, seed=seed)


def why_not(found: Outcome, store: Store | None, now: float) -> str | None:
    """Return why a tournament is not due, None if it is; `found` is what is stored of it.

    One that was begun goes on at any time. Times are Unix seconds.
    """
    if found.complete:
        return "nothing is new"
    if store is None:
        return None
    begun = (
        store.plans.get(meeting.plan.hash) is not None and not result.complete
        for meeting, result in zip(found.meetings, found.results, strict=True)
    )
    if any(begun):
        return None
    plans = store.plans.all(found.tournament.spec.config, purpose="tournament")
    last = max((plan.made_at for plan in plans), default=None)
    if last is not None and now - last < APART_S:
        return f"the last tournament began {max(0.0, now - last) / 60:.0f} minutes ago"
    return None
