"""`ringrift loop halt` and `resume`: hold all work of a root or of one configuration."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.invocation import current
from ringrift.cli.shared_options import ConfigKey, DryRun
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("halt")(halt)
    app.command("resume")(resume)


def halt(
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever finds it.")
    ] = "by hand",
    config_key: ConfigKey = None,
    dry_run: DryRun = False,
) -> None:
    """Halt all work of this data root, or of one configuration.

    Writes data/coordination/EMERGENCY_HALT (HALT.KEY for one configuration). Each worker looks before
    each game and job, a running loop twice a second: no game begins after 5 s. The loop itself stays
    and goes on after loop resume. A halt that is there keeps its reason.

    Examples: ringrift loop halt --reason maintenance | ringrift loop halt --config-key hex8_2p --dry-run

    was: unified_ai_loop.py --halt
    """
    from ringrift.core import emergency

    invocation = current()
    root, config = _root(), _known(config_key)
    path = emergency.halt_file(root, config)
    if dry_run:
        former = emergency.halted(root, config)
        fields = None if former is None else former.as_fields()
        words = str(former) if former else f"would write {path}: {reason}"
    else:
        made = emergency.halt(root, reason=reason, config=config)
        fields = made.as_fields()
        again = "ringrift loop resume" + (f" --config-key {config}" if config else "")
        words = f"{made}\nto go on: {again}"
    invocation.out.result({"halt": fields, "file": str(path), "dry_run": dry_run}, human=words)


def resume(config_key: ConfigKey = None, dry_run: DryRun = False) -> None:
    """Let halted work of this data root, or of one configuration, go on.

    Removes data/coordination/EMERGENCY_HALT (HALT.KEY for one configuration) and writes the time to
    data/coordination/resumed.json: what a loop holds after failures before it goes on too. A running
    loop goes on within 5 s.

    Examples: ringrift loop resume --dry-run | ringrift loop resume --config-key hex8_2p --dry-run

    Exit codes: 0 lifted, 1 there was no halt.

    was: unified_ai_loop.py --resume
    """
    from ringrift.core import emergency
    from ringrift.loop.resuming import note_resumed

    invocation = current()
    root, config = _root(), _known(config_key)
    path = emergency.halt_file(root, config)
    found = next((each for each in emergency.halts(root) if each.config == config), None)
    failed = _held_by_failures(root, config)
    if found is None and not failed and not dry_run:
        raise NegativeResult(f"nothing is halted: there is no {path}", where=str(root))
    if not dry_run:
        emergency.resume(root, config)
        note_resumed(root, config, time.time())
    left = [each for each in emergency.halts(root) if each.config != config]
    verb = "would lift" if dry_run else "lifted"
    lines = [f"{verb}: {found}" if found else f"there is no {path}"]
    lines += [f"{verb}: {name} is held after failures" for name in failed]
    lines += [f"still there: {each}" for each in left]
    invocation.out.result(
        {
            "cleared": None if found is None else found.as_fields(),
            "failed": failed,
            "left": [each.as_fields() for each in left],
            "dry_run": dry_run,
        },
        human="\n".join(lines),
    )


def _held_by_failures(root: Path, config: str | None) -> list[str]:
    """Return the configurations that a loop holds after failures, by its newest status."""
    from ringrift.loop.status import read_status

    status = read_status(root) or {"configs": {}}
    return [
        name
        for name, each in status["configs"].items()
        if each["state"] == "held" and each["failures"] and config in (None, name)
    ]


def _root() -> Path:
    return current().paths(create=False).root


def _known(config: str | None) -> str | None:
    from ringrift.core.settings import CONFIGURATIONS

    if config is not None and config not in CONFIGURATIONS:
        raise UsageError(
            f"unknown configuration {config!r}; expected one of {', '.join(CONFIGURATIONS)}",
            where="--config-key",
        )
    return config
