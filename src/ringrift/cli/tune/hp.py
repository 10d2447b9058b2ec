"""`ringrift tune hp`: studies of the training's hyper-parameters (`training.md` 10)."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.option_sets import command_of, option
from ringrift.cli.output import Column
from ringrift.cli.train.command_lines import TrainCommand
from ringrift.cli.train.options import RUN, Options
from ringrift.core.errors import NegativeResult

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.core.hyperparameters import StudyEvaluation
    from ringrift.tuning.hp.study import TrialOutcome
    from ringrift.tuning.hp.studying import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions(Options):
    """The values of one call: those of a training, and how long is searched."""

    trials: Annotated[
        int, option("--trials", panel=RUN, min=1, help="Trials in all, earlier ones included.")
    ] = 20
    epochs_per_trial: Annotated[
        int | None,
        option(
            "--epochs-per-trial",
            panel=RUN,
            min=1,
            help="Epochs of each training [default: tuning_config.evaluation of the file, 10].",
        ),
    ] = None
    timeout: Annotated[
        float | None,
        option("--timeout", panel=RUN, min=0, metavar="SECONDS", help="Begin no trial after."),
    ] = None
    elo_games: Annotated[
        int | None,
        option(
            "--elo-games",
            panel=RUN,
            min=0,
            help="Games of the best set's nets against the present set's, 0 for none "
            "[default: tuning_config.evaluation of the file, 20].",
        ),
    ] = None


NAMES = (
    "board", "players", "config_key", "all_configs", "kind", "data_path", "db", "jsonl", "window",
    "val_split", "max_games", "max_samples", "model_size", "trials", "epochs_per_trial", "timeout",
    "elo_games", "resume", "seed", "device", "no_wait", "dry_run",
)  # fmt: skip


def hp(given: TuneOptions) -> None:
    """Search for hyper-parameters and write them where they win.

    Reads samples as train nn does, and config/hyperparameters.json. Each trial is a short training;
    trials that are worse than most end early. The best set and the present one are then trained
    with three other seeds each. Where the best set's loss is lower by more than seeds differ, the
    nets of each seed play --elo-games games in all, on openings held out from everything else and
    with the search of promotions. A set is written into config/hyperparameters.json, which keeps the
    old file beside it, only if its loss is lower so clearly and its nets score no less than even
    odds (0.5 with two players, 1/N with N). Writes runs/hp. Killed at any instant, the same line
    goes on with the trial or game it was in.

    Exit code 1 where no trial came to its end or a dataset has no validation games, 75 while another
    process works on the same study, 130 and 143 after a signal, with all trials kept.

    Examples: ringrift tune hp --board square8 --players 2 --kind nn --trials 30 |
    ringrift tune hp --all --kind nnue --dry-run --json
    """
    from ringrift.cli.train.optimizing import configs_of
    from ringrift.cli.train.training import make_ready

    invocation = current()
    if not given.dry_run:
        make_ready(invocation, given)
    each = [replace(given, config_key=key) for key in configs_of(invocation, given)]
    if given.dry_run:
        show_plans(invocation, [plan_of(invocation, one) for one in each])
        return
    studies = [study_one(invocation, one) for one in each]
    invocation.out.result(
        {"dry_run": False, "studies": studies},
        human=lambda console: show(invocation, studies, console),
        ok=not any(one["interrupted"] for one in studies),
    )


def plan_of(invocation: Invocation, given: TuneOptions) -> dict[str, Any]:
    """Return what a study would search, from which set on."""
    from ringrift.cli.train.optimizing import KINDS
    from ringrift.cli.train.training import prepare
    from ringrift.core.hyperparameters import load_hyperparameters
    from ringrift.tuning.hp.space import SEARCHED

    prepared = prepare(invocation, KINDS[given.kind], given)
    tuning = load_hyperparameters(root=invocation.known_root()).content.tuning_config
    values = prepared.request.values()
    return {
        "config": prepared.request.config,
        "kind": given.kind,
        "trials": given.trials,
        "epochs_per_trial": given.epochs_per_trial or tuning.evaluation.epochs_per_trial,
        "elo_games": games_of(given, tuning.evaluation),
        "space": {
            name: getattr(tuning.search_space, name).as_text() for name in SEARCHED[given.kind]
        },
        "present": {name: values[name] for name in SEARCHED[given.kind]},
    }


def show_plans(invocation: Invocation, plans: list[dict[str, Any]]) -> None:
    """Print what would be searched."""

    def words(console: Console) -> None:
        for plan in plans:
            rows = [
                (name, plan["space"][name], f"{plan['present'][name]:g}") for name in plan["space"]
            ]
            title = (
                f"{plan['config']}, {plan['kind']}: {plan['trials']} trials of "
                f"{plan['epochs_per_trial']} epochs, {plan['elo_games']} games"
            )
            columns = [Column("searched"), Column("range"), Column("now", number=True)]
            console.print(invocation.out.table(columns, rows, title=title))

    invocation.out.result({"dry_run": True, "studies": plans}, human=words)


def games_of(given: TuneOptions, evaluation: StudyEvaluation) -> int:
    """Return how many games the nets of both sides play."""
    return evaluation.games_per_trial if given.elo_games is None else given.elo_games


def study_one(invocation: Invocation, given: TuneOptions) -> dict[str, Any]:
    """Make one study; ends the program with 130 or 143 after a signal."""
    from ringrift.cli.train.optimizing import KINDS
    from ringrift.cli.train.training import job_of, prepare
    from ringrift.core.hyperparameters import HYPERPARAMETERS_FILE
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.tuning.hp.report import study_folder
    from ringrift.tuning.hp.studying import Watching, make_study

    prepared = prepare(invocation, KINDS[given.kind], given)
    paths = invocation.paths()
    config = prepared.request.config
    with ExitStack() as stack:
        stop = stack.enter_context(cooperative_stop())
        job = job_of(invocation, prepared, given, stack)
        progress = stack.enter_context(invocation.out.progress())
        bar = progress.task(f"{config}: trials", total=given.trials, unit="trials")
        games = progress.task(f"{config}: games", unit="games")

        def on_trial(one: TrialOutcome) -> None:
            loss = one.state if one.loss is None else f"loss {one.loss:.4f}"
            bar.update(one.number, name=f"{config}: trial {one.number}, {loss}")

        found, fields = make_study(
            job,
            wanted_of(invocation, given),
            folder=study_folder(paths.runs, config, given.kind),
            file=paths.root / HYPERPARAMETERS_FILE,
            resume=given.resume is not False,
            watching=Watching(
                on_trial=on_trial,
                on_game=lambda done, total: games.update(done, total=total),
                stop=lambda: stop.requested,
            ),
        )
        bar.finish()
        games.finish()
    if found.interrupted:
        again = shlex.join(["ringrift", *invocation.arguments])
        invocation.out.note(f"stopped; all trials are kept. To go on: {again}")
        if invocation.out.as_json:
            invocation.out.result({"dry_run": False, "studies": [fields]}, ok=False)
        raise typer.Exit(stop.exit_code or NegativeResult.exit_code)
    return fields


def wanted_of(invocation: Invocation, given: TuneOptions) -> Wanted:
    """Return what is asked of a study; its nets search as those of a promotion's test do."""
    from ringrift.core.hyperparameters import load_hyperparameters
    from ringrift.loop.measuring import search_of
    from ringrift.tuning.hp.contest import ContestRules
    from ringrift.tuning.hp.space import searched_of
    from ringrift.tuning.hp.studying import Wanted

    tuning = load_hyperparameters(root=invocation.known_root()).content.tuning_config
    settings = invocation.settings().values
    games = games_of(given, tuning.evaluation)
    rules = None
    if games:
        search = search_of(settings, settings.evaluation.simulations)
        rules = ContestRules(search=search, games=games)
    return Wanted(
        kind=given.kind,
        names=searched_of(given.kind),
        space=tuning.search_space,
        trials=given.trials,
        epochs=given.epochs_per_trial or tuning.evaluation.epochs_per_trial,
        seed=given.seed,
        timeout_s=given.timeout,
        rules=rules,
    )


def show(invocation: Invocation, studies: list[dict[str, Any]], console: Console) -> None:
    """Print the best trials of each study and what became of the best set."""
    columns = [Column("trial", number=True), Column("loss", number=True), Column("set")]
    for one in studies:
        measured = sorted(
            (trial for trial in one["trials"] if trial["loss"] is not None),
            key=lambda trial: trial["loss"],
        )
        rows = [
            (
                trial["number"],
                f"{trial['loss']:.4f}",
                ", ".join(f"{name} {value:.3g}" for name, value in trial["values"].items()),
            )
            for trial in measured[:5]
        ]
        title = f"{one['config']}, {one['kind']}: {len(one['trials'])} trials"
        console.print(invocation.out.table(columns, rows, title=title))
        console.print(one["outcome"])


def register(app: typer.Typer) -> None:
    """Add the command."""
    command = command_of(hp, TuneOptions, NAMES, defaults={}, shown={})
    app.command("hp", cls=TrainCommand)(command)
