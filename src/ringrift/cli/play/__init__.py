"""`ringrift play`: play, watch and analyse games; one module per command (`agents.md` 10)."""

import typer

from ringrift.cli.play import analyze, engine, move, terminal, watch

app = typer.Typer(add_completion=False, help="Play, watch and analyse games.")

for part in (terminal, move, watch, analyze, engine):
    part.register(app)
