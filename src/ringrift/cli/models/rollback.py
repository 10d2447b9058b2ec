"""`ringrift models rollback`: go back to a former champion (`models.md` 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.completion import complete_models
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import (
    SHOWN_DIGITS,
    OfBoard,
    OfConfig,
    OfPlayers,
    config_of,
    models_folder,
    references,
    who,
)
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def rollback(
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="REF",
            help="A former champion [default: the one before the present one].",
            autocompletion=complete_models,
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept for ever.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Move the champion back to a former one.

    Reads the decisions; writes one of kind rolled_back, then aliases and promoted_models.json. The
    demoted model stays in the registry and can return through a new test alone. A second rollback
    goes one further back.

    Exit code 1 where there is no former champion, 75 where somebody decides at the same time.

    Examples: ringrift models rollback --board square8 --players 2 --reason "lost its endgames" |
    ringrift models rollback --config-key hex8_2p --reason "regression" --dry-run --json

    was: model_promotion_manager.py --rollback
    """
    from ringrift.models.decisions import read_chain
    from ringrift.models.rollback import former_champion, roll_back

    run = current()
    if reason is None or not reason.strip():
        raise UsageError("a rollback needs a reason", where="--reason", hint="--reason TEXT")
    folder = models_folder(run, create=not dry_run)
    config = config_of(board, players, config_key) or _only(folder)
    wanted = None if to is None else references(run).id(to, config)
    chain = read_chain(folder / "decisions", config)
    target = former_champion(chain, wanted)
    decision = None
    if not dry_run:
        decision = roll_back(folder, config, reason, to=target, by=who()).decision.name
    said = "would be" if dry_run else "is"
    run.out.result(
        {
            "config": config,
            "demoted": chain.champion,
            "champion": target,
            "decision": decision,
            "dry_run": dry_run,
        },
        human=f"{config}: {target[:SHOWN_DIGITS]} {said} champion again instead of "
        f"{str(chain.champion)[:SHOWN_DIGITS]}",
    )


def _only(folder: Path) -> str:
    """Return the only configuration that has decisions."""
    from ringrift.models.promotion import configurations

    found = configurations(folder)
    if len(found) != 1:
        told = ", ".join(found) or "none"
        raise UsageError(f"configurations with a champion: {told}", hint="--board and --players")
    return found[0]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rollback")(rollback)
