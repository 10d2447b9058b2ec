"""`ringrift play move`: one decision of an agent."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.engine import chosen_spec
from ringrift.cli.invocation import current
from ringrift.cli.play.parts import (
    AgentText,
    PositionSource,
    RuleOptions,
    TimeMs,
    maker,
    position_from,
    value_text,
)
from ringrift.cli.shared_options import Board, ConfigKey, Players, Seed
from ringrift.core.errors import NegativeResult, UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("move")(move)


def move(
    agent: AgentText,
    position: PositionSource = None,
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    options: RuleOptions = None,
    time_ms: TimeMs = None,
    sims: Annotated[
        int | None,
        typer.Option(
            "--sims", min=1, metavar="N", help="Simulations instead.", rich_help_panel="Search"
        ),
    ] = None,
    seed: Seed = 42,
) -> None:
    """Choose one move of a position.

    Reads the position; canonical text is of --config-key or --board, JSON names its own. Writes
    nothing. The same position, agent, seed and budget give the same move, except under --ms.

    Exit code 1 for a finished position, 6 for one that is none, naming the field.

    Examples: ringrift play move --position state.txt --agent gumbel:sims=64,eval=heuristic |
    ringrift play move --position game.json --agent heuristic --json
    """
    from ringrift.agents.hosting.analysis import line_of
    from ringrift.agents.hosting.searching import decide
    from ringrift.agents.protocol import Budget

    run = current()
    if position is None:
        raise UsageError("no position", where="--position", hint="--position FILE, or -")
    found = position_from(position, chosen_spec(config_key, board, players, options))
    player = maker(run, found.spec)(agent)
    head = {
        "configuration": found.spec.config,
        "agent": player.spec.text,
        "agent_hash": player.spec.agent_hash,
        "seed": seed,
        "player": found.current_player,
    }
    if found.is_over:
        nothing = dict.fromkeys(("move", "kind", "value", "policy", "visits", "line"))
        figures = {"sims": 0, "depth": 0, "nodes": 0, "time_ms": 0.0}
        run.out.result(
            {**head, **nothing, **figures},
            human=f"no move: the game is over, winner {found.winner or 'none'}",
            ok=False,
        )
        raise typer.Exit(NegativeResult.exit_code)
    decision = decide(player, found, seed, Budget(sims=sims, time_ms=time_ms))
    text, line = found.move_text(decision.move), line_of(found, decision.pv)
    shares, counts = decision.policy, decision.visits
    lines = [text]
    if decision.value is not None:
        lines.append(f"value {value_text(decision.value)}")
    if decision.kind != "forced":
        searched = f"{decision.sims:,} simulations, " if decision.sims else ""
        lines.append(f"{searched}{decision.nodes:,} nodes, {decision.time_ms:,.1f} ms")
    if len(line) > 1:
        lines.append(f"line {'; '.join(line)}")
    run.out.result(
        {
            **head,
            "move": text,
            "kind": decision.kind,
            "value": None if decision.value is None else list(decision.value),
            "policy": None if shares is None else {found.move_text(m): p for m, p in shares},
            "visits": None if counts is None else {found.move_text(m): n for m, n in counts},
            "line": list(line),
            "sims": decision.sims,
            "depth": decision.depth,
            "nodes": decision.nodes,
            "time_ms": decision.time_ms,
        },
        human="\n".join(lines),
    )
