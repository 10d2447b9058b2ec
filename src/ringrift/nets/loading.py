"""Open a model file of whatever kind; torch is loaded for a convolutional net only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.nets.container import read_card

if TYPE_CHECKING:
    from ringrift.nets.model_file import LoadedModel
    from ringrift.nets.nnue.evaluator import NnueModel
    from ringrift.rules.spec import BoardSpec


def open_model(path: Path, spec: BoardSpec) -> LoadedModel | NnueModel:
    """Load a model file for `spec` by the kind its card names.

    Raises `ModelError` for whatever is not exactly right with it.
    """
    _, card = read_card(path)
    if card["kind"].startswith("nnue"):
        from ringrift.nets.nnue.file import load_nnue

        return load_nnue(path, spec)
    from ringrift.nets.model_file import load_model

    return load_model(path, spec)
