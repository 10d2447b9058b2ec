"""`ringrift data filter`: which games are kept by rating, and what they weigh (`data.md` 7)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.data.parts import INPUT, OUTPUT, Db, OnlyBoard, OnlyPlayers, board_of, stores_of
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.data.quality.filtering import Filtered, FilterOptions
    from ringrift.data.quality.ratings import Ratings

UNRATED = ("weight1", "exclude")
FILTERS = "Filters"
SHOWN_AGENTS = 20


def filter_games(
    board: OnlyBoard = None,
    players: OnlyPlayers = None,
    db: Db = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", metavar="DIR", help="Folder of game stores.", rich_help_panel=INPUT
        ),
    ] = None,
    min_avg_elo: Annotated[
        float,
        typer.Option(
            "--min-avg-elo", metavar="ELO", help="Mean of the seats.", rich_help_panel=FILTERS
        ),
    ] = 1350.0,
    min_winner_elo: Annotated[
        float,
        typer.Option(
            "--min-winner-elo", metavar="ELO", help="Rating of who won.", rich_help_panel=FILTERS
        ),
    ] = 1300.0,
    ai_types: Annotated[
        list[str] | None,
        typer.Option(
            "--ai-types",
            metavar="SPEC..",
            help="Only games whose seats all are of these kinds or specs, as gumbel mcts.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    exclude_timeout: Annotated[
        bool,
        typer.Option(
            "--exclude-timeout", help="Without what the ply limit cut.", rich_help_panel=FILTERS
        ),
    ] = False,
    exclude_random: Annotated[
        bool,
        typer.Option(
            "--exclude-random", help="Without games of a random agent.", rich_help_panel=FILTERS
        ),
    ] = False,
    unrated: Annotated[
        str,
        typer.Option(
            "--unrated",
            metavar="weight1|exclude",
            help="What becomes of games with an unrated agent.",
            rich_help_panel=FILTERS,
        ),
    ] = "weight1",
    stats: Annotated[
        bool, typer.Option("--stats", help="The table only, as without --create-weighted-npz.")
    ] = False,
    create_weighted_npz: Annotated[
        bool,
        typer.Option("--create-weighted-npz", help="Write the weights.", rich_help_panel=OUTPUT),
    ] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="DIR",
            help="Folder of the weights [default: data/training/weighted].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Choose games by the ratings of who played, and weigh them.

    Reads the games to train on and the newest fit of ratings in data/ratings; random is 400 without
    one, every other agent is then unrated. Writes, when asked, BOARD_Np_quality_weights.npz
    (game_ids, weights of mean 1) and a JSON file beside it, one for each configuration.

    Exit code 1 when no game fits, 6 for a damaged fit.

    Examples: ringrift data filter --stats |
    ringrift data filter --board square8 --players 2 --create-weighted-npz --json
    """
    from ringrift.data.present import configurations
    from ringrift.data.quality import filtering
    from ringrift.data.quality.ratings import read_ratings

    invocation = current()
    if unrated not in UNRATED:
        raise UsageError(f"unknown {unrated!r}", where="--unrated", hint=", ".join(UNRATED))
    if stats and create_weighted_npz:
        raise UsageError(
            "--stats writes nothing", where="--create-weighted-npz", hint="one of them"
        )
    if db and data_dir is not None:
        raise UsageError("both --db and --data-dir", where="--data-dir", hint="one of the two")
    options = filtering.FilterOptions(
        min_avg_elo=min_avg_elo,
        min_winner_elo=min_winner_elo,
        ai_types=tuple(word for text in ai_types or () for word in _specs(text)),
        exclude_timeout=exclude_timeout,
        exclude_random=exclude_random,
        exclude_unrated=unrated == "exclude",
    )
    paths = invocation.paths(create=create_weighted_npz and not dry_run)
    stores = stores_of(invocation, [data_dir] if data_dir is not None else db)
    names = configurations(stores, ("train",), board=board_of(board), players=players)
    done = []
    with invocation.out.progress() as progress:
        task = progress.task("reading", total=len(names), unit="configurations")
        for config in names:
            ratings = read_ratings(paths.ratings, config)
            done.append((filtering.filter_games(stores, config, ratings, options), ratings))
            task.advance()
        task.finish()
    folder = output_dir if output_dir is not None else paths.data / "training" / "weighted"
    writes = create_weighted_npz and not dry_run
    results = [
        _result(found, ratings, options, folder if writes else None) for found, ratings in done
    ]
    kept = sum(len(found.ids) for found, _ in done)
    invocation.out.result(
        {"configurations": results, "kept": kept, "dry_run": dry_run},
        human=(lambda console: _print(console, invocation, done, results))
        if done
        else f"no game to train on in {', '.join(map(str, stores))}",
        ok=kept > 0,
    )
    if not kept:
        raise typer.Exit(NegativeResult.exit_code)


def _specs(text: str) -> list[str]:
    """Split what a shell may hand over as one word; a spec with arguments stays whole."""
    return [text] if ":" in text or "(" in text else [word for word in text.split(",") if word]


def _result(
    found: Filtered, ratings: Ratings, options: FilterOptions, folder: Path | None
) -> dict[str, Any]:
    from ringrift.data.quality.weights import write_weights

    facts: dict[str, Any] = {
        "config": found.config,
        "fit": ratings.fit,
        "games": found.games,
        "kept": len(found.ids),
        "unrated": found.unrated,
        "excluded": dict(sorted(found.excluded.items())),
        "agents": [
            {"agent": agent, "spec": rated.spec, "elo": rated.elo, "games": rated.games}
            for agent, rated in sorted(
                found.agents.items(), key=lambda one: (-one[1].games, one[0])
            )
        ],
    }
    output = None
    if folder is not None and found.ids:
        written = {
            **facts,
            "min_avg_elo": options.min_avg_elo,
            "min_winner_elo": options.min_winner_elo,
            "ai_types": list(options.ai_types),
            "exclude_timeout": options.exclude_timeout,
            "exclude_random": options.exclude_random,
            "exclude_unrated": options.exclude_unrated,
        }
        output, _ = write_weights(folder, found.config, found.ids, found.weights, written)
    return {**facts, "output": None if output is None else str(output)}


def _print(
    console: Console,
    invocation: Invocation,
    done: list[tuple[Filtered, Ratings]],
    results: list[dict[str, Any]],
) -> None:
    from ringrift.data.quality.filtering import REASONS

    out = invocation.out
    heads = ("games", "kept", "unrated", *(f"without: {name}" for name in REASONS))
    rows = [
        [found.config, found.games, len(found.ids), found.unrated]
        + [found.excluded[name] for name in REASONS]
        for found, _ in done
    ]
    console.print(
        out.table([Column("configuration"), *(Column(head, number=True) for head in heads)], rows)
    )
    for result in results:
        fit = result["fit"] or "none: every agent but random is unrated"
        agents = result["agents"]
        console.print(
            out.table(
                [Column("agent"), Column("Elo", number=True), Column("games", number=True)],
                [
                    [a["spec"], "unrated" if a["elo"] is None else round(a["elo"], 1), a["games"]]
                    for a in agents[:SHOWN_AGENTS]
                ],
                title=f"{result['config']}: {len(agents):,} agents, fit {fit}",
            )
        )
        if result["output"] is not None:
            console.print(f"weights: {result['output']}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("filter", cls=list_command("--db", words=("--ai-types",)))(filter_games)
