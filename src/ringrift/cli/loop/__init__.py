"""`ringrift loop`: play, learn, measure, promote (`loop.md`); one module per command."""

import typer

from ringrift.cli.loop import (
    events,
    halting,
    iterate,
    plan,
    report,
    run,
    start,
    status,
    stop,
    watch,
)

app = typer.Typer(add_completion=False, help="Run the closed loop: play, learn, measure, promote.")

for part in (run, start, stop, status, plan, halting, iterate, watch, events, report):
    part.register(app)
