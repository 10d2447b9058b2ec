"""What the trainers do once their options are read: resolve, train, name the model, print."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.heavy import ready_for
from ringrift.cli.invocation import current
from ringrift.cli.train.reporting import interrupted, show_report
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.cli.train.options import Options
    from ringrift.core.settings_loader import LoadedSettings
    from ringrift.training.engine.report import Progress, TrainReport
    from ringrift.training.request import Kind, Machine, Request
    from ringrift.training.run import Job
    from ringrift.training.sources import Source

DEMO_SAMPLES, DEMO_EPOCHS = 2_048, 5
NVIDIA = Path("/dev/nvidiactl")
"""Device file that every machine with an NVIDIA driver has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A training with nothing left open but its samples."""

    request: Request
    source: Source
    parent: Path | None
    transfer: Path | None
    machine: Machine


def perform(kind: Kind, given: Options) -> None:
    """Train one net, or say what would be trained, and print the result."""
    invocation = current()
    if not given.dry_run:
        make_ready(invocation, given)
    prepared = prepare(invocation, kind, given)
    if given.dry_run:
        from ringrift.cli.train.plan_shown import show_plan

        show_plan(invocation, prepared, given)
        return
    if given.find_lr:
        from ringrift.cli.train.finding import find_rate

        find_rate(invocation, prepared, given)
        return
    report = train_one(invocation, prepared, given)
    show_report(invocation, report, prepared.request)


def perform_policy(given: Options) -> None:
    """Train values and policy, unless the settings switch policies off."""
    invocation = current()
    if not settings_of(invocation, given).values.training.policy.enabled:
        invocation.out.result({"disabled": True}, human="disabled: training.policy.enabled is off")
        return
    perform("nnue-policy", given)


def train_one(invocation: Invocation, prepared: Prepared, given: Options) -> TrainReport:
    """Train and name the model; ends the program with 130 or 143 after a signal."""
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.training.run import run_training

    with ExitStack() as stack:
        stop = stack.enter_context(cooperative_stop())
        job = job_of(invocation, prepared, given, stack)
        progress = stack.enter_context(invocation.out.progress())
        exporting = progress.task(f"{job.request.config}: exporting", unit="games")
        bar = progress.task(f"{job.request.config}: training", unit="steps")
        report = run_training(
            job,
            on_export=lambda done, total: exporting.update(done, total=total),
            on_progress=lambda found: bar.update(found.step, total=found.steps, name=told(found)),
            stop=lambda: stop.requested,
        )
        exporting.finish()
        bar.finish()
    if report.model_id is None:
        interrupted(invocation, report, shlex.join(["ringrift", *invocation.arguments]))
        raise typer.Exit(stop.exit_code or 130)
    name_model(invocation, report, given)
    return report


def told(found: Progress) -> str:
    """Return the words beside the bar: epoch, losses, speed, remaining time."""
    parts = [f"epoch {found.epoch}/{found.epochs}"]
    parts += [
        f"{name} {value:.3f}"
        for name, value in found.losses.items()
        if name in ("policy", "value") and value is not None
    ]
    return ", ".join([*parts, f"{found.samples_per_s:,.0f} samples/s, {found.eta_s:,.0f} s left"])


# --- from options to a request


def prepare(invocation: Invocation, kind: Kind, given: Options) -> Prepared:
    """Resolve everything but the samples; changes nothing."""
    from ringrift.core.hyperparameters import load_hyperparameters
    from ringrift.nets.container import read_card
    from ringrift.training.devices import find_machine
    from ringrift.training.request import resolve

    given = without_synonyms(given)
    if given.demo:
        given = demonstrated(given)
    config = config_of(given)
    loaded = settings_of(invocation, given)
    machine = find_machine(given.device)
    parent, transfer = models_of(invocation, config, given)
    request = resolve(
        kind,
        config,
        given=values_of(given),
        hyperparameters=load_hyperparameters(root=invocation.known_root()),
        settings=loaded,
        machine=machine,
        named=names_samples(given),
        parent=None if parent is None else read_card(parent)[1],
    )
    return Prepared(
        request=request,
        source=source_of(invocation, given, config),
        parent=parent,
        transfer=transfer,
        machine=machine,
    )


def settings_of(invocation: Invocation, given: Options) -> LoadedSettings:
    """Load the settings; tuned hyper-parameters may be switched off."""
    chosen = {}
    if given.use_optimized is not None:
        chosen["training.use_optimized_hyperparams"] = given.use_optimized
    return invocation.settings(options=chosen)


def without_synonyms(given: Options) -> Options:
    """Write options that are other words for one into that one."""
    if given.balanced_sampling:
        given = replace(given, sampling_weights="victory_type")
    if given.augment_hex:
        given = replace(given, symmetries="auto")
    if given.lambda_z is not None:
        given = replace(given, q_mix=1.0 - given.lambda_z)
    return given


def demonstrated(given: Options) -> Options:
    """Return the options of `--demo`, which names its own samples, epochs and size."""
    for option, value in (
        ("--data-path", given.data_path), ("--db", given.db), ("--jsonl", given.jsonl),
        ("--warm-start", given.warm_start), ("--transfer-from", given.transfer_from),
    ):  # fmt: skip
        if value:
            raise UsageError(f"--demo makes its own games; {option} names others", where=option)
    return replace(
        given,
        epochs=given.epochs or DEMO_EPOCHS,
        model_size=given.model_size or "tiny",
        max_samples=DEMO_SAMPLES,
    )


def config_of(given: Options) -> str:
    """Return the configuration that is meant."""
    from ringrift.rules import board_name, parse_config

    if given.config_key is not None:
        return "{}_{}p".format(*parse_config(given.config_key))
    return f"{board_name(given.board)}_{given.players}p"


_OTHER_NAMES = {"model_size": "size", "policy_dropout": "dropout"}
_VALUES = (
    "seed", "val_split", "sample_every_n", "min_game_length", "max_games", "max_samples",
    "min_move_number", "max_move_number", "max_reuse", "surprise_weight", "sampling_weights",
    "symmetries", "streaming", "model_size", "model_version", "hidden_dim", "num_hidden_layers",
    "epochs", "batch_size", "learning_rate", "weight_decay", "warmup_epochs", "lr_scheduler",
    "early_stopping_patience", "policy_weight", "value_weight", "q_mix", "grad_clip",
    "gradient_accumulation_steps", "use_ema", "ema_decay", "label_smoothing", "mixed_precision",
    "amp_dtype", "deterministic", "policy_dropout", "temperature_start", "temperature_end",
    "temperature_schedule", "max_moves_per_position", "winner_weight_boost", "kl_min_coverage",
    "kl_min_samples", "num_workers",
)  # fmt: skip


def values_of(given: Options) -> dict[str, Any]:
    """Return the values of options by the names of a request, None where none was given."""
    found = {_OTHER_NAMES.get(name, name): getattr(given, name) for name in _VALUES}
    found["window"] = window_of(given)
    for name in ("freeze_value", "distill_from_winners"):
        found[name] = getattr(given, name) or None
    if given.use_kl_loss:
        found["policy_loss"] = "kl"
    elif given.auto_kl_loss is not None:
        found["policy_loss"] = "auto" if given.auto_kl_loss else "ce"
    return found


def window_of(given: Options) -> str | int | None:
    """Return the window that was asked for."""
    if given.window in (None, "all", "auto"):
        return given.window
    if not given.window.isdecimal() or int(given.window) < 1:
        raise UsageError(
            f"window is {given.window!r}; expected all, auto or a number of samples",
            where="--window",
        )
    return int(given.window)


def models_of(
    invocation: Invocation, config: str, given: Options
) -> tuple[Path | None, Path | None]:
    """Return the files of the models whose weights are taken over."""
    from ringrift.cli.model_references import ModelReferences

    if given.warm_start and given.transfer_from:
        raise UsageError(
            "--warm-start and --transfer-from name different weights", where="--warm-start"
        )
    references = ModelReferences.of(invocation)
    parent = transfer = None
    if given.warm_start:
        parent = references.named(given.warm_start, config)
    if given.transfer_from:
        transfer = references.named(_champion_of(given.transfer_from, config), None)
    return parent, transfer


def _champion_of(name: str, config: str) -> str:
    """Return the configuration that a board stands for, with the same players; else the name."""
    from ringrift.rules import board_name

    try:
        return f"{board_name(name)}_{config.rsplit('_', 1)[1]}"
    except UsageError:
        return name


def source_of(invocation: Invocation, given: Options, config: str) -> Source:
    """Return where the samples come from; raises `NegativeResult` where there are no games."""
    from ringrift.data.stores import store_files
    from ringrift.training.sources import Source

    if given.demo:
        return Source()
    if given.data_path is not None or given.jsonl:
        return Source(
            data_path=given.data_path,
            jsonl=tuple(given.jsonl or ()),
            stores=tuple(given.db or ()),
        )
    if given.db:
        return Source(stores=tuple(store_files(given.db, given.db[0])))
    root = invocation.known_root()
    store = None if root is None else invocation.paths(create=False).game_store
    if store is None or not store.is_file():
        raise without_games(config, str(store or "no data root"))
    return Source(stores=(store,))


def names_samples(given: Options) -> bool:
    """Tell whether samples are named; without a name they are the installation's window."""
    return bool(given.data_path or given.db or given.jsonl or given.demo)


