"""`ringrift engine perft`: count move sequences (`selfplay.md` 7)."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.engine.parts import RuleOptions, chosen_spec
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import Board, ConfigKey, Players


def perft(
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    depth: Annotated[int, typer.Option("--depth", min=0, max=12, help="Plies.")] = 5,
    option: RuleOptions = None,
) -> None:
    """Count the move sequences from the start position, per depth.

    Reads and writes nothing; the counts are compared with other implementations of the rules.

    Examples: ringrift engine perft --config-key hex8_3p --depth 5 |
    ringrift engine perft --board square8 --option swap_rule=false --depth 3 --json
    """
    from ringrift.rules import Position
    from ringrift.rules.perft import perft as count

    run = current()
    spec = chosen_spec(config_key, board, players, option)
    counts = []
    with run.out.progress() as progress:
        task = progress.task("counting", total=depth + 1, unit="depths")
        for plies in range(depth + 1):
            counts.append(count(Position.of(spec), plies))
            task.advance()
        task.finish()
    table = run.out.table(
        [Column("plies", number=True), Column("sequences", number=True)],
        list(enumerate(counts)),
        title=spec.config,
    )
    run.out.result({"configuration": spec.config, "counts": counts}, human=table)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("perft")(perft)
