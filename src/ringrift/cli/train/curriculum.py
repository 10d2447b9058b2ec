"""`ringrift train curriculum`: generations, stages of the game, weights (`training.md` 9)."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.completion import complete_models
from ringrift.cli.invocation import current
from ringrift.cli.option_sets import command_of, option
from ringrift.cli.output import Column
from ringrift.cli.train.command_lines import TrainCommand
from ringrift.cli.train.generating import OF_GENERATIONS, refuse, run_generations
from ringrift.cli.train.options import NET, RUN, Options
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.training.curriculum.stages import Stage, StageResult

GENERATIONS, PARTS, WEIGHTS = "Generations", "Stages", "Weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumOptions(Options):
    """The values of one call: those of a training, generations, stages and weights."""

    kind: Annotated[
        Literal["nn", "nnue-policy"], option("--kind", panel=NET, help="Kind of net.")
    ] = "nn"
    generations: Annotated[
        int | None,
        option("--generations", panel=GENERATIONS, min=1, help="Run so many [default: 10]."),
    ] = None
    games_per_gen: Annotated[
        int | None,
        option("--games-per-gen", panel=GENERATIONS, min=1, help="Games of each [default: 1000]."),
    ] = None
    eval_games: Annotated[
        int | None,
        option(
            "--eval-games",
            panel=GENERATIONS,
            min=1,
            help="Games of the test [default: 30 to 300, as many as it needs].",
        ),
    ] = None
    base_model: Annotated[
        str | None,
        option(
            "--base-model",
            panel=GENERATIONS,
            metavar="REF",
            help="Model that plays the first generation and is trained on [default: champion].",
            autocompletion=complete_models,
        ),
    ] = None
    use_model_pool: Annotated[
        bool,
        option(
            "--use-model-pool",
            panel=GENERATIONS,
            help="Test only candidates that score 0.55 against the last 5 champions.",
        ),
    ] = False
    stage: Annotated[
        int | None, option("--stage", panel=PARTS, min=1, max=5, help="Train this stage.")
    ] = None
    auto_progress: Annotated[
        bool,
        option("--auto-progress", panel=PARTS, help="Go on with the stages after it, or with all."),
    ] = False
    strict: Annotated[
        bool,
        option("--strict", panel=PARTS, help="End with 1 at a stage below its minimum."),
    ] = False
    list_stages: Annotated[bool, option("--list-stages", panel=PARTS, help="Print the stages.")] = (
        False
    )
    show_weights: Annotated[
        bool,
        option(
            "--show-weights",
            "--adaptive-weights",
            panel=WEIGHTS,
            help="Print how much work each configuration needs by its champion's Elo.",
        ),
    ] = False
    elo_db: Annotated[
        Path | None,
        option(
            "--elo-db",
            panel=WEIGHTS,
            metavar="FILE",
            help="Table of promoted models with their Elo [default: models/promoted_models.json].",
        ),
    ] = None
    max_weight: Annotated[
        float, option("--max-weight", panel=WEIGHTS, help="Largest, and that of unrated ones.")
    ] = 2.0
    min_weight: Annotated[float, option("--min-weight", panel=WEIGHTS, help="Smallest.")] = 0.5
    output_dir: Annotated[
        Path | None,
        option(
            "--output-dir",
            panel=RUN,
            metavar="DIR",
            help="Folder [default: runs/CONFIGURATION/curriculum-generations, or -KIND of stages].",
        ),
    ] = None


NAMES = (
    "board", "players", "config_key", "kind", "data_path", "db", "jsonl", "window", "val_split",
    "max_games", "max_samples", "model_size", "hidden_dim", "warm_start", "batch_size",
    "generations", "games_per_gen", "eval_games", "base_model", "use_model_pool", "stage",
    "auto_progress", "strict", "list_stages", "show_weights", "elo_db", "max_weight", "min_weight",
    "output_dir", "resume", "model_id", "seed", "device", "no_wait", "dry_run",
)  # fmt: skip


def curriculum(given: CurriculumOptions) -> None:
    """Run generations of a configuration, or train part by part of the game.

    A generation plays games, trains a model on those of the last four (older ones weigh less) and
    lets a sequential test decide whether it becomes champion. Writes a folder for each, stores
    (data/games) and models; self-play is the champion's, without one that of the heuristic search.

    A stage (--stage, --auto-progress) learns the decisions of its plies from samples as train nn
    reads them, from the model of the stage before; one that predicts too few moves of validation
    games is repeated once. --show-weights reads the Elo of champions. Killed at any instant, the
    same line goes on.

    Exit code 1 without samples, or with --strict at a stage below its minimum, 2 for a folder of
    another curriculum, 75 while another process works in it, 130 and 143 after a signal. A step of a
    generation that fails ends the run with its own exit code; the same line repeats that step.

    Examples: ringrift train curriculum --generations 2 --games-per-gen 20 --dry-run |
    ringrift train curriculum --list-stages |
    ringrift train curriculum --board square8 --auto-progress --strict --dry-run |
    ringrift train curriculum --show-weights --max-weight 3 --json

    was: curriculum_training.py
    """
    invocation = current()
    staged = given.stage is not None or given.auto_progress
    if staged or given.show_weights or given.list_stages:
        refuse(given, OF_GENERATIONS, "this is an option of generations", "no switch of stages")
    if given.show_weights:
        weigh(invocation, given)
    elif given.list_stages or (given.dry_run and staged):
        tell(invocation, given)
    elif staged:
        train_stages(invocation, given)
    else:
        run_generations(invocation, given)


def _chosen(stages: Sequence[Stage], given: CurriculumOptions) -> tuple[Stage, ...]:
    from ringrift.training.curriculum.stages import chosen

    onward = given.auto_progress or given.stage is None
    return chosen(stages, given.stage or 1, onward=onward)


def tell(invocation: Invocation, given: CurriculumOptions) -> None:
    """Print stages; bounds are those of square8, which other boards scale by their games."""
    from ringrift.training.curriculum import stages as table

    stages = _chosen(table.STAGES, given)
    columns = [
        Column("stage"),
        Column("plies"),
        Column("minimum", number=True),
        Column("epochs", number=True),
        Column("learning rate", number=True),
    ]
    rows = [
        (
            f"{stage.number} {stage.name}",
            "all" if stage.last_ply is None else f"{stage.first_ply}-{stage.last_ply}",
            f"{stage.minimum:.2f}",
            stage.epochs,
            f"{stage.learning_rate:g}",
        )
        for stage in stages
    ]
    invocation.out.result(
        {**_nothing(), "dry_run": given.dry_run, "stages": [asdict(stage) for stage in stages]},
        human=invocation.out.table(columns, rows),
    )


def _nothing() -> dict[str, Any]:
    return {
        "dry_run": False, "config": None, "stages": [], "weights": [], "generations": [], "plan": [],
        "model_id": None,
    }  # fmt: skip


def weigh(invocation: Invocation, given: CurriculumOptions) -> None:
    """Print the weight of each configuration."""
    from ringrift.core.settings import CONFIGURATIONS
    from ringrift.training.curriculum.weights import adaptive_weights, champion_ratings

    path = given.elo_db
    if path is None:
        path = invocation.paths(create=False).models / "promoted_models.json"
    elif not path.is_file():
        raise UsageError(f"no file {path}", where="--elo-db", hint="models/promoted_models.json")
    weights = adaptive_weights(
        champion_ratings(path, CONFIGURATIONS), least=given.min_weight, most=given.max_weight
    )
    columns = [Column("configuration"), Column("Elo", number=True), Column("weight", number=True)]
    rows = [
        (one.config, "unrated" if one.elo is None else f"{one.elo:.0f}", f"{one.weight:.2f}")
        for one in weights
    ]
    invocation.out.result(
        {**_nothing(), "weights": [asdict(one) for one in weights]},
        human=invocation.out.table(columns, rows),
    )


def train_stages(invocation: Invocation, given: CurriculumOptions) -> None:
    """Train the stages and print how each ended."""
    from ringrift.cli.train.optimizing import KINDS
    from ringrift.cli.train.training import job_of, make_ready, prepare, told
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.training.curriculum.stage_training import StageInterrupted, StageTrainer
    from ringrift.training.curriculum.stages import run_stages, stages_for

    make_ready(invocation, given)
    prepared = prepare(invocation, KINDS[given.kind], given)
    config = prepared.request.config
    folder = given.output_dir or invocation.paths().runs / config / f"curriculum-{given.kind}"
    with ExitStack() as stack:
        stop = stack.enter_context(cooperative_stop())
        job = job_of(invocation, prepared, given, stack)
        bar = stack.enter_context(invocation.out.progress()).task(f"{config}: stages", unit="steps")
        train = StageTrainer(
            job,
            on_progress=lambda found: bar.update(found.step, total=found.steps, name=told(found)),
            stop=lambda: stop.requested,
        )
        stages = _chosen(stages_for(config.rsplit("_", 1)[0], train.lengths), given)
        key = {
            "config": config,
            "kind": given.kind,
            "dataset": train.dataset.manifest.id,
            "values": prepared.request.values(),
        }
        try:
            results = run_stages(
                stages,
                train,
                folder,
                key=key,
                strict=given.strict,
                fresh=given.resume is False,
                on_result=lambda one: invocation.out.note(line(one)),
            )
        except StageInterrupted:
            again = shlex.join(["ringrift", *invocation.arguments])
            invocation.out.note(f"stopped; every checkpoint is kept. To go on: {again}")
            raise typer.Exit(stop.exit_code or 130) from None
        bar.finish()
    show(invocation, config, results, given)


def line(one: StageResult) -> str:
    """Return one line on how a stage ended."""
    stage = f"stage {one.stage.number} {one.stage.name}"
    if not one.attempts:
        return f"{stage}: no sample lies in it"
    accuracy = "unknown" if one.accuracy is None else f"{one.accuracy:.3f}"
    words = f"{stage}: {accuracy} of moves predicted, minimum {one.stage.minimum:.2f}"
    return words if one.passed else f"{words}: below it after {one.attempts} attempts"


def show(
    invocation: Invocation, config: str, results: list[StageResult], given: CurriculumOptions
) -> None:
    """Print the last model; exit 1 where nothing was trained, or a strict run ended early."""
    from ringrift.models.aliases import set_alias

    model = results[-1].model
    failed = model is None or (given.strict and not results[-1].passed)
    if model is not None and given.model_id is not None:
        set_alias(invocation.paths().models, given.model_id, model, by="train")
    invocation.out.result(
        {
            **_nothing(),
            "config": config,
            "stages": [one.as_dict() for one in results],
            "model_id": model,
        },
        human="no sample lies in any stage" if model is None else f"model {model}",
        ok=not failed,
    )
    if failed:
        raise typer.Exit(NegativeResult.exit_code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    shown = {"batch_size": "32, of stages 256"}
    command = command_of(curriculum, CurriculumOptions, NAMES, defaults={}, shown=shown)
    app.command("curriculum", cls=TrainCommand)(command)
