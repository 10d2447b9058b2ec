"""Train a task in a run's folder: epochs, checkpoints, guard, report (training.md 5, 6).

On a CPU the same task and settings give the same weights bit for bit, whatever killed the training
on its way: it goes on from the newest checkpoint and takes the same steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from ringrift.training.engine.checkpoint import KEPT, Checkpoints
from ringrift.training.engine.curves import draw_curves
from ringrift.training.engine.prefetch import Prefetch
from ringrift.training.engine.report import (
    Epoch,
    Measured,
    Progress,
    Status,
    TrainReport,
    write_report,
)
from ringrift.training.engine.run_folder import BEST, CHECKPOINTS, FREE_SETTINGS, RunFolder
from ringrift.training.engine.schedule import temperature
from ringrift.training.engine.session import Session, prepared
from ringrift.training.engine.tally import Tally, TrainingDiverged

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.engine.task import Lineage, Task

B = TypeVar("B")
OnProgress = Callable[[Progress], None]
Measure = Callable[[Path], Measured]
"""Measures the model file at a path."""

METRICS_EVERY = 50
"""Steps between two lines of metrics; what is not finite is found as late as that."""
CHECKPOINT_EVERY_S = 60.0
PROGRESS_EVERY_S = 1.0
SNAPSHOT = "snapshot"
"""Role of the parents of a snapshot: nothing descends from it."""
WORSE_FACTOR, WORSE_EPOCHS = 3.0, 3
"""A validation loss above so many times the best, for so many epochs, ends the training."""


def unmeasured(_path: Path) -> Measured:
    """Measure nothing."""
    return Measured()


def train(
    task: Task[B],
    settings: TrainSettings,
    run: RunFolder,
    *,
    models: Path,
    lineage: Lineage,
    measure: Measure = unmeasured,
    on_progress: OnProgress | None = None,
    stop: Callable[[], bool] = lambda: False,
    curves: bool = True,
    snapshot_s: float | None = None,
) -> TrainReport:
    """Train `task` in `run`, from its newest checkpoint on, and write the best model below `models`.

    Best is the epoch with the lowest validation loss; without validation samples, the last. What
    `measure` finds of the model is put into the report; the epochs' curves are drawn unless `curves`
    is off. Every `snapshot_s` seconds the weights of the epoch that ends become a model too, whose
    card says that it is `unfinished`. When `stop` says so a checkpoint is written and the report has
    the status `interrupted` and no model. Raises `TrainingDiverged` for a loss or gradient that is
    not finite, or a validation loss three times the best for three epochs; the best weights stay in
    the folder, in `best/`.
    """
    with prepared(settings):
        training = _Training(task, settings, run, on_progress, stop)
        if snapshot_s is not None:
            training.snapshots = _Snapshots(models, lineage, snapshot_s)
        return training.run_all(models, lineage, measure, curves=curves)


@dataclass(slots=True)
class _Snapshots:
    """Where the models of a training under way go, how often in seconds, and when the last did."""

    models: Path
    lineage: Lineage
    every_s: float
    last: float = field(default_factory=time.monotonic)


class _Training(Generic[B]):
    """A training under way: what `Session` holds, and what epochs add to it."""

    def __init__(
        self,
        task: Task[B],
        settings: TrainSettings,
        run: RunFolder,
        on_progress: OnProgress | None,
        stop: Callable[[], bool],
    ) -> None:
        self.task = task
        self.settings = settings
        self.run = run
        self.session = Session(task, settings)
        self.checkpoints = Checkpoints(run.path / CHECKPOINTS)
        self.best_weights = Checkpoints(run.path / BEST)
        self.on_progress = on_progress
        self.stop = stop
        self.window, self.whole, self.shown = Tally(), Tally(), Tally()
        self.epochs: list[Epoch] = []
        self.best: Epoch | None = None
        self.worse = 0
        self.status: Status | None = None
        self.snapshots: _Snapshots | None = None
        self.seconds_before = 0.0
        self.began = self.saved = self.told = self.mark = time.monotonic()

    def run_all(
        self, models: Path, lineage: Lineage, measure: Measure, *, curves: bool
    ) -> TrainReport:
        """Train to the end, or until stopped, and write the report."""
        self._resume()
        try:
            if not self._over():
                self._train()
        except TrainingDiverged as error:
            self.run.note(str(error), warning=True)
            write_report(self.run.path, self._report("diverged"))
            raise
        if self.status is None:
            self.run.note(f"interrupted at step {self.session.step} of {self.session.steps}")
            return self._report("interrupted")
        path = self._save_model(models, lineage)
        report = self._report(self.status, path, measure(path))
        write_report(self.run.path, report)
        if curves:
            draw_curves(report.epochs, self.run.path)
        self.run.note(f"{report.status} at step {report.steps}: model {report.model_id}")
        return report

    # --- steps

    def _train(self) -> None:
        """Take steps until the end or until stopped."""
        session = self.session
        self.mark = time.monotonic()
        with Prefetch(
            self.task,
            epoch=session.epoch,
            epochs=session.epochs,
            first=session.next_batch,
            device=session.device,
        ) as batches:
            while not self._over():
                session.take_step(batches)
                now = time.monotonic()
                if session.step % METRICS_EVERY == 0:
                    self._write_metrics()
                if session.step == session.steps or session.next_batch == 0:
                    self._end_epoch()
                elif self.stop():
                    self._checkpoint()
                    return
                elif now - self.saved >= CHECKPOINT_EVERY_S:
                    self._checkpoint()
                if now - self.told >= PROGRESS_EVERY_S:
                    self._tell()
            self._tell()

    def _over(self) -> bool:
        return self.status is not None

    def _drain(self) -> None:
        """Bring over what the steps since the last time left, with the time they took."""
        tallies = (self.window, self.whole, self.shown)
        self.session.readings.drain(*tallies, skips=self.session.scaler is not None)
        now = time.monotonic()
        for tally in tallies:
            tally.seconds += now - self.mark
        self.mark = now

    def _write_metrics(self) -> None:
        self._drain()
        session = self.session
        self.run.metric(
            {
                "kind": "steps",
                "step": session.step,
                "epoch": (session.step - 1) // session.steps_per_epoch + 1,
                "losses": self.window.losses(),
                "learning_rate": session.schedule.rate(session.step - 1),
                "grad_norm": self.window.grad_norm,
                "samples_per_s": self._speed(self.window),
                "temperature": temperature(self.settings, (session.step - 1) / session.steps),
            }
        )
        self.window = Tally()

    def _tell(self) -> None:
        self._drain()
        self.told = time.monotonic()
        if self.on_progress is None or not self.shown.steps:
            return
        session, shown = self.session, self.shown
        self.on_progress(
            Progress(
                step=session.step,
                steps=session.steps,
                epoch=(session.step - 1) // session.steps_per_epoch + 1,
                epochs=session.epochs,
                losses=shown.losses(),
                learning_rate=session.schedule.rate(session.step - 1),
                grad_norm=shown.grad_norm,
                samples_per_s=self._speed(shown),
                eta_s=(session.steps - session.step) * shown.seconds / shown.steps,
            )
        )
        self.shown = Tally()

    def _speed(self, tally: Tally) -> float:
        return tally.batches * self.task.batch_samples / max(tally.seconds, 1e-9)

    # --- epochs

    def _end_epoch(self) -> None:
        """Measure the averaged weights, keep them if they are the best, and decide how to go on."""
        self._drain()
        session = self.session
        validation = session.validate()
        for name, value in validation.items():
            if value is not None and not math.isfinite(value):
                raise TrainingDiverged(session.step, f"validation {name} is not finite")
        better = self._is_better(validation.get("loss"))
        epoch = Epoch(
            epoch=(session.step - 1) // session.steps_per_epoch + 1,
            step=session.step,
            losses=self.whole.losses(),
            validation=validation,
            learning_rate=session.schedule.rate(session.step - 1),
            best=better,
            seconds=self.whole.seconds,
            samples_per_s=self._speed(self.whole),
        )
        self.epochs.append(epoch)
        if better:
            self.best = epoch
            self.best_weights.save(session.step, session.best_tensors(), {"epoch": epoch.epoch})
        if validation.get("loss") is not None:
            session.schedule.observe(better=better)
        self.run.metric({"kind": "epoch", **asdict(epoch)})
        self.whole = Tally()
        self._guard(validation.get("loss"))
        self.status = self._decide(epoch)
        self._checkpoint()
        self._take_snapshot(epoch)

    def _take_snapshot(self, epoch: Epoch) -> None:
        """Write the weights of an epoch as a model, if it is time and more epochs follow."""
        due = self.snapshots
        if due is None or self._over() or time.monotonic() - due.last < due.every_s:
            return
        lineage = replace(
            due.lineage,
            training={**self._facts(epoch), **due.lineage.training, "unfinished": True},
            parents=[{**parent, "role": SNAPSHOT} for parent in due.lineage.parents],
        )
        with torch.random.fork_rng(devices=[]), self.session.averaged():
            path = self.task.save(due.models, lineage)
        self.run.note(f"snapshot of epoch {epoch.epoch}: model {path.stem}")
        due.last = self.mark = time.monotonic()

    def _is_better(self, loss: float | None) -> bool:
        best = None if self.best is None else self.best.validation.get("loss")
        return loss is None or best is None or loss < best

    def _guard(self, loss: float | None) -> None:
        best = None if self.best is None else self.best.validation.get("loss")
        if loss is None or best is None:
            return
        self.worse = self.worse + 1 if loss > WORSE_FACTOR * best else 0
        if self.worse >= WORSE_EPOCHS:
            raise TrainingDiverged(
                self.session.step,
                f"the validation loss was above {WORSE_FACTOR:g} x the best, {best:.4g}, for "
                f"{WORSE_EPOCHS} epochs; found {loss:.4g}",
            )

    def _decide(self, epoch: Epoch) -> Status | None:
        if self.session.step == self.session.steps:
            return "finished"
        patience = self.settings.early_stopping_patience
        waited = epoch.epoch - (epoch.epoch if self.best is None else self.best.epoch)
        return "early_stopped" if patience and waited >= patience else None

    # --- on disk

    def _checkpoint(self) -> None:
        self._drain()
        session = self.session
        state = {
            **session.state(),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "window": asdict(self.window),
            "whole": asdict(self.whole),
            "worse": self.worse,
            "status": self.status,
            "seconds": self._seconds(),
        }
        self.checkpoints.save(session.step, session.tensors(), state)
        kept = self.checkpoints.steps()[:KEPT]
        self.checkpoints.keep(set(kept))
        stored = self.best_weights.steps()
        self.best_weights.keep({max((b for b in stored if b <= s), default=0) for s in kept})
        self.saved = self.mark = time.monotonic()

    def _resume(self) -> None:
        """Go on from the newest whole checkpoint, and drop all that came after it."""
        found = self.checkpoints.newest(lambda text: self.run.note(text, warning=True))
        session = self.session
        if found is not None:
            tensors, state = found
            session.restore(tensors, state)
            self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
            self.best = next((epoch for epoch in reversed(self.epochs) if epoch.best), None)
            self.window, self.whole = Tally(**state["window"]), Tally(**state["whole"])
            self.worse, self.status = state["worse"], state["status"]
            self.seconds_before = state["seconds"]
        self.checkpoints.keep({step for step in self.checkpoints.steps() if step <= session.step})
        self.best_weights.keep({step for step in self.best_weights.steps() if step <= session.step})
        self.run.cut_metrics(session.step)
        verb = "begun" if found is None else f"continued at step {session.step}"
        self.run.note(f"{verb}, {session.steps} steps in {session.epochs} epochs")

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def _save_model(self, models: Path, lineage: Lineage) -> Path:
        assert self.best is not None
        tensors, _ = self.best_weights.load(self.best.step)
        self.session.adopt(tensors)
        self.task.net.eval()
        training = {**self._facts(self.best), **lineage.training}
        return self.task.save(models, replace(lineage, training=training))

    def _facts(self, epoch: Epoch) -> dict[str, Any]:
        """Return what a card says of the training whose weights are those of an epoch."""
        options = asdict(self.settings)
        return {
            "epochs": len(self.epochs),
            "steps": self.session.step,
            "best_epoch": epoch.epoch,
            "losses": {"training": epoch.losses, "validation": epoch.validation},
            "hyperparameters": {k: v for k, v in options.items() if k not in FREE_SETTINGS},
            "seed": self.settings.seed,
            "device": self.settings.device,
        }

    def _report(
        self, status: Status, path: Path | None = None, measured: Measured | None = None
    ) -> TrainReport:
        config, session = self.run.config, self.session
        seconds = sum(epoch.seconds for epoch in self.epochs)
        samples = sum(epoch.seconds * epoch.samples_per_s for epoch in self.epochs)
        return TrainReport(
            kind=self.task.kind,
            config=config.net.get("config"),
            board=config.net.get("board"),
            players=config.net.get("players"),
            run=self.run.name,
            status=status,
            dataset=config.dataset["id"],
            facts=self.task.facts(),
            parameters=sum(p.numel() for p in self.task.net.parameters()),
            hyperparameters=asdict(self.settings),
            epochs=tuple(self.epochs),
            steps=session.step,
            best_epoch=None if self.best is None else self.best.epoch,
            best={} if self.best is None else self.best.validation,
            seconds=self._seconds(),
            samples_per_s=samples / max(seconds, 1e-9),
            model_id=None if path is None else path.stem,
            model_path=path,
            **({} if measured is None else asdict(measured)),
        )
