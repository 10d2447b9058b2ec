"""`ringrift tune`: better numbers from studies; one module per command (`training.md` 10)."""

from __future__ import annotations

import typer

from ringrift.cli.tune import hp

app = typer.Typer(add_completion=False, help="Search for better numbers.")


@app.callback()
def tune() -> None:
    """Search for better numbers."""


for part in (hp,):
    part.register(app)
