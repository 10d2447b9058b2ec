"""Stages as trainings: one dataset for all, each stage takes the samples of its plies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ringrift.core.errors import RingriftError, UsageError
from ringrift.core.settings_loader import Origin
from ringrift.data.dataset import Dataset
from ringrift.training.curriculum.stages import Stage, Trained
from ringrift.training.engine.trainer import OnProgress
from ringrift.training.run import Job, run_training
from ringrift.training.sources import Source, find_samples

OF_STAGE = Origin("option", "the stage's")
TOLD = ("epochs", "learning_rate", "min_move_number", "max_move_number")


class StageInterrupted(RingriftError):
    """A training was asked to stop; its run folder holds a checkpoint."""

    exit_code = 130


class StageTrainer:
    """Train stages of one job.

    `dataset` is what all of them learn from, `lengths` the plies of its games.
    """

    def __init__(
        self,
        job: Job,
        *,
        on_export: Callable[[int, int], None] = lambda done, total: None,
        on_progress: OnProgress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Open the dataset, exporting it first; raises what `find_samples` raises.

        A kind without a policy is a `UsageError`: a stage is judged by predicted moves.
        """
        request = job.request
        if request.kind == "nnue":
            raise UsageError(
                "a net without a policy cannot be judged by predicted moves",
                where="--kind",
                hint="--kind nnue-policy",
            )
        found = find_samples(
            job.source, request.config, request.selection, job.places,
            workers=job.workers, on_progress=on_export,
        )  # fmt: skip
        self.dataset: Dataset = found.dataset
        self._job = replace(job, source=Source(data_path=found.dataset.path))
        self._on_progress = on_progress
        self._stop = stop

    @property
    def lengths(self) -> list[int]:
        """Plies of each game, as far as its samples tell."""
        arrays = self.dataset.arrays
        plies = np.zeros(len(self.dataset.manifest.game_ids), np.int64)
        np.maximum.at(plies, arrays["game"], arrays["total_plies"])
        return [int(count) for count in plies if count]

    def __call__(self, stage: Stage, *, parent: str | None, run_dir: Path) -> Trained | None:
        """Train a stage from a model's file; None where no sample lies in it."""
        if not self._samples(stage):
            return None
        request = self._job.request
        job = replace(
            self._job,
            request=replace(
                request,
                settings=replace(
                    request.settings, epochs=stage.epochs, learning_rate=stage.learning_rate
                ),
                selection=replace(
                    request.selection,
                    min_move_number=stage.first_ply,
                    max_move_number=stage.last_ply,
                ),
                origins={**request.origins, **dict.fromkeys(TOLD, OF_STAGE)},
            ),
            run=run_dir,
            mode="renew",
            parent=self._job.parent if parent is None else Path(parent),
        )
        report = run_training(job, on_progress=self._on_progress, stop=self._stop)
        if report.model_id is None:
            raise StageInterrupted("interrupted; the same line goes on", where=str(run_dir))
        return Trained(
            model=report.model_id,
            path=str(report.model_path),
            accuracy=report.best.get("policy_top1"),
        )

    def _samples(self, stage: Stage) -> int:
        plies, held = self.dataset.arrays["ply"], self.dataset.arrays["split_val"]
        inside = plies >= stage.first_ply
        if stage.last_ply is not None:
            inside &= plies <= stage.last_ply
        return int((inside & (held == 0)).sum())
