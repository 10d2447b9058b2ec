"""The dataset of one training: exported from the store, looked through, old ones thinned out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ringrift.cluster.job_child import Outcome
from ringrift.core.paths import Paths
from ringrift.loop.job_specs import checked
from ringrift.loop.work.playing import Clock
from ringrift.loop.work.training_request import selection_of

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.cluster.job_child import JobContext
    from ringrift.data.dataset import Manifest
    from ringrift.loop.job_specs import DatasetSpec

KEPT_DATASETS = 3
"""Newest datasets of a configuration whose samples stay; of others the manifests do (data.md 4)."""


class _Stopped(Exception):
    """The job was stopped between two blocks of the export; those that are finished are kept."""


def run(context: JobContext) -> Outcome:
    """Export the samples of a `DatasetSpec`.

    Numbers: `dataset` (its id), `parent`, `games`, `samples`, `val_games`, `val_samples`, `coverage`,
    `games_upto`, `preflight` (what is wrong with it, empty where nothing is), `seconds`,
    `cpu_seconds`. Raises `NegativeResult` without samples.
    """
    from ringrift.training.reuse import passes_over_games
    from ringrift.training.sources import Places, Source, find_samples

    clock = Clock()
    asked = cast("DatasetSpec", checked("dataset", context.job.spec))
    paths = Paths(context.root)
    selection = selection_of(asked.kind, asked.values)
    uses = None
    if asked.parent is not None and selection.max_reuse is not None:
        uses = passes_over_games(_parent(paths, asked.parent), paths.model_objects, paths.npz)

    def on_progress(done: int, total: int) -> None:
        context.report(done=done, total=total)
        if context.stop():
            raise _Stopped

    try:
        found = find_samples(
            Source(stores=(paths.game_store,)),
            asked.config,
            selection,
            Places(npz=paths.npz, cache=paths.cache),
            uses=uses,
            upto=asked.upto,
            on_progress=on_progress,
        ).dataset
    except _Stopped:
        return Outcome(complete=False)
    manifest = found.manifest
    faults = preflight(paths, found.path, asked.config)
    thin_out(paths.npz / asked.config, paths.runs / asked.config / "loop", keep=found.path.name)
    return Outcome(
        numbers={
            "dataset": manifest.id,
            "parent": asked.parent,
            "games": manifest.games,
            "samples": manifest.samples,
            "val_games": manifest.val_games,
            "val_samples": manifest.val_samples,
            "coverage": manifest.policy.get("coverage"),
            "games_upto": _upto(manifest),
            "preflight": faults,
            **clock.numbers(),
        }
    )


def preflight(paths: Paths, dataset: Path, config: str) -> list[str]:
    """Return what a training over this dataset would stumble over (data.md 11), a line each."""
    from ringrift.core.readings import read
    from ringrift.core.settings.limits import Limits
    from ringrift.training.preflight import Context, Dataset, run_preflight
    from ringrift.training.preflight.samples import check_dataset_files, check_split

    context = Context(
        root=paths.root,
        stores=(paths.game_store,),
        configs=(config,),
        datasets=(Dataset(folder=dataset, config=config),),
        limits=Limits(),
        read=read,
        quality=lambda _stores, _config: None,
    )
    checks = (("dataset", check_dataset_files), ("split", check_split))
    found = run_preflight(context, checks=checks).checks
    return [f"{check.name}: {check.found}" for check in found if check.state == "FAIL"]


def thin_out(datasets: Path, runs: Path, *, keep: str) -> None:
    """Remove the samples of datasets that trainings in `runs` used, but of the newest.

    `keep` is the id of one that stays beside those.
    """
    from ringrift.data.dataset import Manifest

    used: dict[str, float] = {}
    for path in runs.glob("*/dataset.json"):
        identity = Manifest.from_bytes(path.read_bytes(), where=str(path)).id
        used[identity] = max(used.get(identity, 0.0), path.stat().st_mtime)
    newest = sorted(used, key=lambda identity: -used[identity])[: KEPT_DATASETS - 1]
    for identity in used.keys() - {keep, *newest}:
        for part in (datasets / identity).glob("part-*.npz"):
            part.unlink(missing_ok=True)


def _parent(paths: Paths, model_id: str) -> Path:
    from ringrift.models.registry import find_model

    return find_model(paths.model_objects, model_id)


def _upto(manifest: Manifest) -> int:
    return max(manifest.games_upto.values())
