"""`ringrift games verify`: replay stored games and compare what they claim (`selfplay.md` 7)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.games.parts import (
    ConfigKey,
    Db,
    Purpose,
    Run,
    config_of,
    open_store,
    purpose_of,
)
from ringrift.cli.invocation import Invocation, current
from ringrift.core.errors import BusyError, NegativeResult

if TYPE_CHECKING:
    from ringrift.records.store import Failure, VerifyReport


def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="JSON lines instead of a store."),
    ] = None,
    db: Db = None,
    config_key: ConfigKey = None,
    run: Run = None,
    purpose: Purpose = None,
) -> None:
    """Replay stored games from their own bytes and compare what they claim.

    Every move must be legal; hashes, result, ranks, counters and search statistics must agree. A
    game of the store that fails is put into quarantine.

    Reads the game store or FILE; writes only to the quarantine of the store.

    Exit code 1 when a game fails or none was checked, 6 for a file that cannot be read.

    Examples: ringrift games verify | ringrift games verify games.jsonl --json
    """
    invocation = current()
    if files:
        report = _verify_files(invocation, files)
    else:
        report = _verify_store(
            invocation, db, config=config_of(config_key), run=run, purpose=purpose_of(purpose)
        )
    ok = not report.failures and report.games > 0
    rate = report.plies / report.seconds if report.seconds > 0 else None
    lines = [_failure_line(failure) for failure in report.failures[:20]]
    lines.append(
        f"{report.games:,} games, {report.plies:,} plies, {len(report.failures)} failures, "
        f"{report.seconds:.1f} s"
    )
    if not report.games:
        lines.append("no games checked")
    invocation.out.result(
        {
            "games": report.games,
            "plies": report.plies,
            "seconds": report.seconds,
            "plies_per_s": rate,
            "failures": [
                {
                    "id": failure.id,
                    "reason": failure.reason,
                    "ply": failure.ply,
                    "detail": failure.detail,
                }
                for failure in report.failures
            ],
        },
        human="\n".join(lines),
        ok=ok,
    )
    if not ok:
        raise typer.Exit(NegativeResult.exit_code)


def _failure_line(failure: Failure) -> str:
    at = "" if failure.ply is None else f" ply {failure.ply}"
    return f"{failure.id[:12]}{at} {failure.reason}: {failure.detail}"


def _verify_store(
    invocation: Invocation,
    db: Path | None,
    *,
    config: str | None,
    run: str | None,
    purpose: str | None,
) -> VerifyReport:
    with open_store(invocation, db) as store, invocation.out.progress() as progress:
        total = store.count(config, run, purpose)
        task = progress.task("verifying", total=total, unit="games")
        report = store.verify_all(
            config,
            run=run,
            purpose=purpose,
            on_progress=lambda games, plies: task.update(
                games, name=f"verifying ({plies:,} plies)"
            ),
        )
        task.finish()
    if report.failures:
        try:
            with open_store(invocation, db, writer=True) as store:
                store.verify_all(config, run=run, purpose=purpose)
        except BusyError as error:
            invocation.out.note(f"not put into quarantine: {error}")
    return report


def _verify_files(invocation: Invocation, files: list[Path]) -> VerifyReport:
    import time

    from ringrift.cli.lists import expand_paths
    from ringrift.records import VerificationError, read_jsonl
    from ringrift.records import verify as verify_record
    from ringrift.records.store import Failure, VerifyReport

    started_s = time.perf_counter()
    games = plies = 0
    failures: list[Failure] = []
    with invocation.out.progress() as progress:
        task = progress.task("verifying", unit="games")
        for path in expand_paths(files, what="FILE"):
            for record, analysis in read_jsonl(path):
                games += 1
                plies += len(record.moves)
                try:
                    verify_record(record, analysis)
                except VerificationError as error:
                    failures.append(
                        Failure(
                            id=record.id, reason=error.reason, ply=error.ply, detail=error.detail
                        )
                    )
                task.update(games, name=f"verifying ({plies:,} plies)")
        task.finish()
    seconds = time.perf_counter() - started_s
    return VerifyReport(games=games, plies=plies, seconds=seconds, failures=tuple(failures))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)
