"""The agents that a job's specs and its search control come to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringrift.agents.kinds import KINDS
from ringrift.agents.ladder import level_of
from ringrift.agents.spec import MIX, AgentSpec, Value, parse_spec
from ringrift.agents.temperature import board_move_scale
from ringrift.selfplay.control import SearchControl
from ringrift.selfplay.plans import PlayJob

if TYPE_CHECKING:
    from ringrift.agents.spec import ResolvedSpec

CAPPED = ("mcts", "gumbel", "descent")
"""Kinds whose searches are counted in simulations; all others decide every choice alike."""

_EXCLUDED = {"tau": ("temp",), "temp": ("tau",)}


def played_spec(text: str, control: SearchControl) -> AgentSpec:
    """Write into a spec what the control says about its kind; a mix's parts each for itself."""
    parsed = parse_spec(text)
    if parsed.kind == MIX:
        parts = tuple((played_spec(str(part), control), weight) for part, weight in parsed.parts)
        return replace(parsed, parts=parts)
    for key, value in _changes(parsed, control).items():
        parsed = parsed.without(*_EXCLUDED.get(key, ())).with_value(key, value)
    return parse_spec(str(parsed))


def models_of(text: str, config: str) -> list[str]:
    """Return the models that a spec names, those of a mix's parts or of its ladder level."""
    parsed = parse_spec(text)
    if parsed.kind == MIX:
        return [model for part, _ in parsed.parts for model in models_of(str(part), config)]
    level = int(parsed.number("level")) if parsed.kind == "ladder" else None
    model = parsed.model if level is None else level_of(config, level).model
    return [] if model is None else [model]


def move_scale(job: PlayJob) -> float:
    """Return how far schedules of temperature are stretched on the job's board."""
    return board_move_scale(job.spec.board) if job.control.temperature_scale_board else 1.0


def resolved_agents(job: PlayJob) -> tuple[ResolvedSpec, ...]:
    """Return who the agents of a job are in its records; raises `UsageError` for a bad spec."""
    from ringrift.agents.factory import identify

    return tuple(
        identify(
            played_spec(text, job.control),
            job.spec,
            explore=job.explore,
            move_scale=move_scale(job),
        )
        for text in job.agents
    )


def sims_of(parsed: AgentSpec) -> int | None:
    """Return the simulations of an agent's own search; None for one that counts none."""
    if parsed.kind not in CAPPED or parsed.get("sims") is None:
        return None
    return int(parsed.number("sims"))


def _changes(parsed: AgentSpec, control: SearchControl) -> dict[str, Value]:
    keys = KINDS[parsed.kind].keys
    found: dict[str, Value] = {}
    if control.full_sims is not None and parsed.kind in CAPPED:
        found["sims"] = control.full_sims
    tau = control.temperature_value
    if parsed.kind == "heuristic":
        if control.weight_noise > 0:
            found["noise"] = control.weight_noise
        if tau is None and control.noise_scale > 0:
            tau = control.noise_scale
    if tau is not None and "tau" in keys:
        found["tau"] = max(tau, keys["tau"].low)
    if control.temperature is not None and "temp" in keys:
        found["temp"] = control.temperature
    return found
