"""`ringrift data stats`: what stored games and JSON lines are like, counted (`data.md` 10)."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.data.parts import INPUT, OUTPUT, Db, OnlyBoard, OnlyPlayers, board_of, stores_of
from ringrift.cli.data.stats_fixing import (
    Clean,
    FixInPlace,
    QuarantineDir,
    fix_files,
    fixing_json,
    fixing_lines,
)
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.lists import list_command
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.data.statistics.finding import Sources
    from ringrift.data.statistics.gathering import Inputs
    from ringrift.data.statistics.report import Counted

FILTERS = "Filters"
HOUR_S = 3600.0
AUTO = "auto"


class Format(StrEnum):
    """What the report is written as."""

    MARKDOWN = "markdown"
    JSON = "json"
    BOTH = "both"


class PlotFormat(StrEnum):
    """What plots are written as."""

    PNG = "png"
    SVG = "svg"


def stats(
    db: Db = None,
    jsonl: Annotated[
        list[Path] | None,
        typer.Option(
            "--jsonl",
            metavar="FILE..",
            help="JSON lines, shards, journals, or folders of JSON lines.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    jsonl_dir: Annotated[
        list[Path] | None,
        typer.Option(
            "--jsonl-dir", metavar="DIR", help="Folder of JSON lines.", rich_help_panel=INPUT
        ),
    ] = None,
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive", "-r", help="Folders with those below them.", rich_help_panel=INPUT
        ),
    ] = False,
    jsonl_filelist: Annotated[
        list[Path] | None,
        typer.Option(
            "--jsonl-filelist",
            metavar="FILE",
            help="List of files, one a line, in its last tab-separated column.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    data_dir: Annotated[
        list[Path] | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="Folder of stores, shards and JSON lines [without any input: data/selfplay "
            "beside the store].",
            rich_help_panel=INPUT,
        ),
    ] = None,
    board: OnlyBoard = None,
    players: OnlyPlayers = None,
    ai_types: Annotated[
        list[str] | None,
        typer.Option(
            "--ai-types",
            metavar="SPEC..",
            help="Only games whose seats all are of these kinds or specs, as gumbel mcts.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    max_age_hours: Annotated[
        float | None,
        typer.Option(
            "--max-age-hours",
            min=0,
            metavar="H",
            help="Only files written in the last H hours.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    game_max_age_hours: Annotated[
        float | None,
        typer.Option(
            "--game-max-age-hours",
            min=0,
            metavar="H",
            help="Only games begun in the last H hours.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    include_unknown_game_timestamp: Annotated[
        bool,
        typer.Option(
            "--include-unknown-game-timestamp",
            help="With --game-max-age-hours, also games that do not say when.",
            rich_help_panel=FILTERS,
        ),
    ] = False,
    include_winner_only: Annotated[
        bool,
        typer.Option(
            "--include-winner-only",
            help="Count the ends of games whose lines name a winner and no moves.",
            rich_help_panel=FILTERS,
        ),
    ] = False,
    include_quarantined: Annotated[
        bool,
        typer.Option(
            "--include-quarantined",
            help="Count refused games of the stores too, as far as they replay.",
            rich_help_panel=FILTERS,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="File of the report.", rich_help_panel=OUTPUT
        ),
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format", "-f", help="Of the report; both writes two files.", rich_help_panel=OUTPUT
        ),
    ] = Format.MARKDOWN,
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plots", metavar="DIR", help="Folder of the eight plots.", rich_help_panel=OUTPUT
        ),
    ] = None,
    plot_format: Annotated[
        PlotFormat, typer.Option("--plot-format", help="Of the plots.", rich_help_panel=OUTPUT)
    ] = PlotFormat.PNG,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Exit 0 without a completed game, too.")
    ] = False,
    workers: Annotated[
        str,
        typer.Option(
            "--workers", metavar="auto|N", help="Processes that replay; auto: as it is worth it."
        ),
    ] = AUTO,
    fix_in_place: FixInPlace = False,
    clean: Clean = False,
    quarantine_dir: QuarantineDir = None,
    dry_run: DryRun = False,
) -> None:
    """Count what games are like: ends, seats, lengths, moves, agents, quality.

    Reads verified games of stores, and JSON lines, shards and journals, whose games are verified
    first; each game counts once. Without any input it reads the store and data/selfplay. Writes the
    report to --output or standard output, plots to --plots, and keeps a summary of each game in
    cache/game_summaries.db. --dry-run writes none of them.

    Exit code 1 without a completed game, 6 for a file that cannot be read.

    Examples: ringrift data stats | ringrift data stats --json |
    ringrift data stats --jsonl data/selfplay --recursive --format both -o report.md --plots plots
    """
    from ringrift.data.statistics.finding import find_sources
    from ringrift.data.statistics.markdown import markdown
    from ringrift.data.statistics.report import report

    invocation = current()
    count = _workers(workers)
    _check_places(output, plots)
    named = bool(jsonl or jsonl_dir or jsonl_filelist or data_dir)
    folders = list(data_dir or [])
    stores = stores_of(invocation, db) if db else []
    if not named and not db:
        stores, folders = _installed(invocation)
    now = time.time()
    sources = find_sources(
        stores=stores,
        jsonl=[*(jsonl or []), *(jsonl_dir or [])],
        lists=jsonl_filelist or [],
        folders=folders,
        recursive=recursive,
    )
    if max_age_hours is not None:
        sources = sources.without_old(max_age_hours * HOUR_S, now)
    fixing = fix_files(
        invocation, sources.files, fix_in_place, clean, quarantine_dir, dry_run=dry_run
    )
    inputs = _inputs(
        sources,
        board=board_of(board),
        players=players,
        ai_types=frozenset(ai_types or ()),
        max_age_s=None if game_max_age_hours is None else game_max_age_hours * HOUR_S,
        now=now,
        unknown_times=include_unknown_game_timestamp,
        quarantined=include_quarantined,
        outcomes=include_winner_only,
    )
    counted = _count(invocation, inputs, count, keep=not dry_run)
    tree = report(counted, inputs, scores=_scores(invocation, inputs, counted))
    tree["inputs"]["too_old"] = [str(path) for path in sources.too_old]
    written = [] if dry_run else _written(tree, counted, output, form, plots, plot_format)
    ok = tree["completed"] > 0 or allow_empty
    shown = fixing_lines(fixing)
    if output is None and form is not Format.JSON:
        shown.append(markdown(tree).rstrip("\n"))
    if output is None and form is not Format.MARKDOWN:
        shown.append(_json(tree))
    shown += [f"wrote {path}" for path in written]
    if not ok:
        shown.append("no completed game")
    invocation.out.result(
        {**tree, "written": [str(path) for path in written], "fixing": fixing_json(fixing)},
        human="\n".join(shown),
        ok=ok,
    )
    if not ok:
        raise typer.Exit(NegativeResult.exit_code)


def _workers(text: str) -> int | None:
    if text == AUTO:
        return None
    if text.isdigit() and 1 <= int(text) <= 1024:
        return int(text)
    raise UsageError(f"found {text!r}; expected auto or a whole number", where="--workers")


def _check_places(output: Path | None, plots: Path | None) -> None:
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        raise UsageError(f"no file can be made at {output}", where="--output")
    if plots is not None and plots.exists() and not plots.is_dir():
        raise UsageError(f"{plots} is no folder", where="--plots")


def _installed(invocation: Invocation) -> tuple[list[Path], list[Path]]:
    """Return the store and the folder of JSON lines of the installation, as far as they exist."""
    paths = invocation.paths(create=False)
    store = paths.game_store
    return (
        stores_of(invocation, [store]) if store.is_file() else [],
        [paths.selfplay] if paths.selfplay.is_dir() else [],
    )


def _inputs(sources: Sources, *, quarantined: bool, outcomes: bool, **filters: Any) -> Inputs:
    from ringrift.data.statistics.filters import Filters
    from ringrift.data.statistics.gathering import Inputs

    return Inputs(
        stores=sources.stores,
        files=sources.files,
        filters=Filters(**filters),
        quarantined=quarantined,
        outcomes=outcomes,
    )


def _count(invocation: Invocation, inputs: Inputs, workers: int | None, *, keep: bool) -> Counted:
    from ringrift.core.paths import Paths
    from ringrift.data.statistics.cache import FILE_NAME, SummaryCache
    from ringrift.data.statistics.gathering import count_games
    from ringrift.data.statistics.report import count_inputs

    root = invocation.known_root()
    known = keep and root is not None and Paths(root).exists
    path = Paths(root).cache / FILE_NAME if known and root is not None else None
    with SummaryCache(path) as cache, invocation.out.progress() as progress:
        task = progress.task("counting", total=count_games(inputs), unit="games")
        counted = count_inputs(inputs, cache, workers=workers, on_games=task.advance)
        task.finish()
    return counted


def _scores(
    invocation: Invocation, inputs: Inputs, counted: Counted
) -> dict[str, dict[str, Any] | None]:
    """Return the data quality score of each configuration of the stores."""
    if not inputs.stores:
        return {}
    from dataclasses import asdict

    from ringrift.data.quality.score import quality_score

    full = invocation.settings().values.selfplay.mcts_simulations
    found: dict[str, dict[str, Any] | None] = {}
    for config in counted.tallies:
        score = asdict(quality_score(inputs.stores, config, full_simulations=full))
        del score["config"]
        found[config] = {**score, "components": list(score["components"])}
    return found


def _json(tree: dict[str, Any]) -> str:
    import json

    return json.dumps(tree, ensure_ascii=False, allow_nan=False, indent=1)


def _written(
    tree: dict[str, Any],
    counted: Counted,
    output: Path | None,
    form: Format,
    plots: Path | None,
    plot_format: PlotFormat,
) -> list[Path]:
    from ringrift.core.files import write_atomic
    from ringrift.data.statistics.markdown import markdown
    from ringrift.data.statistics.plots import PLOTS, draw

    texts: dict[Path, str] = {}
    if output is not None:
        both = form is Format.BOTH
        if form is not Format.JSON:
            texts[output.with_suffix(".md") if both else output] = markdown(tree)
        if form is not Format.MARKDOWN:
            texts[output.with_suffix(".json") if both else output] = _json(tree) + "\n"
    for path, text in texts.items():
        write_atomic(path, text.encode())
    written = list(texts)
    if plots is not None and tree["configurations"]:
        plots.mkdir(parents=True, exist_ok=True)
        for name in PLOTS:
            path = plots / f"{name}.{plot_format}"
            write_atomic(path, draw(name, tree, counted, form=plot_format.value))
            written.append(path)
    return written


def register(app: typer.Typer) -> None:
    """Add the command."""
    lists = ("--db", "--jsonl", "--jsonl-dir", "--jsonl-filelist", "--data-dir")
    app.command("stats", cls=list_command(*lists, words=("--ai-types",)))(stats)
