"""Options that several of the commands for matches have: models, worker processes, a test.

    def gauntlet(models: Models = None, workers: Workers = 1, ...) -> None: ...

A default belongs to the command.
"""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.completion import complete_models

MODELS, LIMITS, TEST = "Models", "Limits", "Test"

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="REF",
        help="A model; repeat for more. One from elsewhere is registered first.",
        autocompletion=complete_models,
        rich_help_panel=MODELS,
    ),
]
NnOnly = Annotated[
    bool, typer.Option("--nn-only", help="Convolutional nets only.", rich_help_panel=MODELS)
]
NnueOnly = Annotated[
    bool, typer.Option("--nnue-only", help="NNUE models only.", rich_help_panel=MODELS)
]
Sims = Annotated[
    int | None,
    typer.Option(
        "--sims",
        min=1,
        metavar="N",
        help="Simulations a move of the models [default: evaluation.simulations].",
        rich_help_panel="Search",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--parallel",
        "-j",
        min=1,
        metavar="N",
        help="Worker processes, at most the thread budget.",
        rich_help_panel=LIMITS,
    ),
]
AllWorkers = Annotated[
    int | None,
    typer.Option(
        "--parallel",
        "-j",
        min=1,
        metavar="N",
        help="Worker processes [default: the thread budget].",
        rich_help_panel=LIMITS,
    ),
]

Elo0 = Annotated[float, typer.Option("--elo0", help="Elo of H0.", rich_help_panel=TEST)]
Elo1 = Annotated[float, typer.Option("--elo1", help="Elo of H1 (sprt).", rich_help_panel=TEST)]
Alpha = Annotated[
    float, typer.Option("--alpha", help="Chance of accepting at elo0.", rich_help_panel=TEST)
]
Beta = Annotated[
    float, typer.Option("--beta", help="Chance of rejecting at elo1 (sprt).", rich_help_panel=TEST)
]
MinGames = Annotated[
    int, typer.Option("--min-games", help="Least games of a test.", rich_help_panel=TEST)
]
MaxGames = Annotated[
    int, typer.Option("--max-games", help="Most games of a test.", rich_help_panel=TEST)
]
