"""`ringrift node`: what this machine may do and does; one module per command."""

import typer

from ringrift.cli.node import alerts, limits, optimizer, roles, safeguards, status

app = typer.Typer(
    add_completion=False,
    help="Show limits, safeguards, roles, optimizer and alerts of this machine.",
)

for part in (status, limits, safeguards, roles, optimizer, alerts):
    part.register(app)
