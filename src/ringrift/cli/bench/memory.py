"""`ringrift bench memory`: peak and growth of each agent's memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ringrift.cli.bench.parts import (
    MIB,
    Gate,
    Outcome,
    OutputFile,
    Repeat,
    agent_maker,
    configurations,
    finish,
    show_plan,
)
from ringrift.cli.completion import complete_boards
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun, Seed
from ringrift.core.errors import NotRunningError, UsageError

OUTPUT_NAME = "bench-memory.json"
SMALL = "square8,hex8"


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("memory")(memory)


def memory(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="random and heuristic on square8: what nothing else is said of.",
            rich_help_panel="Cases",
        ),
    ] = False,
    standard: Annotated[
        bool,
        typer.Option(
            "--standard", help="Every kind of search too, and hex8.", rich_help_panel="Cases"
        ),
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="All boards, and the levels of the ladder on square8.",
            rich_help_panel="Cases",
        ),
    ] = False,
    nnue: Annotated[
        bool,
        typer.Option("--nnue", help="Also agents with the NNUE model.", rich_help_panel="Cases"),
    ] = False,
    ai_types: Annotated[
        str | None,
        typer.Option(
            "--ai-types",
            metavar="LIST",
            help="These agents instead, as heuristic,mcts:sims=16.",
            rich_help_panel="Cases",
        ),
    ] = None,
    board_types: Annotated[
        str | None,
        typer.Option(
            "--board-types",
            metavar="LIST",
            help="These boards instead, or all.",
            autocompletion=complete_boards,
            rich_help_panel="Cases",
        ),
    ] = None,
    difficulties: Annotated[
        str | None,
        typer.Option(
            "--difficulties",
            metavar="LIST",
            help="Also these levels of the ladder, as 1,3,5.",
            rich_help_panel="Cases",
        ),
    ] = None,
    players: Annotated[
        str,
        typer.Option(
            "--players",
            "--num-players",
            metavar="LIST",
            help="2, 3, 4 or a list.",
            rich_help_panel="Cases",
        ),
    ] = "2",
    games: Annotated[
        int,
        typer.Option(
            "--games", min=2, help="Games whose growth is measured.", rich_help_panel="Cases"
        ),
    ] = 20,
    max_plies: Annotated[
        int | None,
        typer.Option(
            "--max-plies",
            min=1,
            help="Cap of a game [default: the limit of the configuration].",
            rich_help_panel="Cases",
        ),
    ] = None,
    repeat: Repeat = 5,
    seed: Seed = 42,
    output: OutputFile = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="DIR",
            help=f"Also write the result to {OUTPUT_NAME} in that folder.",
            rich_help_panel="Output",
        ),
    ] = None,
    remote: Annotated[
        str | None,
        typer.Option("--remote", metavar="HOST", help="Run as a job on that node."),
    ] = None,
    gate: Gate = False,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Measure peak memory and growth per game of agents on boards.

    Each case plays games against itself in a process of its own: two to warm up, then those that
    count, with the resident memory read after each; the growth is the slope of least squares, per
    game and per move. Then the ten lines are listed whose Python allocations grow most. An agent
    that cannot be made here, or fails, is a row that says why; nothing stands in for it. A repeat
    is a new process. The gate refuses growth of more than 1 MiB a game, and cases not measured.

    Reads nothing but the models of the agents; appends to runs/bench/memory.jsonl where there is a
    data root.

    Exit code 3 with --remote: nodes come with the cluster.

    Examples: ringrift bench memory --ai-types heuristic --board-types square8 --games 10 |
    ringrift bench memory --standard --gate --json

    was: benchmark_ai_memory.py
    """
    from dataclasses import replace

    from ringrift.agents.benchmarks.memory import MemoryResult, cases, run_case

    run = current()
    if remote is not None:
        raise NotRunningError(
            f"no node {remote!r} can be reached: nodes come with the cluster",
            where="--remote",
            hint="without --remote, on this machine",
        )
    if quick + standard + full > 1:
        raise UsageError("more than one of --quick, --standard and --full", hint="one of them")
    if output is not None and output_dir is not None:
        raise UsageError("--output and --output-dir together", hint="one of them")
    wanted = [
        replace(case, max_plies=max_plies)
        for agents, boards in _grid(
            standard=standard,
            full=full,
            nnue=nnue,
            ai_types=ai_types,
            board_types=board_types,
            difficulties=difficulties,
        )
        for case in cases(agents, configurations(boards, players), games=games, seed=seed)
    ]
    names = [case.name for case in dict.fromkeys(wanted)]
    if dry_run:
        show_plan(run, {"cases": names, "games": games, "repeat": repeat, "seed": seed})
        return
    ready_for(run, producing=False, wait=not no_wait)
    make = agent_maker(run)
    found: list[MemoryResult] = []
    with run.out.progress() as progress:
        task = progress.task("playing", total=len(names), unit="cases")
        for case in dict.fromkeys(wanted):
            task.update(task.done, name=case.name)
            found.append(run_case(case, make, repeat))
            task.advance()
        task.finish()
    if output_dir is not None:
        output_dir.mkdir(parents=True, exist_ok=True)
        output = output_dir / OUTPUT_NAME
    rows = [result.row for result in found]
    lost = [row["case"] for row in rows if row["status"] != "measured"]
    for row in rows:
        if row["status"] != "measured":
            run.out.note(f"{row['case']}: {row['status']}: {row['reason']}")
    columns = [
        Column("case"),
        Column("peak, MiB", number=True),
        Column("growth, KiB/game", number=True),
        Column("+-", number=True),
        Column("KiB/move", number=True),
        Column("moves", number=True),
        Column("grows most at"),
    ]
    finish(
        run,
        Outcome(
            fields={"results": rows, "games": games, "repeat": repeat, "seed": seed},
            figures=[figure for result in found for figure in result.figures],
            checks=[check for result in found for check in result.checks],
            not_run=f"not measured: {', '.join(lost)}" if lost else None,
        ),
        output=output,
        gate=gate,
        human=run.out.table(columns, [_cells(row) for row in rows]),
    )


