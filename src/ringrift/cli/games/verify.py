"""`ringrift games verify`: replay stored games and compare what they claim (`selfplay.md` 7)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.games.parts import (
    ConfigKey,
    Db,
    Limit,
    Model,
    Purpose,
    Reason,
    Run,
    Since,
    config_of,
    model_of,
    open_store,
    purpose_of,
    seconds_of,
    store_path,
)
from ringrift.cli.invocation import Invocation, current
from ringrift.core.errors import BusyError, NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.records import VerifyReport
    from ringrift.records.recheck import Failure
    from ringrift.records.selection import Selection

SHOWN = 20


class Engine(StrEnum):
    """What replays: the compiled rules, the same source as plain Python, or each."""

    COMPILED = "compiled"
    PLAIN = "plain"
    BOTH = "both"


def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="JSON lines, shards or journals."),
    ] = None,
    db: Db = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="Rules that replay; plain is slow.")
    ] = Engine.COMPILED,
    sample: Annotated[
        float,
        typer.Option("--sample", metavar="SHARE", help="Share of the games; always the same ones."),
    ] = 1.0,
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Limit = None,
) -> None:
    """Replay stored games from their own bytes and compare what they claim.

    Every move must be legal; hashes, result, ranks, counters and search statistics must agree. A
    game of the store that fails is put into quarantine.

    Reads the game store or FILE; writes only to the quarantine of the store, and brings a store of
    an older version up to date.

    Exit code 1 when a game fails or none was checked, 6 for a file that cannot be read.

    Examples: ringrift games verify | ringrift games verify games.jsonl --json |
    ringrift games verify --engine both --limit 20
    """
    from ringrift.records.recheck import check_share
    from ringrift.records.selection import Selection
    from ringrift.rules.jitconf import COMPILED

    invocation = current()
    check_share(sample)
    if engine is not Engine.PLAIN and not COMPILED:
        raise UsageError(
            f"NUMBA_DISABLE_JIT is set: no compiled rules for --engine {engine}",
            hint="--engine plain",
        )
    selection = Selection(
        config=config_of(config_key),
        since=seconds_of(since),
        run=run,
        model=model,
        purpose=purpose_of(purpose),
        reason=reason,
    )
    withdrawn = 0
    if files:
        report = _verify_files(invocation, files, selection, engine, sample, limit)
    else:
        report = _verify_store(invocation, db, selection, engine, sample, limit)
        withdrawn = _withdraw(invocation, db, report)
    _show(invocation, report, engine, withdrawn)
    if report.failures or not report.games:
        raise typer.Exit(NegativeResult.exit_code)


def _verify_store(
    invocation: Invocation,
    db: Path | None,
    selection: Selection,
    engine: Engine,
    sample: float,
    limit: int | None,
) -> VerifyReport:
    from ringrift.records import GameStore

    GameStore.update(store_path(invocation, db))
    with open_store(invocation, db) as store, invocation.out.progress() as progress:
        model = model_of(invocation, store, selection.model)
        total = store.count(
            selection.config,
            selection.run,
            selection.purpose,
            reason=selection.reason,
            model=model,
            since=selection.since,
        )
        total = round(sample * (total if limit is None else min(total, limit)))
        task = progress.task("verifying", total=total, unit="games")
        report = store.verify_all(
            selection.config,
            engine=engine.value,
            sample=sample,
            limit=limit,
            run=selection.run,
            purpose=selection.purpose,
            reason=selection.reason,
            model=model,
            since=selection.since,
            on_progress=lambda games, plies: task.update(
                games, name=f"verifying ({plies:,} plies)"
            ),
        )
        task.finish()
    return report


def _withdraw(invocation: Invocation, db: Path | None, report: VerifyReport) -> int:
    if not report.failures:
        return 0
    try:
        with open_store(invocation, db, writer=True) as store:
            return store.withdraw(report.failures)
    except BusyError as error:
        invocation.out.note(f"not put into quarantine: {error}")
        return 0


def _verify_files(
    invocation: Invocation,
    files: list[Path],
    selection: Selection,
    engine: Engine,
    sample: float,
    limit: int | None,
) -> VerifyReport:
    from itertools import chain, islice

    from ringrift.cli.lists import expand_paths
    from ringrift.records.recheck import sampled, verify_copies
    from ringrift.records.sources import read_games

    found = chain.from_iterable(read_games(path) for path in expand_paths(files, what="FILE"))
    wanted = islice((copy for copy in found if selection.fits(copy[0])), limit)
    with invocation.out.progress() as progress:
        task = progress.task("verifying", unit="games")
        report = verify_copies(
            (copy for copy in wanted if sampled(copy[0].id, sample)),
            engine=engine.value,
            on_progress=lambda games, plies: task.update(
                games, name=f"verifying ({plies:,} plies)"
            ),
        )
        task.finish()
    return report


def _show(invocation: Invocation, report: VerifyReport, engine: Engine, withdrawn: int) -> None:
    lines = [_failure_line(failure) for failure in report.failures[:SHOWN]]
    if len(report.failures) > SHOWN:
        lines.append(f"... {len(report.failures) - SHOWN:,} more")
    lines.append(
        f"{report.games:,} games, {report.plies:,} plies, {len(report.failures)} failures, "
        f"{report.seconds:.1f} s"
    )
    if withdrawn:
        lines.append(f"{withdrawn:,} put into quarantine")
    if not report.games:
        lines.append("no games checked")
    invocation.out.result(
        {
            "engine": engine.value,
            "games": report.games,
            "plies": report.plies,
            "seconds": report.seconds,
            "plies_per_s": report.plies / report.seconds if report.seconds > 0 else None,
            "quarantined": withdrawn,
            "failures": [
                {
                    "id": failure.id,
                    "reason": failure.reason,
                    "ply": failure.ply,
                    "detail": failure.detail,
                    "engine": failure.engine,
                }
                for failure in report.failures
            ],
        },
        human="\n".join(lines),
        ok=not report.failures and report.games > 0,
    )


def _failure_line(failure: Failure) -> str:
    at = "" if failure.ply is None else f" ply {failure.ply}"
    by = "" if failure.engine in (None, "compiled") else f" ({failure.engine} rules)"
    return f"{failure.id[:12]}{at} {failure.reason}: {failure.detail}{by}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)
