"""`ringrift models`: the models there are, and who is champion; one module per command (`models.md`)."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False, help="List, name, compare, make and promote models.")


@app.callback()
def models() -> None:
    """List, name, compare, make and promote models."""


for part in ():
    part.register(app)