def _grid(
    *,
    standard: bool,
    full: bool,
    nnue: bool,
    ai_types: str | None,
    board_types: str | None,
    difficulties: str | None,
) -> list[tuple[list[str], str]]:
    """Return agents with their boards; lists that are given replace those of the size."""
    from ringrift.agents.benchmarks.memory import LIGHT_AGENTS, NNUE_AGENTS, SEARCHES
    from ringrift.agents.ladder import LEVELS
    from ringrift.agents.spec import parse_spec, parse_specs

    agents = [*LIGHT_AGENTS, *(SEARCHES if standard or full else ())]
    if ai_types is not None:
        agents = [str(spec) for spec in parse_specs(ai_types)]
    elif difficulties is not None:
        agents = []
    if nnue:
        agents += NNUE_AGENTS
    boards = board_types or ("all" if full else SMALL if standard else "square8")
    grid = [([str(parse_spec(agent)) for agent in agents], boards)]
    levels = _levels(difficulties, LEVELS)
    if levels:
        grid.append(([f"ladder:level={level}" for level in levels], boards))
    elif full and ai_types is None:
        grid.append(([f"ladder:level={n}" for n in range(1, LEVELS + 1)], board_types or "square8"))
    return [row for row in grid if row[0]]


def _levels(text: str | None, most: int) -> list[int]:
    if text is None:
        return []
    parts = text.split(",")
    if not all(part.isdigit() and 1 <= int(part) <= most for part in parts):
        raise UsageError(
            f"difficulties are {text!r}; expected levels from 1 to {most}", where="--difficulties"
        )
    return [int(part) for part in parts]


def _cells(row: dict[str, Any]) -> list[Any]:
    if row["status"] != "measured":
        return [row["case"], None, None, None, None, None, row["status"]]
    top = row["allocations"][0] if row["allocations"] else None
    return [
        row["case"],
        row["peak_rss"]["median"] / MIB,
        row["growth_per_game"]["median"] / 1024,
        row["growth_error_bytes_per_game"] / 1024,
        row["growth_per_move"]["median"] / 1024,
        row["moves"],
        "" if top is None else f"{top['file']}:{top['line']}",
    ]
