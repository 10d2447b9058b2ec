"""`ringrift data auto-export`: export what has too few games and new ones (`data.md` 8)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.data.parts import OnlyBoard, OnlyPlayers, board_of
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import BusyError, UsageError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.core.settings import Settings
    from ringrift.data.auto_export.deciding import Decision
    from ringrift.data.auto_export.running import Outcome

log = get_logger(__name__)

PARTLY_DONE = 5


def auto_export(
    once: Annotated[bool, typer.Option("--once", help="One round, which is the default.")] = False,
    daemon: Annotated[
        bool, typer.Option("--daemon", help="Rounds until SIGTERM or Ctrl-C; then exit 0.")
    ] = False,
    interval: Annotated[
        float,
        typer.Option(
            "--interval", min=1.0, metavar="SECONDS", help="From one round of --daemon to the next."
        ),
    ] = 3600.0,
    board: OnlyBoard = None,
    players: OnlyPlayers = None,
    force: Annotated[
        bool, typer.Option("--force", help="Export however few games are new.")
    ] = False,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Export configurations with too few games as soon as they have new ones.

    Reads the game store (data/games/games.db), the manifests below data/npz and the settings
    configurations and data.target_games. A configuration is exported when it has fewer trainable
    games than data.target_games, or than the median of all, and since its last dataset at least 200
    new ones (square8_2p), 100 (hex8_2p) or 50. Least represented first, two at a time. Writes
    datasets, and for readers data/export_state.json.

    Exit code 5 when an export failed, 75 when another auto-export runs.

    Examples: ringrift data auto-export --dry-run |
    ringrift data auto-export --once --board square8 --players 2 --json

    was: auto_export_training_data.py
    """
    invocation = current()
    if once and daemon:
        raise UsageError("--once and --daemon exclude each other", where="--once")
    settings = invocation.settings().values
    rounds = _Rounds(
        invocation, settings, board=board_of(board), players=players, force=force, wait=not no_wait
    )
    if dry_run:
        rounds.show(rounds.decide(create=False), [], dry_run=True)
        return
    due = daemon or any(decision.exported for decision in rounds.decide(create=False))
    ready_for(invocation, disk_gb=0.5, cpu=due, wait=not no_wait, limits=settings.limits)
    from ringrift.core.files import lock
    from ringrift.core.interrupt import cooperative_stop, raise_for

    with (
        lock(invocation.paths().coordination / "auto_export.lock", what="auto-export"),
        cooperative_stop() as stop,
    ):
        if daemon:
            rounds.run_daemon(stop, interval)
            return
        decisions, outcomes = rounds.run(stop)
        if stop.signum is not None:
            raise_for(stop.signum)
    rounds.show(decisions, outcomes)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(PARTLY_DONE)


class _Rounds:
    """Decide, export, tell."""

    def __init__(
        self,
        invocation: Invocation,
        settings: Settings,
        *,
        board: str | None,
        players: int | None,
        force: bool,
        wait: bool,
    ) -> None:
        self.invocation = invocation
        self.settings = settings
        self.board = board
        self.players = players
        self.force = force
        self.wait = wait

    def decide(self, *, create: bool = True) -> list[Decision]:
        """Count and decide; the median is that of all enabled configurations."""
        from ringrift.data.auto_export.counting import count_games
        from ringrift.data.auto_export.deciding import decide
        from ringrift.rules import parse_config

        paths = self.invocation.paths(create=create)
        enabled = self.settings.configurations
        pairs = [(key, *parse_config(key)) for key in enabled]
        only = {
            key for key, on, by in pairs if self.board in (None, on) and self.players in (None, by)
        }
        counts = count_games(paths.game_store, paths.npz, enabled)
        return decide(
            counts, target_games=self.settings.data.target_games, only=only, force=self.force
        )

    def run(self, stop: Stop) -> tuple[list[Decision], list[Outcome]]:
        """Run one round and write its state."""
        from ringrift.data.auto_export.running import Job, run_round, write_state
        from ringrift.data.verify_sources import require_sources

        paths = self.invocation.paths()
        decisions = self.decide()
        wanted = sum(decision.exported for decision in decisions)
        store = paths.game_store
        if wanted:
            require_sources([store])
        with self.invocation.out.progress() as progress:
            task = progress.task("exporting", total=wanted, unit="configurations")
            outcomes = run_round(
                Job(store=store, npz=paths.npz, cache=paths.cache / "export"),
                decisions,
                stop=lambda: stop.requested,
                on_outcome=lambda _: task.advance(),
            )
            task.finish()
        write_state(
            paths.data / "export_state.json",
            decisions,
            outcomes,
            target_games=self.settings.data.target_games,
        )
        return decisions, outcomes

    def run_daemon(self, stop: Stop, interval_s: float) -> None:
        """Run rounds until told to stop; one that the machine has no room for is left out."""
        while not stop.requested:
            try:
                self._round(stop)
            except BusyError as error:
                log.warning("a round is left out", reason=str(error))
            stop.wait(interval_s)

    def _round(self, stop: Stop) -> None:
        ready_for(self.invocation, disk_gb=0.5, wait=self.wait, limits=self.settings.limits)
        decisions, outcomes = self.run(stop)
        rows = _rows(decisions, outcomes)
        done = [row for row in rows if row["decision"] == "export"]
        told = "; ".join(f"{row['config']}: {row['result']}" for row in done) or "nothing to export"
        self.invocation.out.line({"configurations": rows, "dry_run": False}, human=told)

    def show(
        self, decisions: Sequence[Decision], outcomes: Sequence[Outcome], *, dry_run: bool = False
    ) -> None:
        """Print the table of a round."""
        rows = _rows(decisions, outcomes)
        columns = [
            Column("configuration"),
            Column("games", number=True),
            Column("new", number=True),
            Column("minimum", number=True),
            Column("representation", number=True),
            Column("decision"),
            Column("reason"),
            Column("result"),
        ]
        names = ("config", "games", "new", "minimum", "representation", "decision", "reason")
        cells = [[*(row[name] for name in names), row["result"] or ""] for row in rows]
        self.invocation.out.result(
            {"configurations": rows, "dry_run": dry_run},
            human=self.invocation.out.table(columns, cells),
            ok=not any(outcome.error for outcome in outcomes),
        )


def _rows(decisions: Sequence[Decision], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    by_config = {outcome.config: outcome for outcome in outcomes}
    rows = []
    for decision in decisions:
        outcome = by_config.get(decision.config)
        rows.append(
            {
                **asdict(decision),
                "dataset": None if outcome is None else outcome.id,
                "path": None if outcome is None else outcome.path,
                "samples": None if outcome is None else outcome.samples,
                "result": None if outcome is None else _told(outcome),
            }
        )
    return rows


def _told(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"failed: {outcome.error}"
    kind = "was there" if outcome.existing else "made"
    return f"{kind}: {(outcome.id or '')[:12]}, {outcome.samples:,} samples"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("auto-export")(auto_export)
