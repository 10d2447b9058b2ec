"""`ringrift loop events`: print the event log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.loop.options import one_of
from ringrift.cli.node.alerts import duration_s
from ringrift.cli.shared_options import ConfigKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 10_000


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("events")(events)


def complete_kinds(incomplete: str) -> list[str]:
    """Return the kinds of events that begin so."""
    from ringrift.loop.events import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


def events(
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what comes until Ctrl-C; one a line.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="As 90s, 30m, 1h, 2d before now [default: all]."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="K",
            help="Only this kind; may be repeated.",
            autocompletion=complete_kinds,
        ),
    ] = None,
    config_key: ConfigKey = None,
) -> None:
    """Print what happened in the loop, oldest first.

    Reads logs/unified_loop/events.jsonl and the older files beside it; writes nothing. The log tells
    people and plots; no decision comes from it. With --follow and --json one object a line, else one
    object with the newest 10,000.

    Examples: ringrift loop events --since 1h --kind promoted --kind rejected | ringrift loop events
    --config-key square8_2p --json
    """
    from ringrift.loop.events import KINDS, read_events
    from ringrift.loop.lines import line_of

    run = current()
    after = None if since is None else time.time() - duration_s(since, where="--since")
    kinds = [name for name in kind or [] if one_of(name, "--kind", KINDS)]
    folder = log_folder()
    found: Iterator[dict[str, Any]] = read_events(
        folder, since=after, kinds=kinds, config=config_key
    )
    if follow:
        _follow(folder, found, kinds, config_key)
        return
    newest = list(found)[-MOST:]
    run.out.result(
        {"events": newest},
        human="\n".join(map(line_of, newest)) or "no events",
    )


def log_folder() -> Path:
    """Return the folder of the loop's logs."""
    run = current()
    return run.paths(create=False).from_setting(run.settings().values.log_dir)


def _follow(
    folder: Path, found: Iterator[dict[str, Any]], kinds: list[str], config: str | None
) -> None:
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.loop.events import follow_events, last_seq
    from ringrift.loop.lines import line_of

    out = current().out
    last = last_seq(folder)
    for event in found:
        if event["seq"] <= last:
            out.line(event, human=line_of(event))
    with cooperative_stop() as stop:
        new = follow_events(folder, lambda: stop.requested, after=last, kinds=kinds, config=config)
        for event in new:
            out.line(event, human=line_of(event))
