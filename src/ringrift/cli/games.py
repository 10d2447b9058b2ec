"""`ringrift games`: list, show, verify and export stored games (`selfplay.md` 6, 7)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_configurations, complete_models
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import Column
from ringrift.core.errors import BusyError, NegativeResult, UsageError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from ringrift.records import Analysis, GameRecord, GameStore
    from ringrift.records.store import Failure, VerifyReport

app = typer.Typer(add_completion=False, help="List, show, verify and export stored games.")

FILTERS = "Filters"

Db = Annotated[
    Path | None,
    typer.Option("--db", metavar="FILE", help="Game store [default: data/games/games.db]."),
]
ConfigKey = Annotated[
    str | None,
    typer.Option(
        "--config-key",
        metavar="KEY",
        help="Board and players, as square8_2p.",
        autocompletion=complete_configurations,
        rich_help_panel=FILTERS,
    ),
]
Run = Annotated[
    str | None, typer.Option("--run", metavar="ID", help="Run.", rich_help_panel=FILTERS)
]
Purpose = Annotated[
    str | None,
    typer.Option(
        "--purpose",
        metavar="NAME",
        help="selfplay, match, soak, human, import or reference.",
        rich_help_panel=FILTERS,
    ),
]
Reason = Annotated[
    str | None,
    typer.Option(
        "--reason", metavar="NAME", help="How it ended, as lps_rounds.", rich_help_panel=FILTERS
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="ID",
        help="Model that played.",
        autocompletion=complete_models,
        rich_help_panel=FILTERS,
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        metavar="TIME",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
        help="Stored since then (UTC), as 2026-01-31 or 2026-01-31T12:00:00.",
        rich_help_panel=FILTERS,
    ),
]


@app.command("list")
def list_games(
    db: Db = None,
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows.")] = 50,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="What was refused, and why.")
    ] = False,
) -> None:
    """List stored games, newest first.

    Reads the game store; changes nothing.

    Examples: ringrift games list --purpose match --limit 10 |
    ringrift games list --quarantined --json
    """
    invocation = current()
    with _store(invocation, db) as store:
        if quarantined:
            rows = store.quarantined(limit)
            _show_quarantine(invocation, rows)
            return
        rows = store.rows(
            _config(config_key),
            run=run,
            purpose=_purpose(purpose),
            reason=reason,
            model=model,
            since=_seconds(since),
            limit=limit,
        )
        total = store.count()
    columns = [
        Column("game"),
        Column("configuration"),
        Column("plies", number=True),
        Column("winner", number=True),
        Column("reason"),
        Column("purpose"),
        Column("split"),
        Column("agents"),
        Column("played (UTC)"),
    ]
    table = invocation.out.table(
        columns,
        [
            [
                row["id"][:12],
                row["config"],
                row["plies"],
                row["winner"] or "none",
                row["reason"],
                row["purpose"],
                row["split"],
                ", ".join(row["agents"]),
                _stamp(row["played_at"]),
            ]
            for row in rows
        ],
        title=f"{len(rows):,} of {total:,} games",
    )
    shown = [
        {**row, "played_at": _stamp(row["played_at"]), "ingested_at": _stamp(row["ingested_at"])}
        for row in rows
    ]
    invocation.out.result({"games": shown, "total": total}, human=table)


@app.command("show")
def show(
    game: Annotated[str, typer.Argument(metavar="ID", help="Id, or its first 6 digits or more.")],
    db: Db = None,
    ply: Annotated[
        int | None,
        typer.Option("--ply", min=0, help="Position before this ply [default: the end]."),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write the drawing to FILE.")
    ] = None,
) -> None:
    """Show a game: the board, its moves, and what the search found at a ply.

    Reads the game store; with --svg writes the drawing, nothing else.

    Examples: ringrift games show 4112f6 | ringrift games show 4112f6 --ply 20 --svg board.svg
    """
    from ringrift.records import Replayer

    invocation = current()
    with _store(invocation, db) as store:
        identity = store.find(game)
        found = store.get(identity)
    if found is None:
        raise UsageError(f"no game {game!r}", where="ID")
    record, analysis = found
    plies = len(record.moves)
    at = plies if ply is None else ply
    if at > plies:
        raise UsageError(f"ply is {ply}; expected 0 to {plies}", where="--ply")
    texts = Replayer(record.spec, record.start, record.moves).texts()
    replayer = Replayer(record.spec, record.start, record.moves)
    replayer.advance(at)
    position = replayer.position
    searched = _searched(analysis, position, at)
    if svg is not None:
        write_atomic(svg, position.svg().encode())
    agents = [agent.spec for agent in record.agents]
    result = record.result
    ended = f"{result.end}: winner {result.winner or 'none'} by {result.reason} after {plies} plies"
    fields = {
        "id": identity,
        "configuration": record.spec.config,
        "seed": record.seed,
        "agents": agents,
        "purpose": record.meta.purpose,
        "run": record.meta.run,
        "result": {
            "end": result.end,
            "winner": result.winner,
            "reason": result.reason,
            "ranks": list(result.ranks),
            "plies": plies,
        },
        "ply": at,
        "position": str(position),
        "moves": texts,
        "search": searched,
        "svg": None if svg is None else str(svg),
    }
    text = "\n".join(
        [
            f"game {identity}",
            f"{record.spec.config}, {' against '.join(agents)}, seed {record.seed}",
            ended,
            "",
            position.text(),
            "",
            f"ply {at} of {plies}",
            _move_list(texts, at),
        ]
    )
    table = None if searched is None else _search_table(invocation, searched)

    def human(console: Any) -> None:
        console.print(text, soft_wrap=True)
        if table is not None:
            console.print(table)

    invocation.out.result(fields, human=human)


@app.command("verify")
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
            invocation, db, config=_config(config_key), run=run, purpose=_purpose(purpose)
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


@app.command("export")
def export(
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="File to write.")],
    db: Db = None,
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Newest games only.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the games, write nothing.")
    ] = False,
) -> None:
    """Write stored games and their analyses as JSON lines, oldest first.

    Reads the game store; writes FILE whole or not at all.

    Exit code 1 when no game fits.

    Examples: ringrift games export --output games.jsonl |
    ringrift games export --output matches.jsonl --purpose match --json
    """
    from ringrift.records.jsonl import write_jsonl

    invocation = current()
    if output.is_dir():
        raise UsageError(f"{output} is a folder", where="--output", hint=f"{output}/games.jsonl")
    with _store(invocation, db) as store:
        rows = store.rows(
            _config(config_key),
            run=run,
            purpose=_purpose(purpose),
            reason=reason,
            model=model,
            since=_seconds(since),
            limit=limit,
        )
        ids = [row["id"] for row in reversed(rows)]
        if not ids:
            raise NegativeResult("no stored game fits", where=str(store.path))
        if not dry_run:
            output.parent.mkdir(parents=True, exist_ok=True)
            with invocation.out.progress() as progress:
                task = progress.task("writing", total=len(ids), unit="games")

                def games() -> Iterator[tuple[GameRecord, list[Analysis]]]:
                    for identity in ids:
                        found = store.get(identity)
                        if found is not None:
                            yield found[0], store.analyses(identity)
                        task.advance()

                write_jsonl(output, games())
                task.finish()
    verb = "would write" if dry_run else "wrote"
    invocation.out.result(
        {"games": len(ids), "output": str(output), "dry_run": dry_run},
        human=f"{verb} {len(ids):,} games to {output}",
    )


# --- parts


def _store(invocation: Invocation, db: Path | None, *, writer: bool = False) -> GameStore:
    from ringrift.records import GameStore

    path = db if db is not None else invocation.paths(create=False).games / "games.db"
    if not path.is_file():
        raise UsageError(f"no game store {path}", where="--db", hint="--db FILE or --root DIR")
    return GameStore.open(path, writer=writer)


def _config(key: str | None) -> str | None:
    from ringrift.rules import parse_config

    if key is None:
        return None
    board, players = parse_config(key)
    return f"{board}_{players}p"


def _purpose(name: str | None) -> str | None:
    from ringrift.records.record import PURPOSES

    if name is not None and name not in PURPOSES:
        raise UsageError(f"unknown purpose {name!r}", where="--purpose", hint=", ".join(PURPOSES))
    return name


def _seconds(since: datetime | None) -> float | None:
    return None if since is None else since.replace(tzinfo=UTC).timestamp()


def _stamp(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _show_quarantine(invocation: Invocation, rows: list[dict[str, Any]]) -> None:
    columns = [
        Column("id"),
        Column("reason"),
        Column("ply", number=True),
        Column("detail"),
        Column("source"),
    ]
    table = invocation.out.table(
        columns,
        [[row["id"][:12], row["reason"], row["ply"], row["detail"], row["source"]] for row in rows],
        title=f"{len(rows):,} refused games",
    )
    shown = [{**row, "at": _stamp(row["at"])} for row in rows]
    invocation.out.result({"quarantined": shown}, human=table)


def _move_list(texts: list[str], at: int) -> str:
    """Return the moves ten to a line, the next one in brackets."""
    shown = [f"[{text}]" if ply == at else text for ply, text in enumerate(texts)]
    return "\n".join(
        f"{first:>4}  {'; '.join(shown[first : first + 10])}" for first in range(0, len(shown), 10)
    )


def _searched(analysis: Analysis | None, position: Any, at: int) -> dict[str, Any] | None:
    from ringrift.records.record import POLICY_TOTAL

    found = next((p for p in analysis.plies if p.ply == at), None) if analysis else None
    if found is None:
        return None
    best = sorted(found.policy.items(), key=lambda entry: -entry[1])
    return {
        "kind": found.kind,
        "sims": found.sims,
        "value": list(found.value),
        "root_value": list(found.root_value),
        "policy": {position.move_text(move): count / POLICY_TOTAL for move, count in best},
    }


def _search_table(invocation: Invocation, searched: dict[str, Any]) -> RenderableType:
    entries = list(searched["policy"].items())[:10]
    value = ", ".join(f"{v:+.3f}" for v in searched["root_value"])
    return invocation.out.table(
        [Column("move"), Column("share %", number=True)],
        [[text, f"{100 * share:.1f}"] for text, share in entries],
        title=f"{searched['kind']} search of {searched['sims']} simulations, value {value}",
    )


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
    with _store(invocation, db) as store, invocation.out.progress() as progress:
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
            with _store(invocation, db, writer=True) as store:
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
