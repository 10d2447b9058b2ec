"""Check one model file: bytes, identity, content, and whether this version can use it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.core.errors import RingriftError
from ringrift.models.validation.findings import OK, Finding
from ringrift.models.validation.pickles import foreign_names, is_pickle
from ringrift.nets.container import SUFFIX, ModelError, check_fit, check_tensors, read_model
from ringrift.nets.encoders import ENCODERS
from ringrift.nets.loading import open_model, spec_of
from ringrift.nets.nnue import features
from ringrift.nets.nnue.rows import policy_rows
from ringrift.rules import RULES_VERSION
from ringrift.rules.codec import layout_hash as codec_hash
from ringrift.rules.policy import policy_layout

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.nets.container import Card, Tensors
    from ringrift.rules import BoardSpec

HEAD_BYTES = 8
DESCRIBING = frozenset({"id", "created_at", "host", "label"})
"""Fields of the description beside a file that are no part of its identity."""


def check_file(path: Path, *, full: bool = False) -> Finding:
    """Return what is wrong with a model file, the first thing only, or that it is in order.

    Without `full` its outputs on the probe positions are not computed. The file is never changed,
    and a pickle never loaded.
    """
    try:
        state = path.stat()
        identity, repair = _checked(path, full=full)
    except ModelError as error:
        return _bad(path, error.code, error.detail)
    except OSError as error:
        return _bad(path, "truncated", f"the file cannot be read: {error.strerror}")
    except RingriftError as error:  # rules or boards that this version does not know
        return _bad(path, "spec_mismatch", error.message)
    code, detail = repair
    return Finding(
        code=code,
        ref=str(path),
        detail=detail,
        path=path,
        model_id=identity,
        size_bytes=state.st_size,
        age_s=max(0.0, time.time() - state.st_mtime),
        repair=code != OK,
    )


def _checked(path: Path, *, full: bool) -> tuple[str, tuple[str, str]]:
    """Return the id, and code and detail of what is wrong beside the file."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if is_pickle(head):
        _refuse_pickle(path)
    identity, card, tensors = read_model(path)
    check_content(card, tensors, str(path))
    check_use(card, str(path))
    if full:
        open_model(path, spec_of(card, str(path)))
    return identity, _description(path, identity, card)


def _refuse_pickle(path: Path) -> None:
    ref = str(path)
    try:
        foreign = foreign_names(path.read_bytes())
    except ValueError as error:
        raise ModelError("not_safetensors", ref, f"a damaged pickle: {error}") from None
    if foreign:
        named = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise ModelError("unsafe_pickle", ref, f"a pickle that loads {named}; it was not executed")
    raise ModelError(
        "not_safetensors", ref, "a pickle of weights; ringrift models import makes it a model"
    )


def check_content(card: Card, tensors: Tensors, ref: str) -> None:
    """Raise `ModelError` for tensors other than the card's, not finite, or without any effect."""
    shapes = card["architecture"].get("shapes")
    if not isinstance(shapes, dict):
        raise ModelError("card_invalid", ref, "card field architecture has no shapes")
    check_tensors(tensors, {name: tuple(shape) for name, shape in shapes.items()}, ref)
    for name in sorted(tensors):
        array = tensors[name]
        if array.ndim >= 2 and array.size and not array.any():
            raise ModelError("dead", ref, f"tensor {name} is all zero")
    outputs = card["probe"].get("outputs")
    if not isinstance(outputs, list) or not all(isinstance(row, list) for row in outputs):
        raise ModelError("card_invalid", ref, "card field probe has no outputs")
    least = min(map(len, outputs), default=0)
    rows = {tuple(row[:least]) for row in outputs}
    if len(outputs) > 1 and least and len(rows) == 1:
        raise ModelError("dead", ref, f"outputs are equal on all {len(outputs)} probe positions")
    if not all(np.isfinite(np.asarray(row, np.float64)).all() for row in outputs):
        raise ModelError("not_finite", ref, "probe outputs hold infinity or NaN")


def check_use(card: Card, ref: str) -> None:
    """Raise `ModelError` unless this version has the card's encoder, layouts and rules."""
    spec = spec_of(card, ref)
    check_fit(card, _needed(card, spec, ref), spec, ref)


def _needed(card: Card, spec: BoardSpec, ref: str) -> Card:
    """Return what this version has for a card's kind and rules."""
    kind = card["kind"]
    if kind == "cnn":
        name = card["encoder"].get("id")
        if name not in ENCODERS:
            detail = f"encoder {name!r}; this version has {', '.join(ENCODERS)}"
            raise ModelError("unknown_encoder", ref, detail)
        encoder, layout = ENCODERS[name].identity, policy_layout(spec.board).hash
    elif kind in ("nnue", "nnue-policy"):
        encoder, layout = features.IDENTITY, policy_rows(spec.board).hash
    else:
        raise ModelError("card_invalid", ref, f"kind {kind!r}; this version loads cnn and nnue")
    return {
        "board_spec_hash": spec.hash,
        "rules_version": RULES_VERSION,
        "encoder": encoder,
        "policy_layout_hash": layout,
        "codec_hash": codec_hash,
    }


def _description(path: Path, identity: str, card: Card) -> tuple[str, str]:
    """Compare the description beside a model of the registry with the card inside it."""
    if path.suffix != SUFFIX or path.stem != identity:
        return OK, ""
    beside = path.with_suffix(".json")
    try:
        found: Any = json.loads(beside.read_bytes())
    except FileNotFoundError:
        return "card_missing", f"no {beside.name} beside the file"
    except (OSError, ValueError):
        return "card_invalid", f"{beside.name} cannot be read"
    told = (
        {k: v for k, v in found.items() if k not in DESCRIBING} if isinstance(found, dict) else None
    )
    if told != json.loads(json.dumps(card)) or found.get("id") != identity:
        return "card_invalid", f"{beside.name} is not the card inside the file"
    return OK, ""


def _bad(path: Path, code: str, detail: str) -> Finding:
    try:
        state = path.stat()
        size, age = state.st_size, max(0.0, time.time() - state.st_mtime)
    except OSError:
        size, age = None, None
    stem = path.name.removesuffix(SUFFIX)
    return Finding(
        code=code,
        ref=str(path),
        detail=detail,
        path=path,
        model_id=stem if len(stem) == 64 else None,
        size_bytes=size,
        age_s=age,
    )
