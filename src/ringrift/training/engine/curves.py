"""Curves of a run: losses, accuracies and learning rate by epoch, as PNG and SVG (training.md 6)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ringrift.training.engine.report import Epoch

DPI = 110
LOSSES = ("policy", "value", "rank", "owner", "margins")
ACCURACIES = ("policy_top1", "policy_top3", "policy_top5", "sign_accuracy")


def draw_curves(epochs: Sequence[Epoch], folder: Path) -> None:
    """Write `curves.png` and `curves.svg`."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "curves"}):
        figure = _figure(epochs)
        for form in ("png", "svg"):
            save(figure, folder / f"curves.{form}")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the form of its suffix; equal figures give equal bytes."""
    buffer = io.BytesIO()
    form = path.suffix.removeprefix(".")
    figure.savefig(buffer, format=form, dpi=DPI, metadata={"Date": None} if form == "svg" else None)
    write_atomic(path, buffer.getvalue())


def _figure(epochs: Sequence[Epoch]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    for name in LOSSES:
        _line(loss, epochs, f"{name}, training", _training(name), "--")
        _line(loss, epochs, name, _validation(f"{name}_loss"), "-")
    for name in ACCURACIES:
        _line(accuracy, epochs, name.replace("_", " "), _validation(name), "-")
    _line(rate, epochs, "learning rate", lambda epoch: epoch.learning_rate, "-")
    for axes, title in ((loss, "loss (nats)"), (accuracy, "validation accuracy"), (rate, "rate")):
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(visible=True, alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    return figure


Read = Callable[["Epoch"], "float | None"]


def _training(name: str) -> Read:
    return lambda epoch: _of(epoch.losses, name)


def _validation(name: str) -> Read:
    return lambda epoch: _of(epoch.validation, name)


def _of(values: Mapping[str, float | None], name: str) -> float | None:
    return values.get(name)


def _line(axes: Axes, epochs: Sequence[Epoch], label: str, read: Read, style: str) -> None:
    points = [(epoch.epoch, value) for epoch in epochs if (value := read(epoch)) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), style, marker=".", label=label)
