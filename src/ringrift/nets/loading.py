"""Open a model file of whatever kind; torch is loaded for a convolutional net only."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.nets.container import Card, ModelError, read_card, read_header
from ringrift.rules import BoardSpec

if TYPE_CHECKING:
    from ringrift.nets.model_file import LoadedModel
    from ringrift.nets.nnue.evaluator import NnueModel


def open_model(path: Path, spec: BoardSpec, *, device: str = "cpu") -> LoadedModel | NnueModel:
    """Load a model file for `spec` by the kind its card names.

    A convolutional net is evaluated on `device`, NNUE always on the CPU. Raises `ModelError` for
    whatever is not exactly right with the file.
    """
    _, card = read_header(path)
    if str(card.get("kind")).startswith("nnue"):
        from ringrift.nets.nnue.file import load_nnue

        return load_nnue(path, spec)
    from ringrift.nets.model_file import load_model

    return load_model(path, spec, device=device)


def open_described(path: Path, *, device: str = "cpu") -> LoadedModel | NnueModel:
    """Load a model file for the rules that its card names; raises as `open_model` and `spec_of`."""
    _, card = read_card(path)
    return open_model(path, spec_of(card, str(path)), device=device)


def spec_of(card: Card, ref: str) -> BoardSpec:
    """Return the specification a card names: of the boards, line lengths and swap rules there are.

    Raises `ModelError` (`spec_mismatch`) for other rule options, such as another number of rings.
    """
    for swap, length in product((False, True), (None, 3, 4)):
        spec = BoardSpec.create(
            card["board"], card["players"], swap_rule=swap, base_line_length=length
        )
        if spec.hash == card["board_spec_hash"]:
            return spec
    detail = f"rules {card['board_spec_hash']} are not those of {card['config']} in this version"
    raise ModelError("spec_mismatch", ref, detail)
