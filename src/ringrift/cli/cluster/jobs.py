"""`ringrift cluster jobs list`, `show` and `dead`: what is asked and what came of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.cluster.reaching import JobId, Kind, OfNode, Standing, known, reached
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import ConfigKey, DryRun

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cluster.attempts import DeadLetter
    from ringrift.cluster.job_table import JobRow


def register(group: typer.Typer) -> None:
    """Add the commands to the group."""
    group.command("list")(show_all)
    group.command("show")(show)
    group.command("dead")(dead)


def show_all(
    kind: Kind = None,
    config_key: ConfigKey = None,
    status: Standing = None,
    node: OfNode = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")
    ] = 50,
) -> None:
    """List the jobs of this data root's hub, the open ones first.

    Reads the hub's queue and the results of the last day; writes nothing. Taken is a job that this
    node holds, running or kept for a free place. What ended stands newest first.

    Examples: ringrift cluster jobs list | ringrift cluster jobs list --kind train --status failed --json

    Exit codes: 0 listed, 3 no hub runs.
    """
    from ringrift.cluster.job_table import Wanted

    known(kind, config_key, status)
    wanted = Wanted(kind=kind, config=config_key, standing=status, node=node)
    with reached() as hub:
        found = [row for row in hub.rows() if wanted.has(row)]
    counts: dict[str, int] = {}
    for row in found:
        counts[row.standing] = counts.get(row.standing, 0) + 1
    out = current().out
    out.result(
        {"jobs": [row.as_fields() for row in found[:limit]], "counts": counts, "total": len(found)},
        human=lambda console: _print_rows(console, found, limit),
    )


def show(identity: JobId) -> None:
    """Show one job: what it was told, its attempts, its result.

    Reads the hub's queue, results of the last 14 days and dead letters, and names the log that the
    job wrote here; writes nothing. Of a job that ended well the hub keeps the result alone.

    Examples: ringrift cluster jobs show 3f2a91c0 | ringrift cluster jobs show 3f2a91c0 --json

    Exit codes: 0 shown, 2 no such job, 3 no hub runs.
    """
    with reached() as hub:
        row, letter = hub.one(identity)
        attempts = hub.bus.run(hub.attempts.of(row.id))
        log = hub.paths.logs / "jobs" / f"{row.id}.log"
    told = list(letter.attempts) if letter is not None and not attempts else attempts
    result = row.result
    fields: dict[str, Any] = {
        **row.as_fields(),
        "job": None if row.job is None else json.loads(row.job.as_bytes()),
        "numbers": None if result is None else dict(result.numbers),
        "outputs": None if result is None else [dict(output) for output in result.outputs],
        "failed_attempts": [
            {"node": each.node, "attempt": each.attempt, "at": each.at, **each.error}
            for each in told
        ],
        "log": str(log) if log.exists() else None,
    }
    current().out.result(fields, human=_text(fields))


def dead(
    purge: Annotated[
        bool, typer.Option("--purge", help="Forget them; their jobs stay failed.")
    ] = False,
    kind: Kind = None,
    config_key: ConfigKey = None,
    dry_run: DryRun = False,
) -> None:
    """List the jobs that failed as often as they may, with all errors.

    Reads the hub's dead letters; --purge removes them, after which jobs retry knows them no more.

    Examples: ringrift cluster jobs dead | ringrift cluster jobs dead --purge --kind match --dry-run

    Exit codes: 0 listed, 3 no hub runs.
    """
    known(kind, config_key)
    with reached() as hub:
        letters = [
            letter
            for letter in hub.bus.run(hub.attempts.dead())
            if kind in (None, letter.job.kind) and config_key in (None, letter.job.config)
        ]
        if purge and not dry_run:
            hub.bus.run(hub.attempts.purge([letter.job.id for letter in letters]))
    run = current()
    fields = {
        "dead": [_letter_fields(letter) for letter in letters],
        "purged": purge and not dry_run,
        "dry_run": dry_run,
    }
    run.out.result(fields, human=lambda console: _print_dead(console, letters, purge, dry_run))


def ago(seconds: float | None) -> str:
    """Return how long ago a time was, empty for none."""
    from ringrift.loop.lines import duration

    return "" if not seconds else f"{duration(max(0.0, time.time() - seconds))} ago"


def _print_rows(console: Console, rows: list[JobRow], limit: int) -> None:
    from ringrift.core.ids import short

    if not rows:
        console.print("no jobs")
        return
    columns = [Column(head) for head in ("id", "kind", "configuration", "status", "node", "when")]
    table = [
        [
            short(row.id),
            row.kind,
            row.config,
            row.standing,
            row.node or "",
            ago(row.result.ended_at if row.result else row.job.created_at if row.job else None),
        ]
        for row in rows[:limit]
    ]
    console.print(current().out.table(columns, table))
    if len(rows) > limit:
        console.print(f"{len(rows) - limit:,} more: --limit")


def _print_dead(console: Console, letters: list[DeadLetter], purge: bool, dry_run: bool) -> None:
    from ringrift.core.ids import short

    for letter in letters:
        job = letter.job
        console.print(f"{short(job.id)} {job.kind} {job.config}", soft_wrap=True)
        for each in letter.attempts:
            words = f"  attempt {each.attempt} on {each.node}: {each.error['message']}"
            console.print(words, soft_wrap=True)
    said = "no dead letters" if not letters else f"{len(letters):,} dead letters"
    if purge and letters:
        said = f"{'would purge' if dry_run else 'purged'} {said}"
    console.print(said)


def _letter_fields(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.job.id,
        "kind": letter.job.kind,
        "config": letter.job.config,
        "reason": letter.job.reason,
        "attempts": [
            {"node": each.node, "attempt": each.attempt, "at": each.at, **each.error}
            for each in letter.attempts
        ],
    }


def _text(fields: dict[str, Any]) -> str:
    """Return one job as people read it."""
    lines = [f"{fields['kind']} {fields['config']} {fields['status']}  {fields['id']}"]
    if fields["node"]:
        lines.append(f"node      {fields['node']}")
    lines += [
        f"{name.removesuffix('_at'):9} {ago(fields[name])}"
        for name in ("created_at", "started_at", "ended_at")
        if fields[name]
    ]
    if fields["job"] is not None:
        job = fields["job"]
        needs = ", ".join(f"{name} {value:g}" for name, value in job["needs"].items() if value)
        lines.append(f"needs     {needs}; at most {job['timeout_s']:g} s")
        if job["reason"]:
            lines.append(f"reason    {job['reason']}")
        lines.append(f"spec      {json.dumps(job['spec'], sort_keys=True)}")
    lines += [
        f"attempt {each['attempt']} on {each['node']}: {each['type']}: {each['message']}"
        for each in fields["failed_attempts"]
    ]
    if fields["numbers"]:
        lines.append(f"numbers   {json.dumps(fields['numbers'], sort_keys=True)}")
    if fields["error"]:
        lines.append(f"error     {fields['error']}")
    if fields["log"]:
        lines.append(f"log       {fields['log']}")
    return "\n".join(lines)
