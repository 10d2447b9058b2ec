"""Make the agent that a spec names."""

from __future__ import annotations

from collections.abc import Callable

from ringrift.agents.protocol import Agent, Model
from ringrift.agents.spec import AgentSpec, parse_spec, resolve
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec

Models = Callable[[str], Model]
"""Finds a loaded model by what a spec says after `@`; raises what is wrong with it."""


def make_agent(
    text: str | AgentSpec,
    spec: BoardSpec,
    models: Models | None = None,
    *,
    explore: bool = False,
) -> Agent:
    """Make the agent that `text` names for games of `spec`.

    `models` loads what stands after `@`. `explore` is the default of a search's own noise: on in
    self-play, off in matches. Raises `UsageError` for a bad spec and whatever `models` raises.
    """
    parsed = parse_spec(text) if isinstance(text, str) else text
    if parsed.kind == "random":
        from ringrift.agents.random_agent import RandomAgent

        return RandomAgent(resolve(parsed))
    if parsed.kind == "heuristic":
        from ringrift.agents.heuristic import HeuristicAgent

        return HeuristicAgent(resolve(parsed), tau=parsed.number("tau"), eps=parsed.number("eps"))
    return _gumbel(parsed, spec, models, explore=explore)


def _gumbel(parsed: AgentSpec, spec: BoardSpec, models: Models | None, *, explore: bool) -> Agent:
    from ringrift.agents.evaluators import HeuristicEvaluator
    from ringrift.agents.gumbel import GumbelAgent, GumbelOptions

    scale = parsed.get("scale")
    if scale is None:
        scale = 1.0 if explore else 0.0
        parsed = parsed.with_value("scale", scale)
    options = GumbelOptions(
        sims=int(parsed.number("sims")),
        m=int(parsed.number("m")),
        scale=float(scale),
        c_visit=parsed.number("c_visit"),
        c_scale=parsed.number("c_scale"),
    )
    if parsed.model is None:
        return GumbelAgent(resolve(parsed), spec, HeuristicEvaluator(spec), options)
    if models is None:
        raise UsageError(f"agent spec {parsed}: no models can be loaded here")
    model = models(parsed.model)
    return GumbelAgent(resolve(parsed, model_id=model.id), spec, model.evaluator(), options)
