"""What a report says of a model that a training made: calibration, hold-out, gap (training.md 6-8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.core.errors import NegativeResult
from ringrift.nets.loading import open_model
from ringrift.training.calibration.report import calibration_report
from ringrift.training.calibration.sampling import LEAST_POSITIONS, beside_outcomes
from ringrift.training.engine.report import Measured
from ringrift.training.holdout_evaluation import Options, SeenGames, evaluate
from ringrift.training.measuring.predicting import predict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ringrift.training.holdout_evaluation.evaluate import Model
    from ringrift.training.samples.table import SampleTable

MOST_POSITIONS = 2_048
"""Validation positions that the calibration is of, spread evenly over them."""
MOST_GAMES = 100
"""Hold-out games measured; `data holdout --evaluate` takes 2,000."""
BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMeasures:
    """Measures the model of a training on its validation side and on hold-out games.

    `games` are the ids of the dataset. Without `stores` there is no hold-out, and none for a model
    with `ancestors`: which games those learned from is not known here. What cannot be measured is
    None, and why goes to `note`.
    """

    val: SampleTable
    games: Sequence[str]
    stores: Sequence[Path]
    ancestors: bool
    note: Callable[[str], None]

    def __call__(self, path: Path) -> Measured:
        """Return the figures of the model file `path`."""
        model = open_model(path, self.val.spec)
        calibration = self._calibration(model)
        holdout = self._holdout(model)
        gap = None if holdout is None else holdout["gap"]["value"]
        return Measured(calibration=calibration, holdout=holdout, overfit_gap=gap)

    def _calibration(self, model: Model) -> dict[str, Any] | None:
        counted = np.flatnonzero(self.val.value_weight > 0)
        if len(counted) < LEAST_POSITIONS:
            self.note(
                f"calibration unknown: {len(counted)} validation positions of finished games; "
                f"expected at least {LEAST_POSITIONS}"
            )
            return None
        places = np.linspace(0, len(counted) - 1, min(len(counted), MOST_POSITIONS))
        table = self.val.take(counted[places.astype(np.int64)])
        predictions, outcomes = beside_outcomes(predict(model.evaluator(), table), table)
        report = calibration_report(predictions, outcomes, num_bins=BINS).to_dict()
        return {"positions": len(table), **report}

    def _holdout(self, model: Model) -> dict[str, Any] | None:
        if not self.stores:
            return None
        if self.ancestors:
            self.note(
                "hold-out left to `data holdout`, which knows what its ancestors learned from"
            )
            return None
        own = frozenset(self.games)
        seen = SeenGames(own=own, lineage=own, datasets=1)
        options = Options(stores=self.stores, seen=seen, most_games=MOST_GAMES)
        try:
            return evaluate(model, options).as_json()
        except NegativeResult as error:
            self.note(f"hold-out {error.message}")
            return None
