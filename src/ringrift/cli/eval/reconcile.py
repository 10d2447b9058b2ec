"""`ringrift eval reconcile`: unite match games of several nodes (`evaluation.md` 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.models.parts import OfConfig, config_of
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, NotRunningError, UsageError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from ringrift.cli.output import Output
    from ringrift.core.errors import RingriftError
    from ringrift.evaluation.reconciliation import Drift, EloReconciler, SyncResult

log = get_logger(__name__)

PARTLY_DONE = 5
SHOWN_AGENTS = 10
WORK = "Work"


def reconcile(
    check_drift: Annotated[
        bool,
        typer.Option("--check-drift", help="Compare only; change nothing.", rich_help_panel=WORK),
    ] = False,
    sync_from: Annotated[
        str | None,
        typer.Option(
            "--sync-from", metavar="HOST", help="Take over what it has.", rich_help_panel=WORK
        ),
    ] = None,
    reconcile_all: Annotated[
        bool,
        typer.Option(
            "--reconcile-all", help="Take over what every --peer has.", rich_help_panel=WORK
        ),
    ] = False,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            "--peer",
            metavar="HOST",
            help="A node to compare with: its data root or its store. Repeat.",
            rich_help_panel=WORK,
        ),
    ] = None,
    config_key: OfConfig = None,
    threshold: Annotated[
        float,
        typer.Option("--threshold", min=0.0, metavar="ELO", help="Drift that is told as too much."),
    ] = 50.0,
    dry_run: DryRun = False,
) -> None:
    """Compare match games with other nodes, or take over theirs.

    Reads the match games and plans of both nodes (HOST is the path of a data root or of a store;
    other hosts are reached over the job bus). Writes the games that hold to data/games/games.db;
    every game is replayed first. One that does not follow from its moves is refused and told as the
    alert conflict. Nodes with the same games have the same ratings.

    Exit code 1 where a comparison finds a drift above --threshold, 3 for a node that cannot be reached, 4 for one of
    another version, 5 where a game was refused or a node failed, 70 where the same games give other
    ratings.

    Examples: ringrift eval reconcile --check-drift --peer /mnt/other |
    ringrift eval reconcile --sync-from /mnt/other --json

    was: app.training.elo_reconciliation
    """
    from ringrift.evaluation.reconciliation import EloReconciler

    run = current()
    if check_drift + (sync_from is not None) + reconcile_all != 1:
        raise UsageError(
            "expected one kind of work", hint="--check-drift, --sync-from HOST or --reconcile-all"
        )
    peers = [sync_from] if sync_from is not None else list(peer or ())
    if not peers:
        raise NotRunningError(
            "no node is named, and no job bus tells of others", where="--peer", hint="--peer PATH"
        )
    changes = not (check_drift or dry_run)
    paths = run.paths(create=changes)
    config = config_of(None, None, config_key)
    work = EloReconciler(paths.root, peers=peers, configs=None if config is None else [config])
    results, drifts, failed = _done(work, peers, changes=changes)
    large = [drift for drift in drifts if drift.largest > threshold]
    too_much = bool(large) and not changes  # after a sync only what the others lack is left
    for drift in large:
        log.warning(
            "ratings differ between nodes", peer=drift.peer, elo=drift.largest, threshold=threshold
        )
    refused = [game for result in results for game in result.refused]
    run.out.result(
        {
            "threshold": threshold,
            "dry_run": dry_run,
            "drifts": [_drift_fields(drift) for drift in drifts],
            "synced": [_sync_fields(result) for result in results],
            "failed": [{"peer": name, "error": str(error)} for name, error in failed.items()],
        },
        human=lambda console: _print(console, run.out, drifts, results, failed),
        ok=not (too_much or refused or failed),
    )
    if failed and len(failed) == len(peers):
        raise typer.Exit(next(iter(failed.values())).exit_code)
    if failed or refused:
        raise typer.Exit(PARTLY_DONE)
    if too_much:
        raise typer.Exit(NegativeResult.exit_code)


def _done(
    work: EloReconciler, peers: Sequence[str], *, changes: bool
) -> tuple[list[SyncResult], list[Drift], dict[str, RingriftError]]:
    """Compare with each node, or take over what each has; one alone raises its own error."""
    if len(peers) == 1:
        results = [work.sync_from_remote(peers[0])] if changes else []
        return results, [work.check_drift(peers[0])], {}
    if changes:
        report = work.reconcile_all()
        return list(report.results), list(report.drifts), report.failed
    return [], [work.check_drift(name) for name in peers], {}


def _drift_fields(drift: Drift) -> dict[str, Any]:
    return {
        "peer": drift.peer,
        "largest": drift.largest,
        "configurations": [
            {
                "config": found.config,
                "missing_here": len(found.missing_here),
                "missing_there": len(found.missing_there),
                "disputed": list(found.disputed),
                "largest": found.largest,
                "agents": [
                    {
                        "agent_hash": agent.agent_hash,
                        "spec": agent.spec,
                        "here": agent.here,
                        "there": agent.there,
                        "difference": agent.difference,
                    }
                    for agent in found.agents
                ],
            }
            for found in drift.configs
        ],
    }


def _sync_fields(result: SyncResult) -> dict[str, Any]:
    return {
        "peer": result.peer,
        "fetched": result.fetched,
        "known": result.known,
        "plans": result.plans,
        "refused": [
            {"id": game.id, "reason": game.reason, "node": game.node} for game in result.refused
        ],
    }


def _print(
    console: Console,
    out: Output,
    drifts: Sequence[Drift],
    results: Sequence[SyncResult],
    failed: dict[str, RingriftError],
) -> None:
    if results:
        console.print(_sync_table(out, results))
    for result in results:
        for game in result.refused:
            console.print(f"refused: game {game.id[:12]} of {game.node}: {game.reason}")
    for drift in drifts:
        console.print(_drift_table(out, drift))
        for found in drift.configs:
            for agent in found.agents[:SHOWN_AGENTS]:
                if agent.difference:
                    console.print(
                        f"{found.config} {agent.spec[:60]}: {agent.here:.1f} here, "
                        f"{agent.there:.1f} there"
                    )
    for name, error in failed.items():
        console.print(f"failed: {name}: {error}")


def _sync_table(out: Output, results: Sequence[SyncResult]) -> RenderableType:
    heads = ("fetched games", "known games", "refused games", "plans")
    return out.table(
        [Column("node"), *(Column(head, number=True) for head in heads)],
        [[r.peer, r.fetched, r.known, len(r.refused), r.plans] for r in results],
    )


def _drift_table(out: Output, drift: Drift) -> RenderableType:
    heads = ("missing here", "missing there", "disputed", "largest drift Elo")
    return out.table(
        [Column("configuration"), *(Column(head, number=True) for head in heads)],
        [
            [c.config, len(c.missing_here), len(c.missing_there), len(c.disputed), c.largest]
            for c in drift.configs
        ],
        title=f"drift from {drift.peer}",
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reconcile", cls=list_command(words=("--peer",)))(reconcile)
