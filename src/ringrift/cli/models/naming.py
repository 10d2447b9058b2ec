"""`ringrift models alias`, `pin` and `unpin`: names of the user's, and what is never pruned."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.parts import (
    SHOWN_DIGITS,
    OfBoard,
    OfConfig,
    OfPlayers,
    Reference,
    config_of,
    models_folder,
    references,
    who,
)
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError


def alias(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name; without one all are listed.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[REF]", help="What it shall mean: an id, a file, champion, ..."),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the name away; the model stays.")
    ] = False,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    dry_run: DryRun = False,
) -> None:
    """Let a name mean a model, or list the names.

    Reads the registry; writes models/aliases.json and the links models/NAME.safetensors and
    models/NAME.meta.json. Names that trainings and promotions set, such as square8_2p or
    ringrift_best_sq8_2p, cannot be taken.

    Exit code 2 for such a name, or for a model that there is not.

    Examples: ringrift models alias | ringrift models alias strong champion --board square8
    """
    from ringrift.models import aliases
    from ringrift.models.names import check_name

    run = current()
    if name is None:
        _list(remove=remove)
        return
    check_name(name)
    if remove:
        if model is not None:
            raise UsageError("--remove takes a name alone", where="--remove")
        folder = models_folder(run)
        known = aliases.read_aliases(folder)
        if name not in known:
            raise UsageError(f"no alias {name!r}", hint=", ".join(list(known)[:3]) or None)
        if not dry_run:
            aliases.remove_alias(folder, name)
        _result(name, None, changed=True, dry_run=dry_run)
        return
    if model is None:
        raise UsageError(f"alias {name!r} of which model?", where="REF", hint="champion")
    identity = references(run).id(model, config_of(board, players, config_key))
    folder = models_folder(run, create=not dry_run)
    known = aliases.read_aliases(folder)
    changed = name not in known or known[name].id != identity
    if not dry_run:
        aliases.set_alias(folder, name, identity, by=who())
    _result(name, identity, changed=changed, dry_run=dry_run)


def _list(*, remove: bool) -> None:
    from ringrift.models.aliases import read_aliases

    if remove:
        raise UsageError("--remove needs a name", where="--remove")
    run = current()
    known = read_aliases(models_folder(run))
    columns = [Column("alias"), Column("model"), Column("set by"), Column("set at (UTC)")]
    rows = [[name, a.id[:SHOWN_DIGITS], a.by, a.at] for name, a in known.items()]
    run.out.result(
        {"aliases": [{"name": name, **asdict(found)} for name, found in known.items()]},
        human=run.out.table(columns, rows) if rows else "no aliases",
    )


def _result(name: str, identity: str | None, *, changed: bool, dry_run: bool) -> None:
    said = "would mean" if dry_run else "means" if changed else "means already"
    human = f"{name} {said} {identity}"
    if identity is None:
        human = f"{name} {'would be' if dry_run else 'is'} taken away"
    current().out.result(
        {"name": name, "id": identity, "changed": changed, "dry_run": dry_run}, human=human
    )


def pin(
    model: Reference,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    dry_run: DryRun = False,
) -> None:
    """Keep a model from ever being pruned.

    Reads the registry; writes models/pins.json.

    Examples: ringrift models pin champion --board square8 | ringrift models pin hex8_2p --dry-run
    """
    _pin(model, config_of(board, players, config_key), wanted=True, dry_run=dry_run)


def unpin(
    model: Reference,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    dry_run: DryRun = False,
) -> None:
    """Let a pinned model be pruned again.

    Reads the registry; writes models/pins.json.

    Examples: ringrift models unpin champion --board hex8 | ringrift models unpin hex8_2p --dry-run
    """
    _pin(model, config_of(board, players, config_key), wanted=False, dry_run=dry_run)


def _pin(model: str, config: str | None, *, wanted: bool, dry_run: bool) -> None:
    from ringrift.models.cards import describe
    from ringrift.models.pins import pin as add
    from ringrift.models.pins import read_pins
    from ringrift.models.pins import unpin as drop

    run = current()
    identity = references(run).id(model, config)
    folder = models_folder(run, create=not dry_run)
    describe(folder / "objects", identity)  # or it is none of the registry's
    changed = (identity in read_pins(folder)) is not wanted
    if changed and not dry_run:
        if wanted:
            add(folder, identity, by=who())
        else:
            drop(folder, identity)
    said = "would be " if dry_run else "" if changed else "was already "
    run.out.result(
        {"id": identity, "pinned": wanted, "changed": changed, "dry_run": dry_run},
        human=f"{identity[:SHOWN_DIGITS]} {said}{'pinned' if wanted else 'not pinned'}",
    )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("alias")(alias)
    app.command("pin")(pin)
    app.command("unpin")(unpin)
