"""`ringrift games`: stored games; one module per command (`selfplay.md` 6, 7, 9)."""

import typer

from ringrift.cli.games import export, listing, show, verify

app = typer.Typer(add_completion=False, help="List, show, verify and export stored games.")

for part in (listing, show, verify, export):
    part.register(app)
