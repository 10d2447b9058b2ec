"""`ringrift eval trend`: how strong the best and the champion were over time (`evaluation.md` 11)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.eval.leaderboard import ALL, OfAnyConfig, configurations, rules_in
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringrift.cli.output import Output
    from ringrift.evaluation.trends import Trend
    from ringrift.models.decisions import Chain

OUTPUT = "Output"
PLOTS = (".png", ".svg")


def trend(
    config_key: OfAnyConfig = ALL,
    db: Annotated[
        Path | None,
        typer.Option("--db", metavar="STORE", help="Game store [default: data/games/games.db]."),
    ] = None,
    hours: Annotated[
        float,
        typer.Option(
            "--hours", min=0.1, metavar="H", help="Window before now; days beyond a week."
        ),
    ] = 24.0,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="FILE.csv", help="Also write the points.", rich_help_panel=OUTPUT
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE.png|.svg",
            help="Draw it; with several configurations one file each.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Show how strong the best agent and the champion were over time.

    Reads the match games of the store and the decisions about champions. Each point is a fit of the
    games that had begun by then, each full hour of the window (each day beyond a week). Writes what
    --export and --plot name; a window without games has no points, which is no error.

    Examples: ringrift eval trend --hours 168 | ringrift eval trend --config-key square8_2p --json

    was: track_elo_improvement.py
    """
    from ringrift.evaluation.ratings.service import RatingSource
    from ringrift.evaluation.trends import csv_of
    from ringrift.evaluation.trends import trend as trend_of

    run = current()
    if export is not None and export.suffix != ".csv":
        raise UsageError(f"found {export.name!r}; expected FILE.csv", where="--export")
    if plot is not None and plot.suffix not in PLOTS:
        raise UsageError(f"found {plot.name!r}; expected FILE.png or FILE.svg", where="--plot")
    paths = run.paths(create=False)
    source = RatingSource.of_root(paths, rules_in(run))
    if db is not None:
        if not db.is_file():
            raise UsageError("no such file", where=f"--db {db}")
        source = RatingSource(
            store=db, objects=source.objects, folder=source.folder, rules=source.rules
        )
    now = time.time()
    trends, chains = [], []
    with run.out.progress() as progress:
        names = configurations(source, config_key)
        task = progress.task("fitting", total=len(names), unit="configurations")
        for config in names:
            chain = _chain(paths.decisions, config)
            games = source.games(config)
            trends.append(
                trend_of(
                    games,
                    source.rules,
                    source.parents(games),
                    _champions(chain),
                    since=now - 3600.0 * hours,
                    until=now,
                )
            )
            chains.append(chain)
            task.advance()
        task.finish()
    files = [] if plot is None else _draw(plot, trends, chains)
    if export is not None:
        from ringrift.core.files import write_atomic

        export.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(export, csv_of(trends))
        files.append(export)
    run.out.result(
        {
            "hours": hours,
            "configurations": [one.as_tree() for one in trends],
            "files": [str(path) for path in files],
        },
        human=lambda console: _print(console, run.out, trends, files),
    )


def _chain(folder: Path, config: str) -> Chain:
    from ringrift.models.decisions import read_chain

    return read_chain(folder, config)


def _champions(chain: Chain) -> list[tuple[float, str]]:
    """Return since when which model was champion, oldest first."""
    found: list[tuple[float, str]] = []
    for decision in chain.decisions:
        if decision.champion and (not found or found[-1][1] != decision.champion):
            found.append((decision.at_s, decision.champion))
    return found


def _draw(path: Path, trends: Sequence[Trend], chains: Sequence[Chain]) -> list[Path]:
    from ringrift.evaluation.plots import elo_over_time
    from ringrift.evaluation.ratings.pictures import save

    files = []
    kind: Any = path.suffix[1:]
    for one, chain in zip(trends, chains, strict=True):
        name = path.stem if len(trends) == 1 else f"{path.stem}-{one.config}"
        promotions = [d.at_s for d in chain.decisions if d.kind == "promoted"]
        begun = min((point.at for point in one.points), default=0.0)
        figure = elo_over_time(one, [at for at in promotions if at >= begun])
        files += save(path.parent, name, figure, one.as_tree(), kind)
    return files


def _print(console: Console, out: Output, trends: Sequence[Trend], files: Sequence[Path]) -> None:
    from ringrift.evaluation.ratings.leaderboard import name_of
    from ringrift.evaluation.ratings.table import utc

    if not any(one.points for one in trends):
        console.print("no rated match games in this window")
    columns = [
        Column("time (UTC)"),
        Column("series"),
        Column("agent"),
        Column("Elo", number=True),
        Column("95 %", number=True),
        Column("change", number=True),
        Column("games", number=True),
    ]
    for one in trends:
        if not one.points:
            continue
        rows = [
            [
                utc(point.at)[:16],
                point.series,
                name_of(point.agent),
                f"{point.elo:.1f}",
                "{:.0f} to {:.0f}".format(*point.ends),
                "-" if point.change is None else f"{point.change:+.1f}",
                point.games,
            ]
            for point in one.points
        ]
        console.print(out.table(columns, rows, title=one.config))
        for slope in one.slopes:
            if slope.ci95 is not None:
                console.print(
                    f"{slope.series}: {slope.elo_per_day:+.1f} Elo a day "
                    f"({slope.ci95[0]:+.1f} to {slope.ci95[1]:+.1f}), n={slope.points} points"
                )
    for path in files:
        console.print(f"written: {path}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trend")(trend)
