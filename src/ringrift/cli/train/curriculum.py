"""`ringrift train curriculum`: stages of the game, weights of configurations (`training.md` 9)."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.invocation import current
from ringrift.cli.option_sets import command_of, option
from ringrift.cli.output import Column
from ringrift.cli.train.command_lines import TrainCommand
from ringrift.cli.train.options import NET, RUN, Options
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.training.curriculum.stages import Stage, StageResult

PARTS, WEIGHTS = "Stages", "Weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumOptions(Options):
    """The values of one call: those of a training, stages and weights."""

    kind: Annotated[
        Literal["nn", "nnue-policy"], option("--kind", panel=NET, help="Kind of net.")
    ] = "nn"
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
            help="Folder of the stages [default: runs/CONFIGURATION/curriculum-KIND].",
        ),
    ] = None


NAMES = (
    "board", "players", "config_key", "kind", "data_path", "db", "jsonl", "window", "val_split",
    "max_games", "max_samples", "model_size", "hidden_dim", "warm_start", "batch_size", "stage",
    "auto_progress", "strict", "list_stages", "show_weights", "elo_db", "max_weight", "min_weight",
    "output_dir", "resume", "model_id", "seed", "device", "no_wait", "dry_run",
)  # fmt: skip


def curriculum(given: CurriculumOptions) -> None:
    """Train part by part of the game, or weigh configurations.

    Reads samples as train nn does. Each stage learns the decisions of its plies, from the model of
    the stage before; one that predicts too few moves of validation games is repeated once. Writes a
    run folder for each attempt, stages.json and models (models/objects). Killed at any instant, the
    same line goes on with the attempt it was in. --show-weights reads the Elo of champions.

    Exit code 1 without samples, or with --strict at a stage below its minimum, 2 for a folder of
    another curriculum, 75 while another process works in it, 130 and 143 after a signal.

    Examples: ringrift train curriculum --list-stages |
    ringrift train curriculum --board square8 --auto-progress --strict --dry-run |
    ringrift train curriculum --show-weights --max-weight 3 --json

    was: curriculum_training.py
    """
    invocation = current()
    if given.show_weights:
        weigh(invocation, given)
    elif given.list_stages or (given.dry_run and (given.stage or given.auto_progress)):
        tell(invocation, given)
    elif given.stage is None and not given.auto_progress:
        raise UsageError(
            "nothing to do; expected --stage, --auto-progress, --list-stages or --show-weights",
            hint="ringrift train curriculum --list-stages",
        )
    else:
        train_stages(invocation, given)


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
    return {"dry_run": False, "config": None, "stages": [], "weights": [], "model_id": None}


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
    shown = {"batch_size": 256}
    command = command_of(curriculum, CurriculumOptions, NAMES, defaults={}, shown=shown)
    app.command("curriculum", cls=TrainCommand)(command)
