"""Tell from match games that a champion is weaker than one before it (`evaluation.md` 9).

A finding is a level, not an event: it is made anew after every tournament and given to
`core.alerts`, which tells it once and once more when it is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.alert_rules import TOURNAMENT_ELO_DROP
from ringrift.core.ids import short
from ringrift.core.intervals import wilson
from ringrift.evaluation.ratings.fit import FIRST_OPPONENT, frozen_specs
from ringrift.evaluation.ratings.pairings import pairings

if TYPE_CHECKING:
    from ringrift.evaluation.ratings.fit import Fit
    from ringrift.records.record import AgentRef

ALERT = "elo_drop"
LEAST_LOS = 0.95
LEAST_RATE = 0.60
"""Two-player rate against the heuristic that a good model may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked for: `fires` tells whether it is so, None where the games do not say.

    `values` go with the alert; unknown ones are None.
    """

    subject: str
    fires: bool | None
    text: str
    values: dict[str, Any]

    def as_tree(self) -> dict[str, Any]:
        """Return the finding as it is published."""
        return {"subject": self.subject, "fires": self.fires, "text": self.text, **self.values}


def regressions(
    fit: Fit, *, champions: Sequence[AgentRef], newest: AgentRef | None, run: str | None = None
) -> list[Finding]:
    """Return what the ratings of a configuration say of its champions and its newest model.

    `champions` are the agents of all champions, the present one last.
    """
    return [_fallen(fit, champions, run), _weak(fit, newest, run)]


def _fallen(fit: Fit, champions: Sequence[AgentRef], run: str | None) -> Finding:
    """Compare the present champion with the best of those before it."""
    config = fit.games.config
    values = _values(config, champions[-1] if champions else None, run)
    subject = f"{config} champion"
    rated = [(agent, fit.elo_of(agent.agent_hash)) for agent in dict.fromkeys(champions)]
    now = next((elo for agent, elo in rated if champions and agent == champions[-1]), None)
    earlier = [(elo, agent) for agent, elo in rated if elo is not None and agent != champions[-1]]
    if now is None or not earlier:
        return Finding(subject=subject, fires=None, text="too few rated champions", values=values)
    best, previous = max(earlier, key=lambda found: found[0])
    drop = fit.difference(previous.agent_hash, champions[-1].agent_hash)
    fires = drop is not None and drop.elo >= TOURNAMENT_ELO_DROP and drop.los >= LEAST_LOS
    values |= {
        "previous_id": previous.model_id,
        "elo": round(now, 1),
        "previous_elo": round(best, 1),
        "drop": None if drop is None else round(drop.elo, 1),
        "se": None if drop is None else round(drop.se, 1),
    }
    text = (
        f"champion {_name(champions[-1])} is {best - now:.0f} Elo below {_name(previous)}"
        if best > now
        else f"champion {_name(champions[-1])} is the best so far"
    )
    return Finding(subject=subject, fires=fires, text=text, values=values)


def _weak(fit: Fit, newest: AgentRef | None, run: str | None) -> Finding:
    """Compare the newest model with the heuristic, by who came in ahead of whom."""
    config = fit.games.config
    values = _values(config, newest, run)
    subject = f"{config} newest model"
    unknown = Finding(subject=subject, fires=None, text="no games against heuristic", values=values)
    if newest is None:
        return unknown
    names = frozen_specs(config)
    who = fit.games.participants
    for pairing in pairings(fit):
        for agent, other, share in (
            (pairing.first, pairing.second, pairing.observed),
            (pairing.second, pairing.first, 1.0 - pairing.observed),
        ):
            if who[agent].agent_hash != newest.agent_hash:
                continue
            if names.get(who[other].spec) != FIRST_OPPONENT:
                continue
            interval = wilson(share, pairing.games)
            if interval is None:
                return unknown
            elo = fit.elo_of(newest.agent_hash)
            values |= {
                "elo": None if elo is None else round(elo, 1),
                "score": round(share, 4),
                "score_ci95": [round(interval.low, 4), round(interval.high, 4)],
                "games": pairing.games,
            }
            text = (
                f"model {_name(newest)} against heuristic: {share:.2f} "
                f"[{interval.low:.2f}, {interval.high:.2f}] in {pairing.games} games"
            )
            return Finding(
                subject=subject, fires=interval.high < LEAST_RATE, text=text, values=values
            )
    return unknown


def _values(config: str, agent: AgentRef | None, run: str | None) -> dict[str, Any]:
    unknown = ("previous_id", "elo", "previous_elo", "drop", "se", "games")
    model = None if agent is None else agent.model_id
    return {"config": config, "model_id": model, **dict.fromkeys(unknown), "run": run}


def _name(agent: AgentRef) -> str:
    return agent.spec if agent.model_id is None else short(agent.model_id)
