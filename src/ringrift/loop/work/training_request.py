"""What the values of a spec ask of the trainer: its settings, its samples, the shape of its net."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.loop.job_specs import NetKind, TrainingValues
    from ringrift.training.request import Request, Shape
    from ringrift.training.sources import Selection

LOOP: Mapping[str, Any] = {
    "early_stopping_patience": 0,
    "temperature_start": 1.0,
    "temperature_end": 1.0,
    "sample_every_n": 1,
    "window": "auto",
    "max_reuse": None,
}
"""What trainings of the loop have otherwise than those of the commands: their length follows from
the new samples, no game is left out for its passes, policies are not sharpened."""
SHAPE = ("encoder", "num_hidden_layers")
"""Options that are of the net."""
MOST_SEED = 1 << 31
"""Trainers mix the number of the step into the upper half of 63 bits."""


def selection_of(kind: NetKind, values: TrainingValues) -> Selection:
    """Return which games and positions are learned from; raises `UsageError` naming the option."""
    from ringrift.training.sources import WINDOW_BASE, Selection

    given = _options(kind, values)
    device = "cuda" if values.options.get("device") == "cuda" else "cpu"
    if values.window_games is not None:
        given["max_games"] = round(values.window_games * values.window_factor)
    base = given.get("window_base", WINDOW_BASE[device])
    given["window_base"] = max(1, round(base * values.window_factor))
    return _made(Selection, given)  # type: ignore[no-any-return]


def request_of(
    kind: NetKind,
    config: str,
    values: TrainingValues,
    *,
    seed: int,
    steps: int | None = None,
    threads: int = 1,
    parent: Mapping[str, Any] | None = None,
) -> Request:
    """Return a training of `steps` optimiser steps; `parent` is the card of the model it goes on with.

    Raises `UsageError` naming the option that is unknown or out of range.
    """
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.request import Machine, Request

    device = values.options.get("device", "cpu")
    given = {
        "seed": seed % MOST_SEED,
        "threads": threads,
        "num_workers": Machine(device=device, threads=threads).workers,
        "mixed_precision": device == "cuda",
        "deterministic": device == "cpu",
        **_options(kind, values),
    }
    for name in ("batch_size", "learning_rate"):
        if getattr(values, name) is not None:
            given[name] = getattr(values, name)
    if steps is not None:
        given["steps"] = steps
    return Request(
        kind=kind,
        config=config,
        settings=_made(TrainSettings, given),
        selection=selection_of(kind, values),
        shape=shape_of(kind, config, values, parent),
    )


def shape_of(
    kind: NetKind, config: str, values: TrainingValues, parent: Mapping[str, Any] | None = None
) -> Shape:
    """Return the shape of the net: that of the parent, for a new lineage what is asked for or default.

    Weights of one shape do not fit another: width and layers of a NNUE, size and encoder of a
    convolutional net stay those of the first model, whatever settings say since.
    """
    from ringrift.nets.encoders import DEFAULT
    from ringrift.nets.nnue.network import LAYERS
    from ringrift.training.request import HIDDEN_OF_BOARD, OWN, Shape

    before = {} if parent is None else parent["architecture"]
    if kind == "cnn":
        asked = values.options.get("encoder") or DEFAULT
        encoder = asked if parent is None else parent["encoder"]["id"]
        return Shape(
            size=before.get("size") or values.model_size or OWN["cnn"]["size"], encoder=encoder
        )
    default = HIDDEN_OF_BOARD[config.rsplit("_", 1)[0]]
    layers = len(before.get("layers", ())) or values.options.get("num_hidden_layers", LAYERS)
    return Shape(hidden=before.get("hidden") or values.hidden_dim or default, layers=layers)


def steps_of(
    folder: Path, uses: Mapping[str, float], values: TrainingValues, batch_samples: int
) -> int:
    """Return the length of a training, in optimiser steps: reuse x new samples / batch (data.md 4).

    New are the training samples in the dataset's `folder` of games that the lineage has not learned
    from; `uses` has its passes by game id. Raises `DataError` without a dataset.
    """
    import numpy as np

    from ringrift.data.dataset import Manifest
    from ringrift.data.dataset.npz import read_array

    manifest = Manifest.read(folder)
    is_new = np.array([not uses.get(game) for game in manifest.game_ids])
    new = 0
    for part in manifest.parts:
        games = read_array(folder / part.name, "game")
        learned = read_array(folder / part.name, "split_val") == 0
        new += int(np.count_nonzero(is_new[games] & learned))
    return max(1, math.ceil(new * values.max_reuse * values.passes_factor / batch_samples))


def _options(kind: NetKind, values: TrainingValues) -> dict[str, Any]:
    """Return the values of a kind of net by their names, those of the spec last."""
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.request import OWN
    from ringrift.training.sources import Selection

    known = {field.name for kind in (TrainSettings, Selection) for field in fields(kind)}
    for name in values.options:
        if name not in known and name not in SHAPE:
            raise UsageError(
                f"unknown option {name!r}",
                where=f"spec.values.options.{name}",
                hint=", ".join(sorted(known)),
            )
    found = {**OWN[kind], **LOOP, **values.options}
    return {name: value for name, value in found.items() if name in known}


def _made(kind: type, given: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    chosen = {name: given[name] for name in hints if name in given}
    for name, value in chosen.items():
        try:
            TypeAdapter(hints[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise UsageError(
                f"{error.errors()[0]['msg']}; found {value!r:.80}",
                where=f"spec.values.options.{name}",
            ) from None
    return kind(**chosen)
