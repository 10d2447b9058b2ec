"""`ringrift models sync`: exchange models with other nodes (`models.md` 8)."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.nodes import authorization_of, exchange_with
from ringrift.cli.models.parts import SHOWN_DIGITS
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NotRunningError, UsageError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.data.distributed.authorization import Authorization
    from ringrift.models.synchronisation.exchange import Exchange

log = get_logger(__name__)

DO, SERVING = "What to do", "Server"
STATE = "model_sync_state.json"
MINUTE_S = 60.0
PARTLY_DONE = 5


def sync(
    discover: Annotated[
        bool,
        typer.Option("--discover", help="Show what each node has [default].", rich_help_panel=DO),
    ] = False,
    collect: Annotated[
        bool,
        typer.Option("--collect", help="Fetch what is missing here.", rich_help_panel=DO),
    ] = False,
    distribute: Annotated[
        bool,
        typer.Option(
            "--distribute",
            help="Send champions and candidates that nodes lack.",
            rich_help_panel=DO,
        ),
    ] = False,
    both: Annotated[
        bool,
        typer.Option("--sync", help="--collect, then --distribute.", rich_help_panel=DO),
    ] = False,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Serve the models of this node until stopped.", rich_help_panel=DO
        ),
    ] = False,
    daemon: Annotated[
        bool,
        typer.Option("--daemon", help="Repeat --sync until stopped.", rich_help_panel=DO),
    ] = False,
    interval: Annotated[
        float,
        typer.Option(
            "--interval",
            min=0.001,
            metavar="MINUTES",
            help="Time between two rounds of --daemon.",
            rich_help_panel=DO,
        ),
    ] = 30.0,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="URL|DIR",
            help="A node: http://HOST:PORT, or a data root or models folder mounted here; repeat.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Send every model, not the needed ones alone.")
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="REF",
            help="Where the token is: env:NAME or file:PATH [default: p2p.auth_token].",
        ),
    ] = None,
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="ADDRESS",
            help="Where --serve listens; others than loopback need a token.",
            rich_help_panel=SERVING,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=0,
            max=65_535,
            metavar="N",
            help="Port of --serve; 0 takes a free one.",
            rich_help_panel=SERVING,
        ),
    ] = 8781,
    dry_run: DryRun = False,
) -> None:
    """Exchange models, their cards and decisions with other nodes.

    Reads the models of this data root and of the nodes. --collect writes what arrives to models/objects
    once its SHA-256 is right and it loads, and extends models/decisions; a damaged file is refused,
    its source named, another source tried, and a model that is damaged here is replaced. What was
    pruned here stays away. --distribute sends champions and candidates, --all every model. An
    interrupted file goes on where it stopped. Writes data/model_sync_state.json for readers.

    Exit code 3 when no node can be reached, 5 when some cannot or had something bad.

    Examples: ringrift models sync --discover --host http://127.0.0.1:8781 |
    ringrift models sync --sync --all --host backup --dry-run --json

    was: sync_models.py
    """
    run = current()
    chosen = [
        name
        for name, given in (
            ("--discover", discover), ("--collect", collect), ("--distribute", distribute),
            ("--sync", both), ("--serve", serve), ("--daemon", daemon),
        )
        if given
    ]  # fmt: skip
    if len(chosen) > 1 and set(chosen) != {"--collect", "--distribute"}:
        raise UsageError(f"{' and '.join(chosen)} exclude each other", where=chosen[1])
    loaded = run.settings(options=None if token is None else {"p2p.auth_token": token})
    authorization = authorization_of(run, loaded)
    if token is not None and authorization.token is None:
        raise UsageError("no token is there", where="--token", hint="env:NAME or file:PATH")
    if serve:
        _serve(run, authorization, listen, port)
        return
    work = _Work(
        run,
        authorization,
        hosts or [],
        collect=collect or both or daemon,
        distribute=distribute or both or daemon,
        everything=everything,
        dry_run=dry_run,
    )
    if daemon:
        work.run_daemon(interval * MINUTE_S)
        return
    made = work.round()
    work.show(made)
    if made.nodes and not made.listings:
        raise typer.Exit(NotRunningError.exit_code)
    if not work.well(made):
        raise typer.Exit(PARTLY_DONE)


class _Work:
    """Exchange once or again and again, and tell."""

    def __init__(
        self,
        run: Invocation,
        authorization: Authorization,
        hosts: Sequence[str],
        *,
        collect: bool,
        distribute: bool,
        everything: bool,
        dry_run: bool,
    ) -> None:
        self._run = run
        self._authorization = authorization
        self._hosts = hosts
        self._collect = collect
        self._distribute = distribute
        self._everything = everything
        self._dry_run = dry_run
        changes = (collect or distribute) and not dry_run
        self._paths = run.paths(create=changes)
        self._keeps = changes

    def round(self) -> Exchange:
        """Ask the nodes, exchange, and write what readers look at."""
        with self._run.out.progress() as progress:
            task = progress.task("exchanging", unit="bytes")
            made = exchange_with(
                self._paths.models,
                self._hosts,
                self._authorization,
                needed=_needed(self._paths.models),
                dry_run=self._dry_run,
                on_bytes=task.advance,
            )
            if self._collect:
                made.collect()
            if self._distribute:
                made.distribute(everything=self._everything)
            task.finish()
        if self._keeps:
            _write_state(self._paths.data / STATE, made)
        self._alert(made)
        return made

    def _alert(self, made: Exchange) -> None:
        """Tell of decisions of ours that gave way to another node's."""
        lost = [merged for merged in made.merged if merged.superseded]
        if not lost or self._dry_run:
            return
        from ringrift.core.alerts import AlertBook

        book = AlertBook(self._paths.coordination / "alerts.db")
        for merged in lost:
            told = f"decisions gave way to another node's: {', '.join(merged.superseded)}"
            book.alert("conflict", f"decisions {merged.config}", "critical", told, {})

    def run_daemon(self, interval_s: float) -> None:
        """Exchange again and again until told to stop; one at a time on a data root."""
        from ringrift.core.files import lock
        from ringrift.core.interrupt import cooperative_stop

        with (
            lock(self._paths.coordination / "model_sync.lock", what="the exchange of models"),
            cooperative_stop() as stop,
        ):
            while not stop.requested:
                made = self.round()
                self._run.out.line(_fields(made, dry_run=self._dry_run), human=_told(made))
                stop.wait(interval_s)

    @staticmethod
    def well(made: Exchange) -> bool:
        """Tell whether every node was reached and had nothing bad."""
        return all(s.reachable and not s.bad and s.problem is None for s in made.states.values())

    def show(self, made: Exchange) -> None:
        """Print the table of nodes."""
        self._run.out.result(
            _fields(made, dry_run=self._dry_run),
            human=lambda console: self._print(console, made),
            ok=self.well(made),
        )

    def _print(self, console: Console, made: Exchange) -> None:
        if not made.states:
            console.print("no nodes: name some with --host URL or --host DIR", soft_wrap=True)
            return
        columns = [
            Column("node"),
            Column("reachable"),
            Column("transport"),
            Column("models", number=True),
            Column("champions"),
            Column("missing", number=True),
            Column("received", number=True),
            Column("sent", number=True),
            Column("bytes", number=True),
        ]
        rows = [
            [
                state.name,
                state.reachable,
                state.transport,
                state.models,
                _champions(state.champions, state.stale),
                len(state.missing),
                len(state.received),
                len(state.sent),
                state.bytes,
            ]
            for state in made.states.values()
        ]
        console.print(self._run.out.table(columns, rows))
        for state in made.states.values():
            for told in [*state.bad, *([state.problem] if state.problem else [])]:
                console.print(f"{state.name}: {told}", soft_wrap=True)
        for merged in made.merged:
            console.print(
                f"{merged.config}: {len(merged.added)} decisions taken over, "
                f"{len(merged.superseded)} of ours gave way",
                soft_wrap=True,
            )


