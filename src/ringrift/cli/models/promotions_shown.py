"""How candidates, decisions and checks of champions are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.cli.models.parts import SHOWN_DIGITS
from ringrift.cli.output import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.models.candidates import Candidate
    from ringrift.models.decisions import Decision
    from ringrift.models.rollback import Check


def show(
    run: Invocation,
    console: Console,
    candidates: Sequence[Candidate],
    decisions: Sequence[Decision],
    checks: Sequence[Check],
    notes: Sequence[str],
) -> None:
    """Print the table of candidates, a line for each decision and check, then notes."""
    from rich.text import Text

    if candidates or not (notes or decisions or checks):
        console.print(_table(run, candidates))
    for decision in decisions:
        text = (
            f"{decision.config}: {decision.kind} {decision.candidate[:SHOWN_DIGITS]}: "
            f"{decision.reason}"
        )
        style = "red" if decision.kind == "manual" else ""
        console.print(Text(text, style), soft_wrap=True)
    for found in checks:
        console.print(
            f"{found.config}: champion {found.answer}, {found.reason} "
            f"({found.in_row} checks in a row)",
            soft_wrap=True,
        )
    for told in notes:
        console.print(told, soft_wrap=True)


def decision_fields(decision: Decision) -> dict[str, Any]:
    """Return a decision as it is published."""
    return {
        "config": decision.config,
        "kind": decision.kind,
        "candidate": decision.candidate,
        "champion_before": decision.champion_before,
        "champion": decision.champion,
        "reason": decision.reason,
        "file": decision.name,
        "games": decision.inputs.get("games"),
        "elo_diff": decision.inputs.get("elo_diff"),
        "warnings": list(decision.inputs.get("warnings") or ()),
    }


def _table(run: Invocation, found: Sequence[Candidate]) -> Any:
    columns = [
        Column("candidate"),
        Column("configuration"),
        Column("games", number=True),
        Column("score", number=True),
        Column("LLR", number=True),
        Column("random", number=True),
        Column("heuristic", number=True),
        Column("missing"),
        Column("would be"),
    ]
    rows = []
    for candidate in found:
        row = candidate.as_json()
        rows.append(
            [
                row["candidate"][:SHOWN_DIGITS],
                row["config"],
                row["games"],
                row["score"],
                row["llr"],
                row["floor_random"],
                row["floor_heuristic"],
                ", ".join(row["missing"]),
                row["verdict"] or "",
            ]
        )
    return run.out.table(columns, rows) if rows else "no candidate: no model waits for a decision"
