"""`ringrift eval gauntlet`: models against fixed opponents with floors (`evaluation.md` 8)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.eval.gauntlet_shown import settings_tree, show
from ringrift.cli.eval.options import MODELS, Models, NnOnly, NnueOnly, Sims, Workers
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import OfBoard, OfConfig, OfPlayers, config_of
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun, Seed
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.contenders import Contender, ModelRow
    from ringrift.evaluation.gauntlets import Gauntlet, GauntletResult

GAMES, OUTPUT = "Games", "Output"
VIEW = "baseline_gauntlet_results.json"


def gauntlet(
    models: Models = None,
    run_all: Annotated[
        bool,
        typer.Option("--run", help="Measure the registered models.", rich_help_panel=MODELS),
    ] = False,
    results: Annotated[
        bool,
        typer.Option("--results", help="Play nothing, show the table.", rich_help_panel=OUTPUT),
    ] = False,
    top: Annotated[
        int, typer.Option("--top", min=1, metavar="N", help="Rows shown.", rich_help_panel=OUTPUT)
    ] = 50,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            metavar="N",
            help="With --run: only the newest N models.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    nn_only: NnOnly = False,
    nnue_only: NnueOnly = False,
    games: Annotated[
        int,
        typer.Option(
            "--games",
            min=1,
            metavar="N",
            help="Games against each opponent, in whole blocks; above 20 at most.",
            rich_help_panel=GAMES,
        ),
    ] = 10,
    opponents: Annotated[
        str,
        typer.Option(
            "--opponents",
            metavar="SPEC,...",
            help="Agents to play; mcts is mcts_100.",
            rich_help_panel=GAMES,
        ),
    ] = "random,heuristic,mcts",
    diverse: Annotated[
        bool,
        typer.Option(
            "--diverse",
            help="Also alphabeta:depth=2, mcts_500 and the personas of heuristic.",
            rich_help_panel=GAMES,
        ),
    ] = False,
    sims: Sims = None,
    workers: Workers = 1,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="DIR", help="Draw the scores shown.", rich_help_panel=OUTPUT
        ),
    ] = None,
    seed: Seed = 42,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Measure models against fixed opponents, with floors to exceed.

    Reads models and stored games; plays what is missing on open openings into data/games/games.db
    and writes data/baseline_gauntlet_results.json anew. Floors, as rates of two players: 0.95
    against random, 0.70 heuristic, 0.50 mcts; met or missed where the Wilson interval lies on one
    side, else open. The score is 3 r(mcts) + 2 r(heuristic) + r(random), 0 to 6. With more than 20
    games an opponent is left as soon as its floor is decided. The same command again goes on after
    a stop. Without --model and --run the table of what is stored is shown.

    Exit code 1 when a floor is missed, 2 for a model that is not there, 5 where a game was aborted
    twice.

    Examples: ringrift eval gauntlet |
    ringrift eval gauntlet --model champion --board square8 --games 40

    was: baseline_gauntlet.py
    """
    from ringrift.agents.spec import format_spec, parse_specs
    from ringrift.cli.eval.contending import named
    from ringrift.evaluation.gauntlets import DIVERSE, Gauntlet

    run = current()
    asked = config_of(board, players, config_key)
    if nn_only and nnue_only:
        raise UsageError("--nn-only and --nnue-only leave no model", where="--nnue-only")
    if models and run_all:
        raise UsageError("--run measures all models", where="--model", hint="one of both")
    texts = [format_spec(spec) for spec in parse_specs(opponents)]
    settings = Gauntlet(opponents=(*texts, *(DIVERSE if diverse else ())), games=games, seed=seed)
    if results or not (models or run_all):
        only = [row.id for row in named(run, models, asked, register=False)] if models else None
        show(run, _stored(run, asked, only), top=top, settings=settings, plot=plot)
        return
    if not dry_run:
        run.paths(create=False)
        ready_for(run, wait=not no_wait, disk_gb=0.5)
    rows = _models(run, models, asked, nn_only, nnue_only, limit, register=not dry_run)
    if dry_run:
        _plan(run, rows, settings, sims)
        return
    found, exit_code = _played(run, rows, settings, sims, workers)
    missed = any(result.missed for result in found)
    show(run, found, top=top, settings=settings, plot=plot, ok=not (missed or exit_code))
    if exit_code or missed:
        raise typer.Exit(exit_code or NegativeResult.exit_code)


