"""Name the agents of a match: a spec, what it resolves to, and a budget over its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringrift.agents.factory import identify
from ringrift.agents.foreign import identify_foreign, is_foreign, parse_foreign
from ringrift.agents.kinds import KINDS
from ringrift.agents.spec import MIX, AgentSpec, parse_spec
from ringrift.core.errors import UsageError
from ringrift.records.record import AgentRef

if TYPE_CHECKING:
    from ringrift.rules import BoardSpec

ARGUMENT_OF = {"sims": "sims", "nodes": "nodes", "depth": "depth", "time_ms": "ms"}
"""The argument of a spec that each budget of a plan (`plans.BUDGETS`) sets."""


def participant(text: str, spec: BoardSpec, *, budget: tuple[str, int] | None = None) -> AgentRef:
    """Return who plays as `text`, whose models are written as full ids.

    `budget` overrides that of every kind of search that counts in it. A program of others is
    started once and asked who it is.
    """
    if is_foreign(text):
        program = parse_foreign(text)
        if budget is not None:
            program = program.with_limit(ARGUMENT_OF[budget[0]], budget[1])
        found = identify_foreign(str(program), spec)
        return AgentRef(spec=found.text, agent_hash=found.agent_hash)
    parsed = parse_spec(text)
    found = identify(parsed if budget is None else with_budget(parsed, *budget), spec)
    return AgentRef(spec=found.text, agent_hash=found.agent_hash, model_id=found.model_id)


def search_spec(model_id: str, *, sims: int, considered: int, c_scale: float) -> str:
    """Return the spec with which a model plays matches: no noise at the root."""
    return f"gumbel@{model_id}:sims={sims},m={considered},c_scale={c_scale!r},scale=0"


def with_budget(parsed: AgentSpec, name: str, amount: int) -> AgentSpec:
    """Return a spec with another budget; kinds that have no such budget stay as they are."""
    if name not in ARGUMENT_OF:
        raise UsageError(f"budget {name!r}; expected one of {', '.join(ARGUMENT_OF)}")
    if parsed.kind == MIX:
        parts = tuple((with_budget(part, name, amount), weight) for part, weight in parsed.parts)
        return replace(parsed, parts=parts)
    argument = ARGUMENT_OF[name]
    if argument not in KINDS[parsed.kind].keys:
        return parsed
    return parsed.with_value(argument, amount)
