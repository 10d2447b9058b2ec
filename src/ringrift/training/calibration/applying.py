"""A calibrated copy of a model: the same tensors under another card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.nets.calibration import Temperatures, calibration_field
from ringrift.nets.nnue.evaluator import NnueModel

if TYPE_CHECKING:
    from ringrift.nets.model_file import LoadedModel

ROLE = "calibrated_from"


def write_calibrated(
    model: LoadedModel | NnueModel, temperatures: Temperatures, folder: Path
) -> Path:
    """Write a model whose value logits are divided by `temperatures` as well; return its path.

    The parent's own calibration is kept as a factor. `folder` is that of model objects.
    """
    if isinstance(model, NnueModel):
        from ringrift.nets.nnue.file import calibrate_nnue

        return calibrate_nnue(model, temperatures, folder)
    from ringrift.nets.model_file import save_model

    return save_model(
        model.net,
        model.spec,
        folder,
        training=model.card["training"],
        parents=({"id": model.id, "role": ROLE},),
        calibration=calibration_field(model.card, temperatures, str(model.path)),
    )