def without_games(config: str, where: str) -> NegativeResult:
    """Return the error of an installation without games; it names the command that makes some."""
    from ringrift.training.sources import MAKE_GAMES

    board, players = config.rsplit("_", 1)
    return NegativeResult(
        f"zero samples: no game of {config}",
        where=where,
        hint=MAKE_GAMES.format(board=board, players=players[:-1]),
    )


# --- the run


def make_ready(invocation: Invocation, given: Options) -> None:
    """Refuse a missing root or a short machine before anything is read, made or loaded."""
    config = config_of(given)
    loaded = settings_of(invocation, given)
    if invocation.known_root() is None and not names_samples(given):
        raise without_games(config, "no data root")
    invocation.paths(create=False)
    ready_for(
        invocation,
        gpu=given.device == "cuda" or (given.device == "auto" and NVIDIA.exists()),
        disk_gb=0.5,
        wait=not given.no_wait,
        config=config,
        limits=loaded.values.limits,
    )


def job_of(invocation: Invocation, prepared: Prepared, given: Options, stack: ExitStack) -> Job:
    """Return the job; the games of `--demo` last as long as `stack`."""
    from ringrift.training.run import Job
    from ringrift.training.sources import Places

    paths = invocation.paths()
    source = prepared.source
    places = Places(npz=paths.npz, cache=paths.cache)
    if given.demo:
        source, places = demo_source(prepared.request, stack)
    own = paths.game_store
    return Job(
        request=prepared.request,
        source=source,
        places=places,
        objects=paths.model_objects,
        runs=paths.runs,
        run=given.run_dir,
        mode="auto" if given.resume is None else "resume" if given.resume else "fresh",
        workers=prepared.machine.threads,
        parent=prepared.parent,
        transfer=prepared.transfer,
        stores=(own,) if own.is_file() and not given.demo else (),
        label=given.model_id,
        extra={"command": invocation.arguments},
    )


def demo_source(request: Request, stack: ExitStack) -> tuple[Any, Any]:
    """Make random games; they and their dataset are gone with `stack`."""
    import tempfile

    from ringrift.training.demo import random_games
    from ringrift.training.sources import Places, Source

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringrift-demo-")))
    store = random_games(folder / "games.db", request.config, request.settings.seed, DEMO_SAMPLES)
    return Source(stores=(store,)), Places(npz=folder / "npz", cache=folder / "cache")


AUTOMATIC = {"nnue": "nnue_{}", "nnue-policy": "nnue_policy_{}"}
"""Names that the newest model of a kind takes by itself."""


def name_model(invocation: Invocation, report: TrainReport, given: Options) -> None:
    """Let the aliases of the kind, and the name that was asked for, mean the new model."""
    from ringrift.models.aliases import move, set_alias

    assert report.model_id is not None
    models = invocation.paths().models
    automatic = AUTOMATIC[report.kind].format(report.config) if report.kind in AUTOMATIC else None
    if automatic is not None:
        move(models, {automatic: report.model_id}, by="train")
    if given.model_id is not None and given.model_id != automatic:
        set_alias(models, given.model_id, report.model_id, by="train")
