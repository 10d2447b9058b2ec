"""`ringrift bench`: measure speed with the code that users run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringrift.cli.completion import complete_boards
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError

app = typer.Typer(add_completion=False, help="Measure speed.")


@app.command("engine")
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
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="Per configuration and repeat.")
    ] = 5.0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads.")] = 1,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Measurements; median.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="First seed of the games.")] = 42,
) -> None:
    """Measure the rules engine: random playouts, plies and games per second.

    A ply is one recorded move, bookkeeping moves included. Every ply is drawn uniformly from the
    complete legal set. Compilation and a warm-up are not timed; games in progress when the time is
    over are played to their end and counted.

    Reads and writes nothing; prints the rates with machine and versions.

    Examples: ringrift bench engine --playouts-only --boards square8,hexagonal --seconds 2 |
    ringrift bench engine --playouts-only --players 2,3,4 --threads 2 --json

    was: benchmark_engine.py
    """
    from statistics import median

    from ringrift.cli.main import version_fields
    from ringrift.rules import BOARDS, board_name
    from ringrift.rules.cpu import bench_playouts

    run = current()
    if not playouts_only:
        raise UsageError("only random playouts are measured so far", hint="--playouts-only")
    names = BOARDS if boards == "all" else [board_name(b) for b in boards.split(",")]
    seats = players.split(",")
    if not all(s in ("2", "3", "4") for s in seats):
        raise UsageError(f"players is {players!r}; expected 2, 3, 4 or a comma list of them")
    configs = [f"{name}_{seat}p" for name in names for seat in seats]
    results: list[dict[str, Any]] = []
    with run.out.progress() as progress:
        task = progress.task("compiling", total=len(configs) * repeat, unit="runs")
        for config in configs:
            rounds = []
            for _ in range(repeat):
                task.update(task.done, name=config)
                rounds.append(bench_playouts(config, seconds, threads, seed))
                task.advance()
            middle = sorted(rounds, key=lambda r: r["plies_per_s"])[len(rounds) // 2]
            rates = [r["plies_per_s"] for r in rounds]
            results.append(
                {**middle, "plies_per_s": median(rates), "min": min(rates), "max": max(rates)}
            )
        task.finish()
    columns = [
        Column("configuration"),
        Column("plies/s", number=True),
        Column("ns/ply", number=True),
        Column("games/s", number=True),
        Column("plies/game", number=True),
        Column("threads", number=True),
    ]
    rows = [
        [
            r["configuration"],
            round(r["plies_per_s"]),
            1e9 * threads / r["plies_per_s"],
            r["games_per_s"],
            r["plies"] / r["games"],
            r["threads"],
        ]
        for r in results
    ]
    run.out.result(
        {"results": results, "seconds": seconds, "seed": seed, **machine(), **version_fields()},
        human=run.out.table(columns, rows),
    )


def machine() -> dict[str, Any]:
    """Describe the machine and the compilers a figure was measured with."""
    import os
    import platform
    from importlib.metadata import version

    import psutil

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel file
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
        model = names[0] if names else model
    except OSError:
        pass
    return {
        "machine": {
            "cpu": model,
            "cores": len(os.sched_getaffinity(0)),
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
            "system": platform.platform(),
        },
        "numba": version("numba"),
        "numpy": version("numpy"),
    }
