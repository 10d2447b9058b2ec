"""`ringrift cluster jobs submit`, `cancel` and `retry`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ringrift.cli.cluster.reaching import JobId, reached
from ringrift.cli.invocation import current
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import DataError, NegativeResult


def register(group: typer.Typer) -> None:
    """Add the commands to the group."""
    group.command("submit")(submit)
    group.command("cancel")(cancel)
    group.command("retry")(retry)


def submit(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON file with one job; - is standard input.")
    ],
    dry_run: DryRun = False,
) -> None:
    """File one job, checked to its last key before.

    Reads an object with kind, config and spec, and optionally needs, prio (0 urgent, 1 normal),
    timeout_s, max_attempts, min_version, reason; writes the hub's queue. A job is named by its
    content: one that is there or has a result is not filed again. Self-play, matches and training
    are done by whichever node has room; their specs are those that jobs show prints.

    Examples: ringrift cluster jobs submit job.json | ringrift cluster jobs submit job.json --dry-run

    Exit codes: 0 filed, or there already; 2 an unknown or wrong key, which is named; 3 no hub runs; 6
    no JSON.
    """
    from ringrift.core.ids import short
    from ringrift.core.versions import rules_hash
    from ringrift.loop.job_files import read_job

    run = current()
    job = read_job(_bytes(file), where=str(file), rules_hash=rules_hash())
    how = "checked"
    with reached() as hub:
        if not dry_run:
            how = hub.bus.run(hub.queue.file(job))
    words = {
        "checked": "would be filed",
        "filed": "filed",
        "open": "is in the queue already",
        "done": "has a result already",
    }[how]
    run.out.result(
        {"id": job.id, "kind": job.kind, "config": job.config, "answer": how, "dry_run": dry_run},
        human=f"{job.kind} job {short(job.id)} of {job.config} {words}",
    )


def cancel(
    identity: JobId,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever finds it.")
    ] = "by hand",
    dry_run: DryRun = False,
) -> None:
    """Cancel a job that waits or is being done.

    Writes its result, cancelled, and takes it out of the queue; whoever does it stops within 5 s. A
    running loop files again what it still needs.

    Examples: ringrift cluster jobs cancel 3f2a91c0 | ringrift cluster jobs cancel 3f2a91c0 --dry-run

    Exit codes: 0 cancelled, 1 it has ended already, 2 no such job, 3 no hub runs.
    """
    from ringrift.core.ids import short

    with reached() as hub:
        row, _ = hub.one(identity)
        is_open = row.result is None
        if is_open and not dry_run:
            is_open = hub.bus.run(hub.queue.cancel(row.id, by=hub.bus.node, reason=reason))
    if not is_open:
        raise NegativeResult(f"job {short(row.id)} has ended: {row.standing}")
    said = "would be cancelled" if dry_run else "cancelled"
    current().out.result(
        {"id": row.id, "kind": row.kind, "config": row.config, "dry_run": dry_run},
        human=f"{row.kind} job {short(row.id)} of {row.config} {said}",
    )


def retry(
    identity: JobId,
    force: Annotated[
        bool, typer.Option("--force", help="Also one that failed on three nodes within a day.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """File a job again that failed as often as it may.

    Reads the dead letters; removes the failed result and what is known of its attempts, and writes
    the job to the queue.

    Examples: ringrift cluster jobs retry 3f2a91c0 | ringrift cluster jobs retry 3f2a91c0 --force

    Exit codes: 0 filed, 2 no failed job of this id, 3 no hub runs, 4 it failed on three nodes.
    """
    from ringrift.cluster.job_table import one_id
    from ringrift.core.ids import short

    with reached() as hub:
        letters = {letter.job.id: letter.job for letter in hub.bus.run(hub.attempts.dead())}
        job = letters[one_id(identity, letters, hint="ringrift cluster jobs dead")]
        if not dry_run:
            hub.bus.run(hub.attempts.retry(job.id, force=force))
    said = "would be filed again" if dry_run else "filed again"
    current().out.result(
        {"id": job.id, "kind": job.kind, "config": job.config, "dry_run": dry_run},
        human=f"{job.kind} job {short(job.id)} of {job.config} {said}",
    )


def _bytes(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"not readable: {error.strerror}", where=str(file)) from None
