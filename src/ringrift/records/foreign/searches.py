"""Search distributions in foreign records: kept where they name moves (selfplay.md 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ringrift.records.foreign.fields import Object, list_of, pick, shares_of, whole_of
from ringrift.records.ply_analysis import PlyAnalysis, quantize
from ringrift.records.record import VerificationError, refuse
from ringrift.rules import Position

_POLICY = ("mctsPolicy", "mcts_policy", "moveProbs", "move_probs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSearch:
    """The search of one ply: shares by move text, or None if they were by place in a lost list.

    `value` and `root_value` have one entry per seat, none where the record is silent.
    """

    policy: Mapping[str, float] | None
    sims: int = 0
    value: tuple[float, ...] = ()
    root_value: tuple[float, ...] = ()


def read_search(fields: Object) -> ForeignSearch | None:
    """Read what a move's entry says of a search; None if it says nothing."""
    policy = pick(fields, *_POLICY)
    if not policy:
        return None
    return ForeignSearch(
        policy=_by_text(policy),
        sims=whole_of(fields, "simulations", "mctsSimulations") or 0,
        value=_values(fields, "value"),
        root_value=_values(fields, "rootValue"),
    )


def _by_text(policy: Any) -> Mapping[str, float] | None:
    if isinstance(policy, list) or (
        isinstance(policy, dict) and all(key.strip().isdecimal() for key in policy)
    ):
        return None
    return shares_of(policy, "mctsPolicy")


def _values(fields: Object, name: str) -> tuple[float, ...]:
    values = list_of(fields, name) or []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 1:
            raise refuse(name, values, "values from -1 to 1, one per seat")
    return tuple(map(float, values))


def ply_analysis(search: ForeignSearch, position: Position, ply: int) -> PlyAnalysis:
    """Return a search at its position; raises `bad_policy` for what the gate refuses."""
    legal = {move.text: move.packed for move in position.legal_moves()}
    policy = search.policy or {}
    wrong = next((text for text in policy if text not in legal), None)
    if wrong is not None:
        detail = f"found {wrong!r:.80}, which is not legal in {position.phase}"
        raise VerificationError("bad_policy", detail, ply=ply, where="field mctsPolicy")
    total = sum(policy.values())
    if abs(total - 1) > 1e-6:
        detail = f"found a sum of {total:.9g}; expected 1"
        raise VerificationError("bad_policy", detail, ply=ply, where="field mctsPolicy")
    return PlyAnalysis(
        ply=ply,
        kind="full",
        sims=search.sims,
        value=search.value,
        root_value=search.root_value,
        policy=quantize({legal[text]: share for text, share in policy.items()}),
    )


def search_json(found: PlyAnalysis, position: Position) -> dict[str, Any]:
    """Return the fields that a move's entry gets for its search."""
    total = sum(found.policy.values())
    return {
        "mctsPolicy": {position.move_text(m): k / total for m, k in found.policy.items()},
        "value": list(found.value),
        "rootValue": list(found.root_value),
        "simulations": found.sims,
    }
