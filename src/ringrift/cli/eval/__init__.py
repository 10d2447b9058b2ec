"""`ringrift eval`: matches, tests, ratings, tournaments; one module per command (`evaluation.md`)."""

from __future__ import annotations

from types import ModuleType

import typer

from ringrift.cli.eval import (
    aggregate,
    auto,
    diverse,
    gate,
    gauntlet,
    leaderboard,
    match,
    openings,
    reconcile,
    shadow,
    stats,
    tournament,
    trend,
    two_stage,
)

PARTS: tuple[ModuleType, ...] = (
    match,
    gate,
    openings,
    stats,
    leaderboard,
    reconcile,
    gauntlet,
    two_stage,
    tournament,
    diverse,
    auto,
    shadow,
    trend,
    aggregate,
)

app = typer.Typer(add_completion=False, help="Play matches, test, rate and compare agents.")


@app.callback()
def evaluate() -> None:
    """Play matches, test, rate and compare agents and models."""


for part in PARTS:
    part.register(app)
