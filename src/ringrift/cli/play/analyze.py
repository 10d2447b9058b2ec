"""`ringrift play analyze`: best moves of a position, redrawn while an agent searches."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.engine import chosen_spec
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import Column
from ringrift.cli.play.parts import (
    PositionSource,
    RuleOptions,
    maker,
    position_from,
    value_text,
)
from ringrift.cli.shared_options import Board, ConfigKey, Players, Seed
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.agents.hosting.analysis import Update
    from ringrift.agents.protocol import Agent
    from ringrift.rules import Position

DEFAULT_AGENT = "gumbel:eval=heuristic"
DEFAULT_MS = 10_000.0
LINE_SHOWN = 4


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("analyze")(analyze)


def analyze(
    position: PositionSource = None,
    game: Annotated[
        str | None,
        typer.Option(
            "--game",
            metavar="ID",
            help="Stored game: its id, or the first 6 digits or more.",
            rich_help_panel="Input",
        ),
    ] = None,
    ply: Annotated[
        int | None,
        typer.Option(
            "--ply",
            min=0,
            metavar="K",
            help="Position of the game before this ply [default: the last].",
            rich_help_panel="Input",
        ),
    ] = None,
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    options: RuleOptions = None,
    agent: Annotated[
        str,
        typer.Option("--agent", metavar="SPEC", help="Agent.", rich_help_panel="Search"),
    ] = DEFAULT_AGENT,
    time_ms: Annotated[
        float | None,
        typer.Option(
            "--ms",
            min=1,
            metavar="N",
            help="Time in ms [default: 10000 without --sims].",
            rich_help_panel="Search",
        ),
    ] = None,
    sims: Annotated[
        int | None,
        typer.Option("--sims", min=1, metavar="N", help="Simulations.", rich_help_panel="Search"),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", min=1, max=50, help="Moves.", rich_help_panel="Search")
    ] = 5,
    seed: Seed = 42,
) -> None:
    """Analyse a position: best moves with values, visits, policy and lines.

    The search grows, simulations twofold or depth by one, and each step redraws the table; without
    a terminal the last is printed, and with --json one object per step. The value and the line of a
    move come from a search of its own after it, of 1 / --top of the size. Ctrl-C keeps the last.

    Reads the position, or the game store; writes nothing.

    Exit code 1 for a finished position, 6 for one that is none, 130 after Ctrl-C.

    Examples: ringrift play analyze --position state.txt --sims 256 --json |
    ringrift play analyze --game 4112f6 --ply 20 --agent heuristic
    """
    from ringrift.agents.protocol import Budget

    run = current()
    if (position is None) == (game is None):
        raise UsageError("one of --position and --game is needed", where="--position")
    if ply is not None and game is None:
        raise UsageError("--ply is of a stored game", where="--ply", hint="--game ID")
    if game is not None:
        found = _stored(run, game, ply)
    else:
        assert position is not None
        found = position_from(position, chosen_spec(config_key, board, players, options))
    if found.is_over:
        winner = found.winner or "none"
        raise NegativeResult(f"nothing to analyse: the game is over, winner {winner}")
    if time_ms is None and sims is None:
        time_ms = DEFAULT_MS
    player = maker(run, found.spec)(agent)
    _show(run, player, found, seed, Budget(sims=sims, time_ms=time_ms), top)


def _show(
    run: Invocation, agent: Agent, position: Position, seed: int, budget: Any, top: int
) -> None:
    from rich.live import Live

    from ringrift.agents.hosting.analysis import analyse

    console = run.out.console()
    live = not run.out.as_json and console.is_terminal
    last = None
    try:
        with Live(console=console, auto_refresh=False) if live else nullcontext() as screen:
            for update in analyse(agent, position, seed, budget, top=top):
                last = update
                if screen is not None:
                    screen.update(_table(run, agent, position, update), refresh=True)
                elif run.out.as_json:
                    run.out.result(_fields(agent, position, seed, update))
    finally:  # what an interruption leaves is the answer so far
        if last is not None and not live and not run.out.as_json:
            run.out.result({}, human=_table(run, agent, position, last))


def _fields(agent: Agent, position: Position, seed: int, update: Update) -> dict[str, Any]:
    return {
        "configuration": position.spec.config,
        "position": str(position),
        "player": position.current_player,
        "agent": agent.spec.text,
        "agent_hash": agent.spec.agent_hash,
        "seed": seed,
        "kind": update.kind,
        "sims": update.sims,
        "depth": update.depth,
        "nodes": update.nodes,
        "time_ms": update.time_ms,
        "value": None if update.value is None else list(update.value),
        "moves": [
            {
                "move": candidate.text,
                "value": None if candidate.value is None else list(candidate.value),
                "visits": candidate.visits,
                "policy": candidate.policy,
                "line": list(candidate.line),
            }
            for candidate in update.moves
        ],
    }


def _table(run: Invocation, agent: Agent, position: Position, update: Update) -> RenderableType:
    value = value_text(update.value)
    title = (
        f"{position.spec.config}, P{position.current_player} to move, {agent.spec.text}: "
        f"{update.sims:,} simulations, {update.nodes:,} nodes, {update.time_ms / 1000:.1f} s"
        f"{f', value {value}' if value else ''}"
    )
    columns = [
        Column("move"),
        Column("value", number=True),
        Column("visits", number=True),
        Column("policy %", number=True),
        Column("line"),
    ]
    rows = [
        [
            candidate.text,
            value_text(candidate.value),
            candidate.visits,
            None if candidate.policy is None else f"{100 * candidate.policy:.1f}",
            "; ".join(candidate.line[:LINE_SHOWN]),
        ]
        for candidate in update.moves
    ]
    return run.out.table(columns, rows, title=title)


def _stored(run: Invocation, game: str, ply: int | None) -> Position:
    """Return a position of a stored game."""
    from ringrift.records import GameStore, Replayer

    path = run.paths(create=False).game_store
    if not path.is_file():
        raise UsageError(f"no game store {path}", where="--game", hint="--root DIR")
    with GameStore.open(path) as store:
        found = store.get(store.find(game))
    if found is None:
        raise UsageError(f"no game {game!r}", where="--game")
    record = found[0]
    plies = len(record.moves)
    at = max(0, plies - 1) if ply is None else ply
    if at > plies:
        raise UsageError(f"ply is {ply}; expected 0 to {plies}", where="--ply")
    replayer = Replayer(record.spec, record.start, record.moves)
    replayer.advance(at)
    return replayer.position.copy()
