"""`ringrift train`: networks from datasets; one module per command (`training.md`, `data.md` 11)."""

from __future__ import annotations

import typer

from ringrift.cli.train import calibrate, curriculum, pipeline, preflight, trainers

app = typer.Typer(add_completion=False, help="Train networks from datasets.")


@app.callback()
def train() -> None:
    """Train networks from datasets."""


for part in (trainers, curriculum, pipeline, calibrate, preflight):
    part.register(app)
