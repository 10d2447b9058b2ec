"""`ringrift train pipeline`: from games to a measured model in one pass (`training.md` 11)."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.option_sets import command_of, option
from ringrift.cli.output import Column
from ringrift.cli.train.command_lines import TrainCommand
from ringrift.cli.train.options import LEARN, NET, Options
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.train.pipeline_stages import Setting
    from ringrift.core.settings_loader import LoadedSettings
    from ringrift.training.pipeline.run import Outcome, Stage

STAGES = "Stages"
PARTLY_DONE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineOptions(Options):
    """The values of one call: those of a training, and the stages to leave out."""

    skip_collect: Annotated[
        bool, option("--skip-collect", panel=STAGES, help="Fetch no games of other nodes.")
    ] = False
    skip_backfill: Annotated[
        bool, option("--skip-backfill", panel=STAGES, help="Search no games without statistics.")
    ] = False
    skip_train: Annotated[
        bool,
        option("--skip-train", panel=STAGES, help="Train nothing; elo measures the last model."),
    ] = False
    skip_elo: Annotated[
        bool, option("--skip-elo", panel=STAGES, help="Play no calibration games.")
    ] = False
    skip_sync: Annotated[
        bool, option("--skip-sync", panel=STAGES, help="Exchange no models with other nodes.")
    ] = False
    use_optimized: Annotated[
        bool,
        option(
            "--use-optimized/--no-use-optimized",
            "--use-optimized-hyperparams/--no-optimized-hyperparams",
            panel=LEARN,
            help="Use what studies found.",
        ),
    ] = True
    use_nnue: Annotated[
        bool,
        option(
            "--use-nnue/--no-use-nnue",
            panel=NET,
            help="Train a NNUE on values; without, a convolutional net, which takes longer.",
        ),
    ] = True


NAMES = (
    "board", "players", "config_key", "skip_collect", "skip_backfill", "skip_train", "skip_elo",
    "skip_sync", "use_nnue", "model_size", "hidden_dim", "epochs", "batch_size", "learning_rate",
    "sampling_weights", "use_optimized", "max_samples", "seed", "device", "no_wait",
    "dry_run",
)  # fmt: skip


def pipeline(given: PipelineOptions) -> None:
    """Take games to a measured model in one pass.

    Stages: collect games of other nodes; pool all games found through the gate into the store;
    backfill searches for games without statistics, for at most 30 minutes; export; train; elo,
    cluster.elo_calibration_games games against random and as many against heuristic; sync models
    with other nodes. Reads data/selfplay and data/games, writes what those commands write and
    runs/pipeline/CONFIGURATION: the finished jobs, each named by the hash of its inputs, and the
    trainings. Stages that are finished are skipped, a training that was killed goes on where it was.

    Exit code 1 without games or when more of a file failed than safety.parity_failure_rate_max, 3
    when nodes are configured and not reachable, 5 when a file could not be read, 75 while another
    process runs this pipeline, 130 and 143 after a signal.

    Examples: ringrift train pipeline --board square8 --num-players 2 |
    ringrift train pipeline --no-use-nnue --skip-elo --dry-run --json

    was: auto_training_pipeline.py
    """
    from ringrift.cli.train.pipeline_stages import Stopped
    from ringrift.cli.train.training import make_ready, settings_of
    from ringrift.training.pipeline.run import plan_pipeline, run_pipeline

    invocation = current()
    check_net(given)
    if not given.dry_run:
        make_ready(invocation, given)
    setting = setting_of(invocation, given)
    stages = stages_of(setting, given, settings_of(invocation, given))
    if given.dry_run:
        show(invocation, setting, plan_pipeline(stages, setting.folder), dry_run=True)
        return
    outcomes: list[Outcome] = []
    try:
        run_pipeline(
            stages,
            setting.folder,
            on_begin=lambda name: invocation.out.note(f"{name} ..."),
            on_outcome=outcomes.append,
        )
    except Stopped as stopped:
        again = shlex.join(["ringrift", *invocation.arguments])
        invocation.out.note(f"{stopped}; to go on: {again}")
        if invocation.out.as_json:
            show(invocation, setting, outcomes, dry_run=False, ok=False)
        raise typer.Exit(stopped.code) from None
    partly = any(outcome.problems for outcome in outcomes)
    show(invocation, setting, outcomes, dry_run=False, ok=not partly)
    if partly:
        raise typer.Exit(PARTLY_DONE)


def check_net(given: PipelineOptions) -> None:
    """Raise `UsageError` for an option of the kind of net that is not trained."""
    if given.use_nnue and given.model_size is not None:
        raise UsageError(
            "a NNUE has no such size", where="--model-size", hint="--hidden-dim, or --no-use-nnue"
        )
    if not given.use_nnue and given.hidden_dim is not None:
        raise UsageError(
            "a convolutional net has no such width", where="--hidden-dim", hint="--model-size"
        )


def setting_of(invocation: Invocation, given: PipelineOptions) -> Setting:
    """Return what all stages share."""
    from ringrift.cli.train.pipeline_stages import Setting
    from ringrift.cli.train.training import config_of, settings_of

    config = config_of(given)
    paths = invocation.paths(create=not given.dry_run)
    loaded = settings_of(invocation, given)
    return Setting(
        invocation=invocation,
        kind="nnue" if given.use_nnue else "cnn",
        options=given,
        config=config,
        paths=paths,
        hosts=hosts_of(invocation, loaded),
        peers=loaded.values.p2p_daemon.known_peers,
        folder=paths.runs / "pipeline" / config,
    )


def hosts_of(invocation: Invocation, loaded: LoadedSettings) -> tuple[str, ...]:
    """Return the machines that the hosts file names."""
    from ringrift.core.yaml_text import parse_yaml, read_text

    path = invocation.paths(create=False).from_setting(loaded.values.hosts_config_path)
    if not path.is_file():
        return ()
    tree = parse_yaml(read_text(path), str(path))
    sections = {} if tree is None else {name.value: value for name, value in tree.pairs}
    if "hosts" not in sections:
        return ()
    return tuple(str(host.value) for host, _ in sections["hosts"].pairs)


def stages_of(setting: Setting, given: PipelineOptions, loaded: LoadedSettings) -> list[Stage]:
    """Return the stages that are not left out, in order."""
    from ringrift.cli.train import pipeline_stages as kinds
    from ringrift.training.pipeline.jobs import JobBook

    newest = JobBook(setting.folder).newest("train") if given.skip_train else None
    elo = kinds.Elo(
        setting,
        games=loaded.values.cluster.elo_calibration_games,
        trains=not given.skip_train,
        newest=None if newest is None else newest.result,
    )
    every: list[tuple[bool, Stage]] = [
        (given.skip_collect, kinds.Collect(setting)),
        (False, kinds.Pool(setting)),
        (given.skip_backfill, kinds.Backfill(setting)),
        (False, kinds.Export(setting)),
        (given.skip_train, kinds.Train(setting)),
        (given.skip_elo, elo),
        (given.skip_sync, kinds.Sync(setting)),
    ]
    return [stage for left_out, stage in every if not left_out]


def show(
    invocation: Invocation,
    setting: Setting,
    outcomes: Sequence[Outcome],
    *,
    dry_run: bool,
    ok: bool = True,
) -> None:
    """Print a line for each stage, and whether anything was or is to do."""
    idle = not any(outcome.state in ("done", "to do") for outcome in outcomes)

    def human(console: Any) -> None:
        columns = [
            Column("stage"),
            Column("state"),
            Column("seconds", number=True),
            Column(""),
        ]
        rows = [
            (one.stage, one.state, "" if one.seconds is None else f"{one.seconds:,.1f}", words(one))
            for one in outcomes
        ]
        console.print(invocation.out.table(columns, rows))
        for one in outcomes:
            for problem in one.problems:
                console.print(f"{one.stage}: {problem}", soft_wrap=True)
        if idle:
            console.print("nothing to do: every stage is finished")

    fields = {
        "dry_run": dry_run,
        "config": setting.config,
        "folder": str(setting.folder),
        "nothing_to_do": idle,
        "stages": [
            {
                "stage": one.stage,
                "state": one.state,
                "job": one.job,
                "counts": dict(one.counts),
                "told": one.told,
                "problems": list(one.problems),
                "result": dict(one.result),
                "seconds": one.seconds,
            }
            for one in outcomes
        ],
    }
    invocation.out.result(fields, human=human, ok=ok)


def words(outcome: Outcome) -> str:
    """Return what came of a stage, else what it has before it."""
    if outcome.told:
        return outcome.told
    return ", ".join(
        f"{count:,} {name.replace('_', ' ')}" for name, count in outcome.counts.items()
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    defaults = {"batch_size": 256, "sampling_weights": "victory_type"}
    command = command_of(
        pipeline,
        PipelineOptions,
        NAMES,
        defaults=defaults,
        shown={"epochs": "100; 50 without --use-nnue"},
    )
    app.command("pipeline", cls=TrainCommand)(command)
