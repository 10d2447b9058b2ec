"""`ringrift engine`: check, count and draw with the rules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.invocation import current
from ringrift.cli.lists import expand_paths
from ringrift.cli.output import Column
from ringrift.cli.shared_options import Board, ConfigKey, Players
from ringrift.core.errors import DataError, NegativeResult, UsageError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from ringrift.records.parity import Report

app = typer.Typer(add_completion=False, help="Check, count and draw with the rules.")

RuleOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="K=V",
        help="Rule option: rings_per_player, lps_rounds, swap_rule, base_line_length.",
        rich_help_panel="Game",
    ),
]


def chosen_spec(config_key: str | None, board: str, players: int, options: list[str] | None) -> Any:
    """Return the `BoardSpec` that the common options name."""
    from ringrift.rules import BoardSpec, parse_config

    if config_key is not None:
        board, players = parse_config(config_key)
    values: dict[str, Any] = {}
    known = ("rings_per_player", "lps_rounds", "swap_rule", "base_line_length")
    for text in options or []:
        name, separator, value = text.partition("=")
        if not separator or name not in known:
            raise UsageError(
                f"unknown rule option {text!r}", where="--option", hint=", ".join(known)
            )
        if name == "swap_rule":
            if value not in ("true", "false"):
                raise UsageError(
                    f"swap_rule is {value!r}; expected true or false", where="--option"
                )
            values[name] = value == "true"
        elif not value.isdigit():
            raise UsageError(f"{name} is {value!r}; expected a whole number", where="--option")
        else:
            values[name] = int(value)
    return BoardSpec.create(board, players, **values)


@app.command("parity")
def parity(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files or folders of recorded games."),
    ] = None,
    engine: Annotated[
        Literal["compiled", "plain"],
        typer.Option("--engine", help="Compiled rules, or the same source as plain Python."),
    ] = "compiled",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes [default: one per core].")
    ] = None,
    differences: Annotated[
        int, typer.Option("--differences", min=1, help="Stop after that many differences.")
    ] = 10,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Games per file [default: all].")
    ] = None,
) -> None:
    """Replay recorded games of the reference engine, compare every ply.

    Reads games in the reference's trace format (.jsonl, .jsonl.gz); without PATH the packaged
    selection. Compares phase, mover, legal set, state, border list, counters and result. Games on
    shrunken hexagonal boards are counted as skipped, nothing else is. Changes nothing.

    Exit code 1 on a difference or when no game was checked, 6 for a damaged file.

    Examples: ringrift engine parity | ringrift engine parity traces/ --workers 2 --json

    was: check_ts_python_replay_parity.py
    """
    from ringrift.records import parity as checker
    from ringrift.records.traces import packaged_traces, trace_files

    run = current()
    files = trace_files(expand_paths(paths, what="PATH")) if paths else packaged_traces()
    with run.out.progress() as progress:
        task = progress.task("replaying", unit="games")

        def show(report: Report) -> None:
            task.update(report.games, name=f"replaying ({report.plies:,} plies)")

        report = checker.check(
            files,
            engine=engine,
            workers=workers,
            stop_after=differences,
            limit=limit,
            on_progress=show,
        )
        task.finish()
    shown = report.differences[:differences]
    ok = not report.differences and report.games > 0
    lines = [str(difference) for difference in shown]
    lines.append(
        f"{report.games:,} games, {report.plies:,} plies, {len(report.differences)} differences, "
        f"{report.skipped} skipped (shrunken hexagonal boards), engine {engine}, "
        f"{report.seconds:.1f} s"
    )
    run.out.result(
        {
            "games": report.games,
            "plies": report.plies,
            "skipped": report.skipped,
            "engine": engine,
            "seconds": report.seconds,
            "differences": [difference.as_json() for difference in shown],
            "moves": dict(report.kinds.most_common()),
            "ends": dict(report.ends.most_common()),
        },
        human="\n".join(lines),
        ok=ok,
    )
    if not ok:
        raise typer.Exit(NegativeResult.exit_code)


@app.command("perft")
def perft(
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    depth: Annotated[int, typer.Option("--depth", min=0, max=12, help="Plies.")] = 5,
    option: RuleOptions = None,
) -> None:
    """Count the move sequences from the start position, per depth.

    Reads and writes nothing; the counts are compared with other implementations of the rules.

    Examples: ringrift engine perft --config-key hex8_3p --depth 5 |
    ringrift engine perft --board square8 --option swap_rule=false --depth 3 --json
    """
    from ringrift.rules import Position
    from ringrift.rules.perft import perft as count

    run = current()
    spec = chosen_spec(config_key, board, players, option)
    counts = []
    with run.out.progress() as progress:
        task = progress.task("counting", total=depth + 1, unit="depths")
        for plies in range(depth + 1):
            counts.append(count(Position.of(spec), plies))
            task.advance()
        task.finish()
    table = run.out.table(
        [Column("plies", number=True), Column("sequences", number=True)],
        list(enumerate(counts)),
        title=spec.config,
    )
    run.out.result({"configuration": spec.config, "counts": counts}, human=table)


@app.command("show")
def show(
    position: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT|FILE|-]", help="Canonical state; the start without it."),
    ] = None,
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    moves: Annotated[
        str | None, typer.Option("--moves", metavar="M;M;...", help="Moves to play first.")
    ] = None,
    form: Annotated[
        Literal["text", "svg", "state"], typer.Option("--format", help="Drawing, or the state.")
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="File to write to.")
    ] = None,
    option: RuleOptions = None,
) -> None:
    """Draw the position of a canonical state text.

    Reads the text itself, a file holding it, or standard input (-). Writes to FILE or prints.

    Exit code 6 for a text that is no state.

    Examples: ringrift engine show --config-key hex8_3p |
    ringrift engine show --moves "P 3,3 2;M 3,3 3,6" --format svg --output position.svg
    """
    from ringrift.cli.output import wants_color
    from ringrift.rules import Position

    run = current()
    spec = chosen_spec(config_key, board, players, option)
    shown = Position.of(spec)
    if position is not None:
        shown = Position.parse(_read_text(position), spec=spec)
    for text in (moves or "").split(";"):
        if text.strip():
            shown.play(text.strip())
    color = output is None and wants_color(run.options.color, sys.stdout)
    drawings = {
        "text": lambda: shown.text(color=color),
        "svg": shown.svg,
        "state": lambda: str(shown),
    }
    drawn: str = drawings[form]()
    if output is not None:
        write_atomic(output, (drawn.rstrip("\n") + "\n").encode())
    legal = shown.legal_packed()
    run.out.result(
        {
            "configuration": spec.config,
            "state": str(shown),
            "fingerprint": shown.fingerprint,
            "legal_moves": len(legal),
            "output": str(output) if output else None,
            "drawing": drawn if output is None and form != "state" else None,
        },
        human=f"wrote {output}" if output else drawn.rstrip("\n"),
    )


def _read_text(source: str) -> str:
    """Return the state text that an argument is, names or pipes in."""
    if source == "-":
        return sys.stdin.read().strip()
    if source.startswith("ph="):
        return source
    path = Path(source)
    if not path.is_file():
        raise DataError(
            f"neither a state text nor a file: {source!r:.60}", hint="a text beginning with ph="
        )
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as text: {error}", where=source) from None
