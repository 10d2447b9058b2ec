"""One training from samples to a model file: dataset, tables, task, engine (training.md 5, 6)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ringrift.core.errors import UsageError
from ringrift.core.ids import canonical_json
from ringrift.core.versions import commit, installed
from ringrift.training.engine.run_folder import REPORT, RunConfig, RunFolder, open_run
from ringrift.training.engine.task import Lineage
from ringrift.training.engine.trainer import Measure, OnProgress, train, unmeasured
from ringrift.training.final_measures import FinalMeasures
from ringrift.training.reuse import passes_over_games
from ringrift.training.sides import Sides, read_sides
from ringrift.training.sources import Places, Source, find_samples
from ringrift.training.tasks import start_net, task_of

if TYPE_CHECKING:
    from ringrift.data.dataset import Manifest
    from ringrift.training.engine.report import TrainReport
    from ringrift.training.engine.task import Task
    from ringrift.training.request import Request
    from ringrift.training.tasks import Started

Mode = Literal["auto", "resume", "fresh", "renew"]
"""`auto` goes on with an unfinished run of the same, else begins one; `resume` begins none, `fresh`
always does; `renew` begins anew where the folder named has a run of something else."""

HASH_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request with the places it reads and writes.

    `parent` is the model whose weights it goes on with, `transfer` the one of another board whose
    tensors are copied. `run` is the run's folder, None for a new one below `runs`; `name` is what
    the card calls it, its own name where it is None. `stores` are asked which plays they hold out, and
    the model is measured on those unless `measured` or `holdout` is off. With `curves` the run's
    folder gets pictures of its epochs. `workers` are processes of an export. `extra` is told in
    `config.json`. Every `snapshot_s` seconds an epoch of the training becomes a model (`train`).
    """

    request: Request
    source: Source
    places: Places
    objects: Path
    runs: Path
    run: Path | None = None
    name: str | None = None
    mode: Mode = "auto"
    workers: int = 1
    parent: Path | None = None
    transfer: Path | None = None
    stores: Sequence[Path] = ()
    measured: bool = True
    holdout: bool = True
    curves: bool = True
    label: str | None = None
    snapshot_s: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Gathered(NamedTuple):
    """The samples of a job, and what is known of the dataset they were chosen from."""

    sides: Sides
    manifest: Manifest


def gather(
    job: Job, *, on_export: Callable[[int, int], None] = lambda done, total: None
) -> Gathered:
    """Find the dataset of a job, exporting it first where it is not there, and read its samples.

    Raises `NegativeResult` without samples, `RefusedError` for those that may not be learned from.
    """
    request = job.request
    uses = None
    if job.parent is not None and request.selection.max_reuse is not None:
        uses = passes_over_games(job.parent, job.objects, job.places.npz)
    dataset = find_samples(
        job.source,
        request.config,
        request.selection,
        job.places,
        uses=uses,
        workers=job.workers,
        on_progress=on_export,
    ).dataset
    sides = read_sides(
        dataset,
        request.selection,
        q_mix=request.settings.q_mix,
        seed=request.settings.seed,
        given=job.source.data_path is not None,
        stores=job.stores,
    )
    return Gathered(sides, dataset.manifest)


def begin(job: Job, sides: Sides) -> tuple[Started, Task[Any]]:
    """Return the net of a job before its first step, and its task."""
    request = job.request
    started = start_net(
        request.kind,
        sides.train.spec,
        request.shape,
        seed=request.settings.seed,
        parent=job.parent,
        transfer=job.transfer,
    )
    task = task_of(request.kind, sides.train, sides.val, request.settings, started.net)
    return started, task


def run_training(
    job: Job,
    *,
    on_export: Callable[[int, int], None] = lambda done, total: None,
    on_progress: OnProgress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainReport:
    """Train what a job asks for; the model lies below `objects` when this returns.

    An unfinished run of the same request and dataset is gone on with. Raises as `gather` does,
    `TrainingDiverged`, `UsageError` where a run folder has other settings, `BusyError` where it is
    in use.
    """
    sides, manifest = gather(job, on_export=on_export)
    started, task = begin(job, sides)
    request, spec, merged = job.request, sides.train.spec, job.request.hyperparameters
    net = {
        "kind": request.kind,
        "config": request.config,
        "board": spec.board,
        "players": spec.players,
        **request.shape.as_dict(),
        "parents": [dict(parent) for parent in started.parents],
        "selection": asdict(request.selection),
    }
    config = RunConfig(
        settings=request.settings,
        net=net,
        dataset=json.loads(manifest.to_bytes()),
        origins=request.told_origins(),
        extra={
            "hyperparameters": None if merged is None else merged.as_tree(),
            "origins": request.told_origins(),
            "commit": commit(),
            **job.extra,
        },
    )
    folder = choose_folder(job, net, manifest.id)
    with ExitStack() as stack:
        run = _opened(stack, folder, config, job.mode)
        if started.left_out:
            run.note(f"not transferred: {', '.join(started.left_out)}")
        return train(
            task,
            request.settings,
            run,
            models=job.objects,
            lineage=_lineage(job, started, sides, manifest, job.name or run.name),
            measure=_measure(job, started, sides, manifest, run) if job.measured else unmeasured,
            on_progress=on_progress,
            stop=stop,
            curves=job.curves,
            snapshot_s=job.snapshot_s,
        )


def _measure(
    job: Job, started: Started, sides: Sides, manifest: Manifest, run: RunFolder
) -> Measure:
    return FinalMeasures(
        val=sides.val,
        games=manifest.game_ids,
        stores=job.stores if job.holdout else (),
        ancestors=bool(started.parents),
        note=run.note,
    )


def _opened(stack: ExitStack, folder: Path, config: RunConfig, mode: Mode) -> RunFolder:
    try:
        return stack.enter_context(open_run(folder, config, fresh=mode == "fresh"))
    except UsageError:
        if mode != "renew":
            raise
        return stack.enter_context(open_run(folder, config, fresh=True))


def choose_folder(job: Job, net: Mapping[str, Any], dataset: str) -> Path:
    """Return the run's folder: the one named, an unfinished run of the same, or a new one.

    Raises `UsageError` for mode `resume` where there is nothing to go on with.
    """
    if job.run is not None:
        if job.mode == "resume" and not job.run.is_dir():
            raise UsageError(f"no run {job.run}", where="--resume", hint="leaving --resume out")
        return job.run
    content = [dict(net), asdict(job.request.settings), dataset]
    digest = hashlib.sha256(canonical_json(content)).hexdigest()[:HASH_DIGITS]
    runs = job.runs / job.request.config
    if job.mode != "fresh":
        for folder in sorted(runs.glob(f"*-{digest}"), reverse=True):
            if not (folder / REPORT).exists():
                return folder
    if job.mode == "resume":
        raise UsageError(
            f"no unfinished run of these settings and this dataset in {runs}",
            where="--resume",
            hint="leaving --resume out",
        )
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return runs / f"{stamp}-{digest}"


def _lineage(job: Job, started: Started, sides: Sides, manifest: Manifest, run: str) -> Lineage:
    """Return what the card says of the samples and where the training ran (models.md 1)."""
    upto = tuple(manifest.games_upto.values())
    return Lineage(
        training={
            "run": run,
            "datasets": [manifest.id],
            "games_upto": upto[0] if len(upto) == 1 else None,
            **sides.facts(),
            "window": job.request.selection.window,
            "version": installed("ringrift"),
            "commit": commit(),
        },
        parents=started.parents,
        label=job.label,
    )
