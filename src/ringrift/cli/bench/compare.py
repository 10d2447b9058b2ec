"""`ringrift bench compare`: two stored results beside each other."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.bench.parts import Gate
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import Seed
from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from ringrift.agents.benchmarks.compare import Ratio


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("compare")(compare)


def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="The result before: FILE, or FILE@N for line N.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The result after.")],
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE.svg", help="Draw the ratios.", rich_help_panel="Output"
        ),
    ] = None,
    seed: Seed = 42,
    gate: Gate = False,
) -> None:
    """Compare two stored results: ratios with bootstrap intervals.

    Reads two results of one benchmark, as --output or runs/bench/ keeps them: a file's last line,
    or line N (FILE@-2 is the last but one). Prints B / A of each figure with the 95 % interval of
    10,000 resamples of both sides, and whether B is better, worse or level. With one sample on a
    side there is no interval. Writes nothing but the plot.

    Exit code 1 with --gate where a figure is worse.

    Examples: ringrift bench compare before.json after.json --plot ratios.svg |
    ringrift bench compare runs/bench/engine.jsonl@-2 runs/bench/engine.jsonl --gate --json
    """
    from ringrift.agents.benchmarks import compare as room
    from ringrift.agents.benchmarks.results import figures_of, read_result

    run = current()
    if plot is not None and plot.suffix != ".svg":
        raise UsageError(f"cannot draw {plot.name!r}", where="--plot", hint="FILE.svg")
    results = [read_result(reference) for reference in (a, b)]
    ratios = room.compare(
        *(figures_of(result, name) for result, name in zip(results, (a, b), strict=True)),
        seed=seed,
    )
    if plot is not None:
        write_atomic(plot, room.plot(ratios, a=Path(a).name, b=Path(b).name))
    worse = [ratio for ratio in ratios if ratio.verdict == "worse"]
    columns = [
        Column("case"),
        Column("figure"),
        Column("unit"),
        Column("A", number=True),
        Column("B", number=True),
        Column("B / A", number=True),
        Column("95 %", number=True),
        Column("n", number=True),
        Column("B is"),
    ]
    failed = gate and bool(worse)
    run.out.result(
        {
            "a": _named(a, results[0]),
            "b": _named(b, results[1]),
            "ratios": [{**asdict(ratio), "verdict": ratio.verdict} for ratio in ratios],
            "worse": len(worse),
            "seed": seed,
        },
        human=run.out.table(columns, [_cells(ratio) for ratio in ratios]),
        ok=not failed,
    )
    if len({_machine(result) for result in results}) > 1:
        run.out.note("the two were measured on different machines")
    if failed:
        raise typer.Exit(NegativeResult.exit_code)


def _machine(result: dict[str, Any]) -> tuple[Any, ...]:
    found = result.get("machine") or {}
    return tuple(found.get(name) for name in ("cpu", "cores", "system"))


def _named(reference: str, result: dict[str, Any]) -> dict[str, Any]:
    return {"reference": reference, "made": result.get("made"), "commit": result.get("commit")}


def _cells(ratio: Ratio) -> list[Any]:
    interval = None if ratio.low is None else f"{ratio.low:.3f} to {ratio.high:.3f}"
    middle = None if ratio.ratio is None else f"{ratio.ratio:.3f}"
    counts = f"{ratio.samples[0]}, {ratio.samples[1]}"
    return [
        ratio.case,
        ratio.name,
        ratio.unit,
        ratio.a,
        ratio.b,
        middle,
        interval,
        counts,
        ratio.verdict,
    ]
