"""What a training reports, while it runs and at its end (training.md 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ringrift.training.engine.run_folder import REPORT, write_json

REPORT_SCHEMA = 1
CUSTOMARY = {
    "cnn": "nn_training_report.json",
    "nnue": "nnue_training_report.json",
    "nnue-policy": "nnue_policy_training_report.json",
}
"""The customary name of each kind's report."""

Status = Literal["finished", "early_stopped", "interrupted", "diverged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training is. `losses` are means since the last report; `eta_s` is without validation.

    `epoch` counts from 1. `grad_norm` is that of the last step, before clipping.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    losses: Mapping[str, float | None]
    learning_rate: float
    grad_norm: float | None
    samples_per_s: float
    eta_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The curves' point of one epoch, counted from 1, at its last step.

    `losses` are the means of the training batches, `validation` what the validation samples say of
    the averaged weights; empty without any.
    """

    epoch: int
    step: int
    losses: Mapping[str, float | None]
    validation: Mapping[str, float | None]
    learning_rate: float
    best: bool
    seconds: float
    samples_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of a model that a training made; None what could not be.

    `calibration`: a `CalibrationReport` on validation positions, and how many; `holdout`: what
    `holdout_evaluation` says; `overfit_gap`: its gap of value loss, nats.
    """

    calibration: Mapping[str, Any] | None = None
    holdout: Mapping[str, Any] | None = None
    overfit_gap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a training made; `report.json` holds it as it stands (`report.schema.json`).

    `config` is the configuration, `facts` what the task says of its samples, coverage and losses;
    `model_id` and `model_path` are None where it did not come to its end. `calibration`, `holdout` and
    `overfit_gap` are those of `Measured`, and None without a model.
    """

    kind: str
    config: str | None
    board: str | None
    players: int | None
    run: str
    status: Status
    dataset: str
    facts: Mapping[str, Any]
    parameters: int
    hyperparameters: Mapping[str, Any]
    epochs: tuple[Epoch, ...]
    steps: int
    best_epoch: int | None
    best: Mapping[str, float | None]
    seconds: float
    samples_per_s: float
    model_id: str | None
    model_path: Path | None
    calibration: Mapping[str, Any] | None = None
    holdout: Mapping[str, Any] | None = None
    overfit_gap: float | None = None

    def as_tree(self) -> dict[str, Any]:
        """Return the report as JSON."""
        tree = asdict(self)
        tree["epochs"] = list(tree["epochs"])
        tree["model_path"] = None if self.model_path is None else str(self.model_path)
        return {"schema": REPORT_SCHEMA, **tree}


def write_report(folder: Path, report: TrainReport) -> None:
    """Write `report.json` of a run's folder, and the same under the customary name of the kind."""
    tree = report.as_tree()
    write_json(folder / REPORT, tree)
    if report.kind in CUSTOMARY:
        write_json(folder / CUSTOMARY[report.kind], tree)
