"""`ringrift data quality`: the data quality score and its components (`data.md` 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ringrift.cli.data.parts import Db, OnlyBoard, OnlyPlayers, board_of, stores_of
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.core.errors import NegativeResult

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.cli.invocation import Invocation
    from ringrift.data.quality.score import Component, Quality


def quality(db: Db = None, board: OnlyBoard = None, players: OnlyPlayers = None) -> None:
    """Score the newest games of each configuration for training.

    Reads the last 5,000 games to train on and what came in last; changes nothing. A component that
    nothing tells is unknown, and then so is the score; so it is below 100 games. Training is held
    back below `safety.data_quality_score_min`; a full search has `selfplay.mcts_simulations`.

    Exit code 1 when a score is below that limit, or no game fits.

    Examples: ringrift data quality | ringrift data quality --board square8 --players 2 --json
    """
    from ringrift.data.present import configurations
    from ringrift.data.quality.score import quality_score

    invocation = current()
    settings = invocation.settings().values
    limit = settings.safety.data_quality_score_min
    stores = stores_of(invocation, db)
    names = configurations(stores, ("train",), board=board_of(board), players=players)
    found = []
    with invocation.out.progress() as progress:
        task = progress.task("measuring", total=len(names), unit="configurations")
        for config in names:
            full = settings.selfplay.mcts_simulations
            found.append(quality_score(stores, config, full_simulations=full))
            task.advance()
        task.finish()
    ok = bool(found) and all(score.score is None or score.score >= limit for score in found)
    invocation.out.result(
        {
            "limit": limit,
            "configurations": [
                {
                    "config": score.config,
                    "games": score.games,
                    "score": score.score,
                    "components": [
                        {
                            "name": part.name,
                            "weight": part.weight,
                            "value": part.value,
                            "n": part.n,
                            "left_out": part.left_out,
                        }
                        for part in score.components
                    ],
                }
                for score in found
            ],
        },
        human=_table(invocation, found, limit)
        if found
        else f"no game to train on in {', '.join(map(str, stores))}",
        ok=ok,
    )
    if not ok:
        raise typer.Exit(NegativeResult.exit_code)


def _table(invocation: Invocation, found: list[Quality], limit: float) -> RenderableType:
    heads = [part.name.replace("_", " ") for part in found[0].components]
    columns = [
        Column("configuration"),
        Column("games", number=True),
        Column("score", number=True),
        *(Column(head, number=True) for head in heads),
    ]
    rows = [
        [score.config, score.games, _shown(score.score), *(_part(p) for p in score.components)]
        for score in found
    ]
    return invocation.out.table(columns, rows, title=f"data quality, limit {limit:g}")


def _part(part: Component) -> str | None:
    return "left out" if part.left_out else _shown(part.value)


def _shown(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quality", cls=list_command("--db"))(quality)
