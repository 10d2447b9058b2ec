"""`ringrift eval leaderboard`: fitted ratings of all who played matches (`evaluation.md` 5)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.completion import complete_configurations
from ringrift.cli.games.parts import seconds_of
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.models.parts import config_of
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.output import Output
    from ringrift.evaluation.ratings.fit import FitRules
    from ringrift.evaluation.ratings.service import RatingSource

ROWS, OUTPUT = "Rows", "Output"
ALL = "all"
KINDS = ("nn", "nnue", "fixed")
SHOWN_OUTLIERS = 5

OfAnyConfig = Annotated[
    str,
    typer.Option(
        "--config-key",
        metavar="KEY|all",
        help="Configuration, as square8_2p, or all that have match games.",
        autocompletion=complete_configurations,
        rich_help_panel="Game",
    ),
]


def leaderboard(
    config_key: OfAnyConfig = ALL,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            metavar="TIME",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
            help="From the games that had ended then (UTC), as 2026-01-31 or 2026-01-31T12:00:00.",
            rich_help_panel="Game",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", min=1, metavar="N", help="Rows.", rich_help_panel=ROWS)
    ] = 50,
    min_games: Annotated[
        int,
        typer.Option(
            "--min-games", min=0, metavar="N", help="Least games of a row.", rich_help_panel=ROWS
        ),
    ] = 30,
    sort: Annotated[
        Literal["elo", "lower"],
        typer.Option("--sort", help="By rating or its lower end.", rich_help_panel=ROWS),
    ] = "elo",
    agents: Annotated[
        list[str] | None,
        typer.Option(
            "--agents",
            metavar="nn,nnue,fixed",
            help="Only networks of a kind, or agents without a model [default: all].",
            rich_help_panel=ROWS,
        ),
    ] = None,
    matrix: Annotated[
        bool,
        typer.Option("--matrix", help="Also who met whom, and how it went.", rich_help_panel=ROWS),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help="Also write .csv, .json, or .db (SQLite).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="DIR", help="Draw leaderboard and pairings.", rich_help_panel=OUTPUT
        ),
    ] = None,
    plot_format: Annotated[
        Literal["png", "svg", "both"],
        typer.Option("--plot-format", help="Format of what is drawn.", rich_help_panel=OUTPUT),
    ] = "both",
) -> None:
    """Rate all who played matches, and show who is how strong.

    Reads the match games of data/games/games.db; random is 400, all others are measured. Ratings
    come from all games at once (Plackett-Luce), never from a running number; settings rating.places,
    rating.prior_draws and evaluation.min_games_for_elo. Writes the fit to data/ratings, where other
    commands find it, and what --export and --plot name. A fit --as-of a time is not kept.

    Examples: ringrift eval leaderboard |
    ringrift eval leaderboard --config-key square8_2p --min-games 0 --matrix --json

    was: run_model_elo_tournament.py --leaderboard-only
    """
    from ringrift.evaluation.ratings.service import RatingSource

    run = current()
    kinds = _kinds(agents)
    if export is not None:
        from ringrift.evaluation.ratings.exporting import check_export

        check_export(export)
    source = RatingSource.of_root(run.paths(create=False), rules_in(run))
    at = seconds_of(as_of)
    boards = []
    with run.out.progress() as progress:
        names = configurations(source, config_key)
        task = progress.task("fitting", total=len(names), unit="configurations")
        for config in names:
            boards.append(
                board_of(source, config, at, top=top, least=min_games, sort=sort, kinds=kinds)
            )
            task.advance()
        task.finish()
    files = [] if plot is None else _draw(plot, boards, plot_format)
    fields = {
        "as_of": None if as_of is None else f"{as_of.isoformat()}Z",
        "configurations": [board if matrix else {**board, "matrix": None} for board in boards],
    }
    if export is not None:
        _export(source, export, boards, fields, at)
        files.append(export)
    run.out.result(
        {**fields, "files": [str(path) for path in files]},
        human=lambda console: _print(console, run.out, boards, matrix=matrix, files=files),
    )


def rules_in(run: Invocation) -> FitRules:
    """Return what the settings of this run say about fits."""
    from ringrift.evaluation.ratings.fit import FitRules

    settings = run.settings().values
    return FitRules(
        places=settings.rating.places,
        prior_draws=settings.rating.prior_draws,
        min_games=settings.evaluation.min_games_for_elo,
    )


def configurations(source: RatingSource, key: str) -> list[str]:
    """Return the configuration that is meant, or all that have match games."""
    from ringrift.core.settings.configurations import CONFIGURATIONS
    from ringrift.records.store import GameStore

    if key != ALL:
        found = config_of(None, None, key)
        return [] if found is None else [found]
    if not source.store.exists():
        return []
    with GameStore.open(source.store) as store:
        return [config for config in CONFIGURATIONS if store.count(config, purpose="match")]


def _kinds(words: list[str] | None) -> tuple[str, ...]:
    named = tuple(word for text in words or () for word in text.split(",") if word)
    for word in named:
        if word not in KINDS:
            raise UsageError(f"unknown {word!r}", where="--agents", hint=", ".join(KINDS))
    return named or KINDS


def board_of(
    source: RatingSource,
    config: str,
    at: float | None,
    *,
    top: int,
    least: int,
    sort: Literal["elo", "lower"],
    kinds: Sequence[str],
) -> dict[str, Any]:
    """Return the leaderboard of a configuration as it is published."""
    from ringrift.evaluation.ratings.leaderboard import leaderboard as shown_rows
    from ringrift.evaluation.ratings.leaderboard import matrix
    from ringrift.evaluation.ratings.lineage import model_facts

    tree = source.tree(config, as_of=at)
    models = [row["model_id"] for row in tree["ratings"] if row["model_id"] is not None]
    rows = shown_rows(
        tree,
        model_facts(source.objects, models),
        top=top,
        min_games=least,
        sort=sort,
        kinds=kinds,
    )
    kept = {
        name: tree[name] for name in ("config", "digest", "games", "settings", "seats", "report")
    }
    return {
        **kept,
        "agents": len(tree["ratings"]),
        "rows": [{name: row[name] for name in row if name != "place"} for row in rows],
        "matrix": matrix(tree, rows),
    }


def _draw(
    folder: Path, boards: Sequence[Mapping[str, Any]], kinds: Literal["png", "svg", "both"]
) -> list[Path]:
    from ringrift.evaluation.ratings.pictures import forest, pairing_matrix, save

    files = []
    for board in boards:
        config, rows = board["config"], board["rows"]
        figure = forest(config, rows)
        files += save(folder, f"{config}-leaderboard", figure, {"rows": rows}, kinds)
        figure = pairing_matrix(config, rows, board["matrix"])
        data = {"agents": [row["name"] for row in rows], "matrix": board["matrix"]}
        files += save(folder, f"{config}-pairings", figure, data, kinds)
    return files


def _export(
    source: RatingSource,
    path: Path,
    boards: Sequence[Mapping[str, Any]],
    fields: Mapping[str, Any],
    at: float | None,
) -> None:
    from ringrift.evaluation.ratings import exporting
    from ringrift.evaluation.ratings.history import history

    if path.suffix == ".csv":
        exporting.write_csv(path, [(board["config"], board["rows"]) for board in boards])
    elif path.suffix == ".json":
        exporting.write_json(path, fields)
    else:
        content = []
        for board in boards:
            games = source.games(board["config"], as_of=at)
            moments = history(games, source.rules, source.parents(games))
            content.append((games, board["rows"], moments))
        exporting.write_database(path, content)


def _print(
    console: Console,
    out: Output,
    boards: Sequence[Mapping[str, Any]],
    *,
    matrix: bool,
    files: Sequence[Path],
) -> None:
    if not boards:
        console.print("no match games")
    for board in boards:
        frozen = _frozen(board["rows"])
        heads = ["Elo", "95 %", "games", "won", "lost", *(f"% of {name}" for name in frozen)]
        columns = [
            Column("agent"),
            Column("rank", number=True),
            *(Column(head, number=True) for head in heads),
            Column("% by seat", number=True),
            Column("last game"),
        ]
        rows = [_row(row, frozen) for row in board["rows"]]
        console.print(out.table(columns, rows, title=_title(board)))
        _print_report(console, board)
        if matrix:
            console.print(_matrix_table(out, board))
    for path in files:
        console.print(f"written: {path}", soft_wrap=True)


def _title(board: Mapping[str, Any]) -> str:
    shown = len(board["rows"])
    return f"{board['config']}: {shown} of {board['agents']} agents, {board['games']:,} games"


def _frozen(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the frozen agents that any shown agent has met, in their usual order."""
    from ringrift.evaluation.ratings.fit import FROZEN

    met = {cell["name"] for row in rows for cell in row["against"]}
    return [name for name in FROZEN if name in met]


