"""`ringrift bench engine`: the rules and a pair of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.bench.parts import (
    MIB,
    Gate,
    Outcome,
    OutputFile,
    Repeat,
    agent_maker,
    board_spec,
    configurations,
    finish,
    show_plan,
)
from ringrift.cli.completion import complete_boards
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun, Seed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.agents.benchmarks.engine import EngineResult

HEAVY_FROM_S = 10.0
PLAYOUT_SECONDS, FULL_SECONDS = 5.0, 1.0


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("engine")(engine)


def engine(
    playouts_only: Annotated[
        bool, typer.Option("--playouts-only", help="Random playouts alone.")
    ] = False,
    boards: Annotated[
        str,
        typer.Option(
            "--boards",
            metavar="LIST",
            help="Comma list of boards, or all.",
            autocompletion=complete_boards,
        ),
    ] = "all",
    players: Annotated[
        str, typer.Option("--players", "--num-players", metavar="LIST", help="2, 3, 4 or a list.")
    ] = "2",
    agents: Annotated[
        str,
        typer.Option(
            "--agents",
            metavar="A,B",
            help="Two agents; the second takes all seats but one.",
        ),
    ] = "mcts:sims=100,descent:sims=200",
    games: Annotated[
        int, typer.Option("--games", min=1, help="Games of the pair, in every repeat the same.")
    ] = 10,
    max_plies: Annotated[
        int | None,
        typer.Option(
            "--max-plies", min=1, help="Cap of a game [default: the limit of the configuration]."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            min=0.1,
            help="Of playouts, and of legal sets, per configuration and repeat "
            "[default: 1; with --playouts-only 5].",
        ),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of playouts.")] = 1,
    repeat: Repeat = 5,
    seed: Seed = 42,
    output: OutputFile = None,
    gate: Gate = False,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Measure the rules and a pair of agents: games, plies, legal sets.

    A ply is one recorded move, bookkeeping moves included. The agents play in lock step after four
    random plies; the random playouts draw every ply uniformly from the complete legal set.
    Compilation and a warm-up are not timed. Wins, losses and capped games are the first agent's and
    the same at every run with the same seed, unless an agent has a time limit.

    Reads nothing but the models of the agents; appends to runs/bench/engine.jsonl where there is a
    data root. Waits for other work on the machine where it takes ten seconds or more. The gate
    demands random playouts of 1,350,000 plies/s a core on square8_2p, 313,000 on square19_2p and
    140,000 on hexagonal_2p.

    Examples: ringrift bench engine --boards square8 --agents heuristic,random |
    ringrift bench engine --playouts-only --boards square8,hexagonal --seconds 2 |
    ringrift bench engine --playouts-only --players 2,3,4 --threads 2 --json

    was: benchmark_engine.py
    """
    from ringrift.agents.benchmarks.engine import measure_engine, measure_playouts, two_agents
    from ringrift.agents.spec import parse_specs

    run = current()
    configs = configurations(boards, players)
    length_s = seconds or (PLAYOUT_SECONDS if playouts_only else FULL_SECONDS)
    pair = two_agents([str(spec) for spec in parse_specs(agents)])
    if dry_run:
        plan: dict[str, Any] = {"configurations": configs, "seconds": length_s, "threads": threads}
        if not playouts_only:
            plan |= {"agents": list(pair), "games": games, "max_plies": max_plies}
        show_plan(run, {**plan, "repeat": repeat, "seed": seed})
        return
    if not playouts_only or length_s * repeat * len(configs) >= HEAVY_FROM_S:
        ready_for(run, producing=False, wait=not no_wait)
    make = agent_maker(run)
    found: list[EngineResult] = []
    with run.out.progress() as progress:
        task = progress.task("compiling", total=len(configs) * repeat, unit="runs")
        for config in configs:
            task.update(task.done, name=config)
            if playouts_only:
                found.append(
                    measure_playouts(
                        config,
                        seconds=length_s,
                        threads=threads,
                        seed=seed,
                        repeat=repeat,
                        on_round=task.advance,
                    )
                )
                continue
            found.append(
                measure_engine(
                    board_spec(config),
                    pair,
                    make,
                    games=games,
                    seconds=length_s,
                    threads=threads,
                    seed=seed,
                    repeat=repeat,
                    max_plies=max_plies,
                    on_round=task.advance,
                )
            )
        task.finish()
    rows = [result.row for result in found]
    show = playout_table if playouts_only else pair_table
    finish(
        run,
        Outcome(
            fields={"results": rows, "seconds": length_s, "seed": seed, "repeat": repeat},
            figures=[figure for result in found for figure in result.figures],
            checks=[check for result in found for check in result.checks],
        ),
        output=output,
        gate=gate,
        human=show(run, rows),
    )


def playout_table(run: Invocation, rows: list[dict[str, Any]]) -> RenderableType:
    """Show the rates of random playouts."""
    columns = [
        Column("configuration"),
        Column("plies/s", number=True),
        Column("min", number=True),
        Column("max", number=True),
        Column("ns/ply", number=True),
        Column("games/s", number=True),
        Column("plies/game", number=True),
        Column("threads", number=True),
    ]
    return run.out.table(
        columns,
        [
            [
                row["configuration"],
                round(row["plies_per_s"]),
                round(row["min"]),
                round(row["max"]),
                1e9 * row["threads"] / row["plies_per_s"],
                row["games_per_s"],
                row["plies"] / row["games"],
                row["threads"],
            ]
            for row in rows
        ],
    )


def pair_table(run: Invocation, rows: list[dict[str, Any]]) -> RenderableType:
    """Show the games of the pair, then the rules alone, one line per quantity."""
    names = {
        "plies_per_s": "plies/s",
        "min": "plies/s, least",
        "max": "plies/s, greatest",
        "games_per_s": "games/s",
        "ns_per_ply": "ns/ply",
        "playouts_per_s": "random playouts/s",
        "playout_plies_per_s": "random plies/s",
        "legal_sets_per_s": "legal sets/s",
        "legal_moves_per_s": "legal moves/s",
        "gc_collections": "garbage collections",
        "gc_ms": "garbage collection, ms",
    }
    columns = [
        Column(" against ".join(rows[0]["agents"])),
        *(Column(row["configuration"], number=True) for row in rows),
    ]
    scores = [f"{row['wins']}-{row['losses']}-{row['capped']}" for row in rows]
    lines: list[list[Any]] = [[f"W-L-capped, {rows[0]['games']} games", *scores]]
    lines += [[text, *(row[name] for row in rows)] for name, text in names.items()]
    lines.append(["peak memory, MiB", *(row["peak_rss_bytes"] / MIB for row in rows)])
    lines.append(["same in all repeats", *(_yes(row["same_in_all_repeats"]) for row in rows)])
    return run.out.table(columns, lines)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