def _needed(models: Path) -> frozenset[str]:
    """Return the newest candidate of each configuration, which is under test."""
    from ringrift.models.candidates import undecided
    from ringrift.models.promotion import configurations

    if not models.is_dir():
        return frozenset()
    found = (undecided(models, config)[:1] for config in configurations(models))
    return frozenset(model_id for some in found for model_id in some)


def _serve(run: Invocation, authorization: Authorization, listen: str, port: int) -> None:
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.models.synchronisation.serving import serve_models

    folder = run.paths().models
    with (
        cooperative_stop() as stop,
        serve_models(folder, host=listen, port=port, authorization=authorization) as server,
    ):
        run.out.line({"url": server.url}, human=f"serving {folder} on {server.url}")
        _wait(stop)


def _wait(stop: Stop) -> None:
    while not stop.wait(60.0):
        pass


def _fields(made: Exchange, *, dry_run: bool) -> dict[str, Any]:
    return {
        "nodes": [asdict(state) for state in made.states.values()],
        "decisions": [asdict(merged) for merged in made.merged],
        "champions": made.champions(),
        "dry_run": dry_run,
    }


def _told(made: Exchange) -> str:
    states = made.states.values()
    received = sum(len(state.received) for state in states)
    sent = sum(len(state.sent) for state in states)
    reached = sum(state.reachable for state in states)
    return f"{reached} of {len(made.states)} nodes, {received} models received, {sent} sent"


def _champions(there: dict[str, str], stale: list[str]) -> str:
    shown = (f"{c} {m[:SHOWN_DIGITS]}{' (stale)' if c in stale else ''}" for c, m in there.items())
    return ", ".join(shown) or "none"


def _write_state(path: Path, made: Exchange) -> None:
    from ringrift.core.files import write_atomic

    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    tree = {"schema": 1, "at": at, **_fields(made, dry_run=False)}
    write_atomic(path, json.dumps(tree, indent=1).encode() + b"\n")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sync")(sync)
