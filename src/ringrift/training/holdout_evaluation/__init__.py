"""Measure a model on games nobody trained on, beside games it was trained on (`training.md` 8)."""

from __future__ import annotations

from ringrift.training.holdout_evaluation.evaluate import (
    Evaluation,
    Options,
    evaluate,
)
from ringrift.training.holdout_evaluation.games import SeenGames
from ringrift.training.holdout_evaluation.measures import Figures
from ringrift.training.holdout_evaluation.results import read_results, result_path, write_result

__all__ = [
    "Evaluation",
    "Figures",
    "Options",
    "SeenGames",
    "evaluate",
    "read_results",
    "result_path",
    "write_result",
]
