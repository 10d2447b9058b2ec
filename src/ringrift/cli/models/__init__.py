"""`ringrift models`: the models there are, and who is champion; one module per command (`models.md`)."""

from __future__ import annotations

import typer

from ringrift.cli.models import (
    comparing,
    exporting,
    lineage,
    listing,
    making,
    naming,
    promote,
    prune,
    rebuilding,
    restore,
    rollback,
    show,
    sync,
    validate,
)

app = typer.Typer(add_completion=False, help="List, name, compare, make and promote models.")


@app.callback()
def models() -> None:
    """List, name, compare, make and promote models."""


for part in (
    listing,
    show,
    naming,
    comparing,
    exporting,
    making,
    lineage,
    rebuilding,
    promote,
    rollback,
    validate,
    restore,
    prune,
    sync,
):
    part.register(app)
