"""`ringrift cluster hub status` and `backup`: the server of this data root."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.cluster.reaching import Reached, reached
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NotRunningError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from ringrift.cluster.hub_report import HubReport
    from ringrift.cluster.streams import Examined

REPAIR_S = 60.0
MB = 1e6


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    group = typer.Typer(add_completion=False, no_args_is_help=True)
    group.command("status")(status)
    group.command("backup")(backup)
    app.add_typer(group, name="hub", help="Show, repair and back up the hub.")


def status(
    repair: Annotated[
        bool, typer.Option("--repair", help="Make what is missing, put right what differs.")
    ] = False,
) -> None:
    """Show the hub of this data root: its server, streams, leader, spool.

    Reads the server and this node's spool, and compares every stream and bucket with what it should
    be. --repair writes what differs; a stream with another retention or storage is made anew, empty,
    after a question: games come again from the spools, the loop files again what is missing. It also
    works while no loop runs. Without --repair nothing is written.

    Examples: ringrift cluster hub status | ringrift cluster hub status --repair --yes --json

    Exit codes: 0 all is as it should be, 1 something is not, 3 no hub runs.
    """
    from ringrift.cluster.hub_report import hub_report
    from ringrift.cluster.spool import spool_counts

    changes: list[str] = []
    with _for_repair() if repair else reached() as hub:
        examined = _examine(hub)
        if repair and any(found.condition != "ok" for found in examined):
            changes = _repair(hub, examined)
            examined = _examine(hub)
        spool = spool_counts(hub.paths.spool / "spool.db")
        report = hub.bus.run(hub_report(hub.bus.js, hub.state, examined=examined, spool=spool))
    fields = {**report.as_fields(), "changes": changes}
    current().out.result(
        fields, human=lambda console: _show(console, report, changes), ok=report.ok
    )
    if not report.ok:
        raise typer.Exit(1)


def backup(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Archive to write [default: ROOT/cluster/backups/hub-UTC.tar].",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Write an archive of what the hub holds, while it runs.

    Reads each stream by the server's own backup, which is one moment of that stream, and this node's
    claims and the decisions; writes one tar file for its owner alone. Nothing stops meanwhile. The
    node's key is not in it.

    Examples: ringrift cluster hub backup | ringrift cluster hub backup --output hub.tar --dry-run

    Exit codes: 0 written, 2 the file is there already, 3 no hub runs.
    """
    from ringrift.cluster.backup import back_up

    with reached() as hub:
        name = time.strftime("hub-%Y%m%dT%H%M%SZ.tar", time.gmtime())
        target = (output or hub.paths.cluster / "backups" / name).absolute()
        if target.exists():
            raise UsageError("the file is there already", where=str(target), hint="--output")
        if dry_run:
            infos = hub.bus.run(hub.bus.js.streams_info())
            streams = [
                {
                    "name": info.config.name,
                    "messages": info.state.messages,
                    "bytes": info.state.bytes,
                }
                for info in infos
            ]
            size, files = None, None
        else:
            made = back_up(hub.bus, hub.state, hub.paths, target)
            streams = [
                {"name": each.name, "messages": each.messages, "bytes": each.bytes}
                for each in made.streams
            ]
            size, files = made.bytes, made.files
    said = f"would write {target}" if dry_run else f"wrote {target}, {(size or 0) / MB:.1f} MB"
    messages = sum(int(each["messages"] or 0) for each in streams)
    current().out.result(
        {
            "file": str(target),
            "bytes": size,
            "files": files,
            "streams": streams,
            "dry_run": dry_run,
        },
        human=f"{said}: {len(streams)} streams, {messages:,} messages",
    )


@contextmanager
def _for_repair() -> Iterator[Reached]:
    """Reach the hub that runs, or one that is started for as long as it takes."""
    from ringrift.cli.loop.running import lock_file
    from ringrift.cluster.hub import Hub
    from ringrift.cluster.keys import node_key
    from ringrift.cluster.local_hub import hub_folder, key_file, running_hub
    from ringrift.core.files import lock

    run = current()
    paths = run.paths(create=False)
    try:
        running_hub(paths)
    except NotRunningError:
        if not key_file(paths).exists():  # no hub was ever here
            raise
        key = node_key(key_file(paths))
        binary = run.settings().values.cluster.hub_binary
        with (
            lock(lock_file(paths), what="loop"),
            Hub(hub_folder(paths), users=(key.public,), binary=binary),
            reached() as hub,
        ):
            yield hub
    else:
        with reached() as hub:
            yield hub


def _examine(hub: Reached) -> list[Examined]:
    from ringrift.cluster.streams import examine

    return hub.bus.run(examine(hub.bus.js, hub.subjects, games_bytes=_games_bytes(hub)))


def _games_bytes(hub: Reached) -> int:
    from ringrift.cluster.streams import games_bytes

    return games_bytes(hub.paths.cluster, hub.settings.cluster.games_max_gb)


def _repair(hub: Reached, examined: list[Examined]) -> list[str]:
    from ringrift.cluster.streams import ensure

    wrong = [found for found in examined if found.condition == "wrong"]
    if wrong and not current().confirm(f"Make {', '.join(map(str, wrong))} anew, empty?"):
        raise UsageError("nothing was repaired: not confirmed")
    size = _games_bytes(hub)
    work = ensure(hub.bus.js, hub.subjects, games_bytes=size, remake=bool(wrong))
    return hub.bus.run(work, timeout_s=REPAIR_S)


def _show(console: Console, report: HubReport, changes: list[str]) -> None:
    from ringrift.loop.lines import duration

    server = report.server
    console.print(
        f"server {server.version}, process {server.pid}, up {duration(server.uptime_s)}, "
        f"{server.memory_bytes / MB:.0f} MB, {server.connections} connections, port {server.port}, "
        f"incarnation {server.incarnation}",
        soft_wrap=True,
    )
    leader = report.leader
    console.print("no leader" if leader is None else f"leader {leader.node}, term {leader.term}")
    for node, told in sorted(report.committed.items()):
        console.print(f"collector {node}: {told.games:,} games, committed to {told.seq:,}")
    if (spool := report.spool) is not None:
        console.print(f"spool: {spool.count:,} batches, {spool.bytes / MB:.1f} MB")
    columns = [
        Column("name"),
        Column("kind"),
        Column("messages", number=True),
        Column("MB", number=True),
        Column("consumers", number=True),
        Column("state"),
    ]
    rows = [
        [
            found.name,
            found.kind,
            info.state.messages if info else None,
            info.state.bytes / MB if info else None,
            info.state.consumer_count if info else None,
            "; ".join(map(str, found.differences)) or found.condition,
        ]
        for found in report.examined
        for info in [found.info]
    ]
    console.print(current().out.table(columns, rows))
    for change in changes:
        console.print(change)
    if not report.ok:
        console.print("to put it right: ringrift cluster hub status --repair")