def _row(row: Mapping[str, Any], frozen: Sequence[str]) -> list[Any]:
    ends = row["elo_ci95"]
    against = {cell["name"]: cell for cell in row["against"]}
    mark = "unconnected" if row["unconnected"] else "provisional" if row["provisional"] else ""
    return [
        f"{row['name']} {mark}".strip(),
        "-" if row["rank"] is None else row["rank"],
        None if row["elo"] is None else f"{row['elo']:.1f}",
        None if ends is None else f"{ends[0]:.0f} to {ends[1]:.0f}",
        row["games"],
        row["wins"],
        row["losses"],
        *(
            f"{100 * against[name]['score']:.0f} (n={against[name]['games']})"
            if name in against
            else "-"
            for name in frozen
        ),
        " ".join("-" if share is None else f"{100 * share:.0f}" for share in row["by_seat"]),
        None if row["last_game"] is None else row["last_game"][:10],
    ]


def _print_report(console: Console, board: Mapping[str, Any]) -> None:
    report = board["report"]
    if board["seats"]:
        effects = ", ".join(
            f"seat {seat['seat']} {seat['elo']:+.0f} ({seat['elo_ci95'][0]:+.0f} to "
            f"{seat['elo_ci95'][1]:+.0f})"
            for seat in board["seats"]
        )
        console.print(f"seat effects in Elo (95 %): {effects}")
    if report["capped"]:
        console.print(f"capped games, which rate nobody: {100 * report['capped_share']:.1f} %")
    if report["p"] is not None:
        console.print(
            f"agreement with one number per agent: chi-square {report['chi_square']:.1f}, "
            f"{report['degrees']} degrees, p = {report['p']:.3g} (pairs n={report['pairs']})"
        )
    for pair in report["non_transitive"][:SHOWN_OUTLIERS]:
        console.print(
            f"not transitive: {pair['first'][:12]} against {pair['second'][:12]}: "
            f"{100 * pair['observed']:.0f} %, fitted {100 * pair['fitted']:.0f} %, "
            f"z {pair['z']:+.1f} (n={pair['games']})"
        )


def _matrix_table(out: Output, board: Mapping[str, Any]) -> Any:
    """Return who met whom: share of the row above the column, with games."""
    columns = [Column("% above"), *(Column(row["name"], number=True) for row in board["rows"])]
    rows = [
        [
            row["name"],
            *(
                "-" if cell is None else f"{100 * cell['observed']:.0f} (n={cell['games']})"
                for cell in line
            ),
        ]
        for row, line in zip(board["rows"], board["matrix"], strict=True)
    ]
    return out.table(columns, rows)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("leaderboard", cls=list_command(words=("--agents",)))(leaderboard)
