"""`ringrift loop status`: what the loop of this data root does."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.loop.running import NOT_RUNNING, START_HINT, running
from ringrift.cli.output import Column
from ringrift.cli.shared_options import ConfigKey
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.core.files import LockOwner
    from ringrift.core.paths import Paths

WATCH_EVERY_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("status")(status)


def status(
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it until Ctrl-C, with --json one object a line.")
    ] = False,
    config_key: ConfigKey = None,
) -> None:
    """Show what the loop of this data root does.

    Reads data/loop/status.json, which a running loop replaces every 5 s, and the lock beside the halt
    files; writes nothing. Of a loop that does not run the newest status is shown with its age.

    Examples: ringrift loop status | ringrift loop status --config-key square8_2p --json

    Exit codes: 0 healthy; 1 degraded (halted, held, at a limit, a warning) or older than 300 s; 3 no
    loop runs. --watch ends with 0.

    was: unified_ai_loop.py --status
    """
    run = current()
    paths = run.paths(create=False)
    if watch:
        repeat(paths, config_key)
        return
    found = look(paths, config_key)
    code = code_of(found)
    run.out.result(found, human=lambda console: show(found, console), ok=code == 0)
    if code:
        raise typer.Exit(code)


def look(paths: Paths, config: str | None) -> dict[str, Any]:
    """Return the newest status with whether a loop runs and its age in seconds."""
    from ringrift.loop.events import seconds_of
    from ringrift.loop.status import read_status

    owner: LockOwner | None = running(paths)
    found = read_status(paths.root)
    if found is None:
        hint = "it has not looked yet" if owner else START_HINT
        return {"running": owner is not None, "age_s": None, "hint": hint}
    if config is not None and config not in found["configs"]:
        raise UsageError(
            f"the loop does not work on {config!r}",
            where="--config-key",
            hint=", ".join(found["configs"]),
        )
    if config is not None:
        found["configs"] = {config: found["configs"][config]}
        found["jobs"] = [job for job in found["jobs"] if job["config"] == config]
    age_s = round(max(0.0, time.time() - seconds_of(found["at"])), 1)
    del found["schema"]  # the result's own head says it
    return {"running": owner is not None, "age_s": age_s, **found}


def code_of(found: dict[str, Any]) -> int:
    """Return the exit code of a look."""
    from ringrift.loop.status import STALE_S

    if not found["running"]:
        return NOT_RUNNING
    if found["age_s"] is None:
        return 0
    return int(found["age_s"] > STALE_S or found["health"] != "healthy")


def repeat(paths: Paths, config: str | None) -> None:
    """Show the status anew each second until SIGINT or SIGTERM."""
    from ringrift.cli.loop.screen import Screen
    from ringrift.core.interrupt import cooperative_stop

    out = current().out
    live = sys.stdout.isatty() and not out.as_json
    last = None
    with cooperative_stop() as stop, Screen(out.console(), live=live) as screen:
        while True:
            found = look(paths, config)
            if live and "configs" in found:
                screen.show(found)
            elif found.get("at") != last or last is None:
                out.line(found, human=one_line(found))
            last = found.get("at", "none")
            if stop.wait(WATCH_EVERY_S):
                return


def show(found: dict[str, Any], console: Console) -> None:
    """Print the header, a row per configuration, the machine and the warnings."""
    from ringrift.cli.loop.drawing import machine_line
    from ringrift.evaluation.many_tests import ManyTests

    print_header(found, console)
    if "configs" not in found:
        return
    console.print(table(found))
    for config, each in found["configs"].items():
        console.print(f"{config}  {each['state']}: {each['reason']}", soft_wrap=True)
        tests = each["tests_since_promotion"]
        if tests["tests"]:
            console.print(f"{config}  {ManyTests(**tests).words}", soft_wrap=True)
    console.print(machine_line(found), soft_wrap=True)
    if found["waiting"]:
        waits = ", ".join(f"{count} {kind}" for kind, count in sorted(found["waiting"].items()))
        console.print(f"waiting jobs: {waits}", soft_wrap=True)
    for words in found["warnings"]:
        console.print(f"warning: {words}", soft_wrap=True)


def print_header(found: dict[str, Any], console: Console) -> None:
    """Print whether a loop runs, since when, as which process, with which profile."""
    console.print(one_line(found), soft_wrap=True)


def one_line(found: dict[str, Any]) -> str:
    """Return a look as one line."""
    from ringrift.loop.lines import duration
    from ringrift.loop.status import STALE_S

    if found["age_s"] is None:
        begins = "a loop is starting" if found["running"] else "no loop runs"
        return f"{begins}: {found['hint']}"
    since = f"since {found['started_at'][:19]}Z, process {found['pid']}, profile {found['profile']}"
    states = ", ".join(f"{config} {each['state']}" for config, each in found["configs"].items())
    if not found["running"]:
        return f"no loop runs; the last one, {since}, said {duration(found['age_s'])} ago: {states}"
    stale = f", STALE: {duration(found['age_s'])} old" if found["age_s"] > STALE_S else ""
    halted = ", HALTED" if found["halted"] else ""
    return f"running {since}, {found['health']}{halted}{stale}: {states}"


def table(found: dict[str, Any]) -> Any:
    """Return the table of the configurations."""
    from ringrift.cli.loop.drawing import elo_words

    columns = [
        Column("configuration"),
        Column("state"),
        Column("new/trigger", number=True),
        Column("games", number=True),
        Column("games/h", number=True),
        Column("champion"),
        Column("Elo", number=True),
        Column("gen", number=True),
        Column("last decision"),
        Column("weight", number=True),
        Column("preset"),
    ]
    rows = [
        (
            config,
            each["state"],
            f"{each['new_games']}/{each['trigger']}",
            each["games"],
            None if each["games_per_hour"] is None else round(each["games_per_hour"]),
            "none" if each["champion"] is None else each["champion"][:6],
            elo_words(each["elo"], each["elo_ci95"]).removeprefix("Elo "),
            each["generation"],
            decision_words(each["last_decision"], found["at"]),
            each["weight"],
            each["preset"],
        )
        for config, each in found["configs"].items()
    ]
    return current().out.table(columns, rows)


def decision_words(decision: dict[str, Any] | None, at: str) -> str:
    """Return the newest decision with its age."""
    from ringrift.loop.events import seconds_of
    from ringrift.loop.lines import duration

    if decision is None:
        return "none"
    age_s = seconds_of(at) - seconds_of(decision["at"])
    return f"{decision['kind']} {duration(age_s)} ago"
