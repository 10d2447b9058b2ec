"""`ringrift engine`: check, replay, count and draw with the rules; one module per command."""

import typer

from ringrift.cli.engine import parity, perft, replay, show
from ringrift.cli.engine.parts import chosen_spec

__all__ = ["app", "chosen_spec"]

app = typer.Typer(add_completion=False, help="Check, count and draw with the rules.")

for part in (parity, replay, show, perft):
    part.register(app)
