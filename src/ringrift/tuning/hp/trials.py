"""Trials as trainings: each set of hyper-parameters in a run folder of its own, on one dataset.

The dataset is made once, so that games which arrive meanwhile change no trial. The models stay in
the study's folder; none of them is a candidate for anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ringrift.core.errors import NegativeResult
from ringrift.core.settings_loader import Origin
from ringrift.training.engine.run_folder import METRICS
from ringrift.training.engine.tally import TrainingDiverged
from ringrift.training.run import Job, run_training
from ringrift.training.sources import Source, find_samples
from ringrift.tuning.hp.confirm import Trained
from ringrift.tuning.hp.study import Pruned, Report, StudyInterrupted, TrialFailed

STUDY = Origin("option", "ringrift tune hp")
OF_SHAPE = {"hidden_dim": "hidden", "num_hidden_layers": "layers"}


class TrainingTrials:
    """Make trials of one job; `dataset` is the id of what all of them learn from."""

    def __init__(
        self,
        job: Job,
        folder: Path,
        *,
        epochs: int,
        on_export: Callable[[int, int], None] = lambda done, total: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Open the dataset, exporting it first; raises what `find_samples` raises."""
        request = job.request
        found = find_samples(
            job.source, request.config, request.selection, job.places,
            workers=job.workers, on_progress=on_export,
        )  # fmt: skip
        self.dataset = found.dataset.manifest.id
        self._folder = folder
        self._epochs = epochs
        self._stop = stop
        self._job = replace(
            job,
            source=Source(data_path=found.dataset.path),
            objects=folder / "objects",
            measured=False,
        )

    def present(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the values that are in use now."""
        request = self._job.request
        return {
            name: getattr(request.shape, OF_SHAPE[name])
            if name in OF_SHAPE
            else getattr(request.settings, name)
            for name in names
        }

    def objective(self, number: int, values: Mapping[str, Any], report: Report) -> float:
        """Train one set and return its best validation loss at unit weights."""
        seed = self._job.request.settings.seed
        return self._train(f"trial-{number:04}", values, seed, report).loss

    def measure(self, side: str, seed: int, values: Mapping[str, Any]) -> Trained:
        """Train one side of a confirmation."""
        return self._train(f"{side}-{seed}", values, seed, lambda epoch, loss: None)

    def _train(self, name: str, values: Mapping[str, Any], seed: int, report: Report) -> Trained:
        folder = self._folder / name
        watch = _EpochWatch(folder / METRICS, report)
        try:
            found = run_training(
                self._job_of(folder, values, seed),
                stop=lambda: watch.says_stop() or self._stop(),
            )
        except TrainingDiverged as error:
            raise TrialFailed(str(error)) from error
        if watch.pruned:
            raise Pruned
        if found.model_id is None:
            raise StudyInterrupted
        loss = found.best.get("loss")
        if loss is None:
            raise NegativeResult(
                "no validation games, so trials cannot be compared",
                where=f"dataset {self.dataset[:12]}",
                hint="more games, or a larger --val-split",
            )
        return Trained(loss=loss, model=found.model_id)

    def _job_of(self, folder: Path, values: Mapping[str, Any], seed: int) -> Job:
        request = self._job.request
        shaped = {OF_SHAPE[name]: value for name, value in values.items() if name in OF_SHAPE}
        learned = {name: value for name, value in values.items() if name not in OF_SHAPE}
        settings = replace(
            request.settings, **learned, seed=seed, epochs=self._epochs, early_stopping_patience=0
        )
        told = (*values, "seed", "epochs", "early_stopping_patience")
        request = replace(
            request,
            settings=settings,
            shape=replace(request.shape, **shaped),
            origins={**request.origins, **dict.fromkeys(told, STUDY)},
        )
        return replace(self._job, request=request, run=folder, mode="renew")


class _EpochWatch:
    """Report the validation losses that a run writes; called after every step."""

    def __init__(self, path: Path, report: Report) -> None:
        self._path = path
        self._report = report
        self._read = 0
        self.pruned = False

    def says_stop(self) -> bool:
        """Report what is new and return whether the trial shall end."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return False
        if self.pruned or size <= self._read:
            return self.pruned
        with self._path.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            told = json.loads(line)
            if told["kind"] == "epoch" and told["validation"].get("loss") is not None:
                try:
                    self._report(told["epoch"], told["validation"]["loss"])
                except Pruned:
                    self.pruned = True
        return self.pruned
