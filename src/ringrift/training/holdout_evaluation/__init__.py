"""Measure a model on games nobody trained on, beside games it was trained on (`training.md` 8)."""

from __future__ import annotations

from ringrift.training.holdout_evaluation.evaluate import (
    Evaluation,
    Options,
    evaluate,
)
from ringrift.training.holdout_evaluation.games import HeldOut, SeenGames, age_of
from ringrift.training.holdout_evaluation.measures import Figures
from ringrift.training.holdout_evaluation.results import (
    read_result,
    read_results,
    result_path,
    write_result,
)

__all__ = [
    "Evaluation",
    "Figures",
    "HeldOut",
    "Options",
    "SeenGames",
    "age_of",
    "evaluate",
    "read_result",
    "read_results",
    "result_path",
    "write_result",
]