def _models(
    run: Invocation,
    names: list[str] | None,
    asked: str | None,
    nn_only: bool,
    nnue_only: bool,
    limit: int | None,
    *,
    register: bool,
) -> list[ModelRow]:
    from ringrift.cli.eval.contending import DEFAULT_CONFIG, NET, NNUE, named, registered

    if names:
        return named(run, names, asked, register=register)
    kinds = NET if nn_only else NNUE if nnue_only else ()
    return registered(run, asked or DEFAULT_CONFIG, kinds)[:limit]


def _played(
    run: Invocation, rows: list[ModelRow], settings: Gauntlet, sims: int | None, workers: int
) -> tuple[list[GauntletResult], int]:
    """Play what is missing and write the view; return the results and the code after a signal."""
    from ringrift.cli.eval.contending import contenders, registered, table
    from ringrift.core.files import write_atomic
    from ringrift.evaluation.gauntlets import gauntlet_result, stored_gauntlets
    from ringrift.evaluation.two_stage import Titled

    measured = contenders(run, rows, sims)
    matches = [(c, settings.plans(c)) for c in measured]
    with table(run, rows, workers) as place:
        played = place.play(
            [
                Titled(plan, f"{c.name} vs {name}")
                for c, plans in matches
                for name, plan in plans.items()
            ]
        )
        by_plan = {result.plan: result for result in played}
        found = [
            gauntlet_result(c, {name: by_plan[plan.hash] for name, plan in plans.items()})
            for c, plans in matches
        ]
        view = [r.as_tree() for r in stored_gauntlets(place.store, registered(run))]
        exit_code = 0 if all(result.complete for result in found) else place.stop.exit_code
    write_atomic(run.paths().data / VIEW, json.dumps(view, indent=1).encode() + b"\n")
    return found, exit_code


def _stored(run: Invocation, config: str | None, only: list[str] | None) -> list[GauntletResult]:
    from ringrift.cli.eval.contending import looking, registered, store_of
    from ringrift.evaluation.gauntlets import stored_gauntlets

    with looking(store_of(run)) as store:
        found = [] if store is None else stored_gauntlets(store, registered(run), config)
    return [result for result in found if only is None or result.model_id in only]


def _plan(run: Invocation, rows: list[ModelRow], settings: Gauntlet, sims: int | None) -> None:
    from ringrift.cli.eval.contending import contenders, looked_up, looking, store_of
    from ringrift.evaluation.two_stage import Titled

    wanted: list[tuple[Contender, str, Titled]] = [
        (c, name, Titled(plan, f"{c.name} vs {name}"))
        for c in contenders(run, rows, sims)
        for name, plan in settings.plans(c).items()
    ]
    with looking(store_of(run)) as store:
        stored = looked_up(store, [titled for _, _, titled in wanted])
    told = [
        {
            "model_id": c.agent.model_id,
            "opponent": name,
            "games": titled.plan.games,
            "stored": result.games,
            "run": titled.plan.hash,
        }
        for (c, name, titled), result in zip(wanted, stored, strict=True)
    ]
    columns = [
        Column("model"),
        Column("opponent"),
        Column("at most games", number=True),
        Column("stored", number=True),
    ]
    shown = [
        [c.name, n, t.plan.games, r.games] for (c, n, t), r in zip(wanted, stored, strict=True)
    ]
    run.out.result(
        {**settings_tree(settings), "models": [], "plans": told, "files": [], "dry_run": True},
        human=run.out.table(columns, shown) if shown else "no model to measure",
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gauntlet")(gauntlet)
