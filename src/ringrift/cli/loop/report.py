"""`ringrift loop report`: pictures of a loop's history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.invocation import current
from ringrift.cli.loop.options import chosen
from ringrift.cli.output import Column
from ringrift.cli.shared_options import ConfigKey

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.core.paths import Paths


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("report")(report)


def report(
    config_key: ConfigKey = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Folder [default: data/loop/report]."),
    ] = None,
) -> None:
    """Draw strength, games/h, loss, reuse and time shares over wall time.

    Reads games, models, decisions and the event log; needs no running loop and no display. Writes for
    each configuration with a model CONFIG.png, CONFIG.svg and CONFIG.json, which holds the points.
    Elo is the rating of each champion (random = 400) with its 95 % interval, all from one fit.

    Examples: ringrift loop report | ringrift loop report --config-key square8_2p --output pictures
    """
    from ringrift.loop.reporting import draw_report

    run = current()
    paths, settings = run.paths(create=False), run.settings().values
    folder = paths.loop / "report" if output is None else output
    configs = chosen(config_key, config_names(paths))
    files, rows = [], []
    for config in configs:
        points, written = draw_report(paths, settings, config, folder)
        files += written
        rows.append((config, len(points["elo"]), len(points["decisions"]), points["games"]))
    columns = [
        Column("configuration"),
        Column("champions", number=True),
        Column("decisions", number=True),
        Column("games", number=True),
    ]
    table = run.out.table(columns, rows)
    lines = "\n".join(map(str, files)) or "no configuration has a model"

    def show(console: Console) -> None:
        console.print(table)
        console.print(lines, soft_wrap=True)

    run.out.result({"configs": list(configs), "files": [str(path) for path in files]}, human=show)


def config_names(paths: Paths) -> tuple[str, ...]:
    """Return the configurations that have decisions."""
    from ringrift.core.settings import CONFIGURATIONS
    from ringrift.models.decisions import read_chain

    return tuple(c for c in CONFIGURATIONS if read_chain(paths.decisions, c).decisions)
