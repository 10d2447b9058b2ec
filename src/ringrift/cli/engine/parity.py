"""`ringrift engine parity`: compare our engines with recorded games (`selfplay.md` 7)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.invocation import Invocation, current
from ringrift.cli.lists import expand_paths, list_command
from ringrift.core.errors import NegativeResult, SettingsError, UsageError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from ringrift.records.parity import GameCheck, Report
    from ringrift.records.parity.sources import Selection, Sources

SELECTION, EVIDENCE = "Selection", "Evidence"
VALIDATION, DUMP_DIR = "RINGRIFT_PARITY_VALIDATION", "RINGRIFT_PARITY_DUMP_DIR"
SHOWN = 20


def parity(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files or folders of recorded games."),
    ] = None,
    corpus: Annotated[
        list[Path] | None,
        typer.Option("--corpus", metavar="DIR|FILE", help="The same as PATH."),
    ] = None,
    db: Annotated[
        list[Path] | None, typer.Option("--db", metavar="FILE", help="Game store or GameReplayDB.")
    ] = None,
    scenario: Annotated[
        list[Path] | None,
        typer.Option("--scenario", metavar="FILE", help="One game, scenario or fixture as JSON."),
    ] = None,
    mode: Annotated[
        Literal["canonical", "legacy"],
        typer.Option("--mode", help="Missing bookkeeping plies: an error, or inserted."),
    ] = "canonical",
    canonical: Annotated[
        bool, typer.Option("--canonical", help="The same as --mode canonical.")
    ] = False,
    view: Annotated[
        Literal["post_move", "post_bridge"],
        typer.Option("--view", help="Compare after each ply, or after the bookkeeping plies too."),
    ] = "post_move",
    engines: Annotated[
        str, typer.Option("--engines", metavar="NAMES", help="Of ours: compiled, plain.")
    ] = "compiled,plain",
    limit: Annotated[
        int,
        typer.Option(
            "--limit-games-per-db",
            min=0,
            help="Games of each file or store; 0 = all.",
            rich_help_panel=SELECTION,
        ),
    ] = 0,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include-game-id",
            metavar="ID",
            help="Only these games: FILE:LINE without endings, or a stored id.",
            rich_help_panel=SELECTION,
        ),
    ] = None,
    include_file: Annotated[
        Path | None,
        typer.Option(
            "--include-game-ids-file",
            metavar="FILE",
            help="The same, one a line.",
            rich_help_panel=SELECTION,
        ),
    ] = None,
    trace_game: Annotated[
        str | None,
        typer.Option(
            "--trace-game",
            metavar="ID",
            help="Print each ply of this game side by side.",
            rich_help_panel=EVIDENCE,
        ),
    ] = None,
    trace_max: Annotated[
        int,
        typer.Option(
            "--trace-max-k", min=0, help="Plies to print; 0 = all.", rich_help_panel=EVIDENCE
        ),
    ] = 0,
    fixtures: Annotated[
        Path | None,
        typer.Option(
            "--emit-fixtures-dir",
            metavar="DIR",
            help=f"Write each failing game as a scenario [default: {DUMP_DIR}].",
            rich_help_panel=EVIDENCE,
        ),
    ] = None,
    bundles: Annotated[
        Path | None,
        typer.Option(
            "--emit-state-bundles-dir",
            metavar="DIR",
            help="Write the states before and at each divergence.",
            rich_help_panel=EVIDENCE,
        ),
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="One short line per failing game.")
    ] = False,
    progress_every: Annotated[
        int, typer.Option("--progress-every", min=1, help="Games between two progress lines.")
    ] = 250,
    summary: Annotated[
        Path | None,
        typer.Option("--summary-json", metavar="FILE", help="Write the result there too."),
    ] = None,
    fail: Annotated[
        bool | None,
        typer.Option(
            "--fail-on-divergence/--no-fail",
            help=f"Exit 1 where the gate does not pass, or only report [default: fail, unless "
            f"{VALIDATION} is warn or off].",
        ),
    ] = None,
    stop_after: Annotated[
        int, typer.Option("--stop-after", min=0, help="Stop once so many games failed; 0 = never.")
    ] = 0,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes [default: one per core].")
    ] = None,
) -> None:
    """Replay recorded games on our engines and compare every ply.

    Reads recorded games of the reference engine (.jsonl, .jsonl.gz; without any source the packaged
    ones), game stores and scenarios. Compared is what they hold: phase, player, legal set, state,
    border list, counters, verdicts, hashes, result; the rest is replayed. The gate passes if games were
    checked and none is damaged, lacks a bookkeeping ply or differs. A game that its host ended at
    the first ply with a verdict is listed and does not fail. Games on shrunken hexagonal boards are
    skipped. With -v each game is printed. Writes only what the options name.

    Exit code 1 if the gate does not pass or no game was checked, 6 for a file that cannot be read.

    Examples: ringrift engine parity --canonical --verbose |
    ringrift engine parity traces/ --engines compiled --summary-json parity.json

    was: check_ts_python_replay_parity.py
    """
    from ringrift.records.parity.sources import Selection

    if canonical and mode == "legacy":
        raise UsageError("--canonical and --mode legacy exclude each other", where="--mode")
    run = current()
    sources = _sources(paths, corpus, db, scenario)
    names = _engines(engines)
    selection = Selection(limit_per_file=limit, ids=_ids(include, include_file, trace_game))
    strict = _fails() if fail is None else fail
    checked = _check(
        run,
        sources,
        selection,
        engines=names[:1] if trace_game else names,
        options={"mode": mode, "view": view, "trace_plies": trace_max if trace_game else None},
        workers=workers,
        stop_after=stop_after or None,
        progress_every=progress_every,
        keep_all=trace_game is not None,
        compact=compact,
    )
    written = _emit(checked.report, sources, selection, fixtures or _dump_dir(), bundles)
    ok = checked.report.passed or not strict
    _print(
        run, checked, mode=mode, view=view, written=written, compact=compact, summary=summary, ok=ok
    )
    if not ok:
        raise typer.Exit(NegativeResult.exit_code)


class _Checked:
    """A report, and the results of single games where they are printed."""

    def __init__(self, report: Report, traced: list[GameCheck], engines: list[str]) -> None:
        self.report = report
        self.traced = traced
        self.engines = engines


def _sources(
    paths: list[Path] | None,
    corpus: list[Path] | None,
    db: list[Path] | None,
    scenario: list[Path] | None,
) -> Sources:
    from ringrift.records.parity.sources import Sources
    from ringrift.records.traces import packaged_traces, trace_files

    named = expand_paths([*(paths or []), *(corpus or [])], what="PATH")
    if not named and not db and not scenario:
        return Sources(corpora=packaged_traces())
    return Sources(
        corpora=trace_files(named),
        stores=expand_paths(db or [], what="--db"),
        scenarios=expand_paths(scenario or [], what="--scenario"),
    )


def _engines(text: str) -> list[str]:
    from ringrift.records.parity import ENGINES

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in ENGINES:
            raise UsageError(f"unknown engine {name!r}", where="--engines", hint=", ".join(ENGINES))
    if not names:
        raise UsageError("no engine is named", where="--engines", hint=", ".join(ENGINES))
    return list(dict.fromkeys(names))


def _ids(include: list[str] | None, file: Path | None, traced: str | None) -> frozenset[str]:
    from ringrift.records.parity.sources import read_ids

    if traced is not None:
        return frozenset({traced})
    return frozenset([*(include or []), *(read_ids(file) if file else [])])


def _fails() -> bool:
    """Tell what the environment says about failing; raises `SettingsError` for another word."""
    word = os.environ.get(VALIDATION, "").strip().lower()
    if word not in ("", "off", "warn", "strict"):
        raise SettingsError(
            f"found {word!r}; expected off, warn or strict", where=f"environment {VALIDATION}"
        )
    return word in ("", "strict")


def _dump_dir() -> Path | None:
    text = os.environ.get(DUMP_DIR, "").strip()
    return Path(text) if text else None


def _check(
    run: Invocation,
    sources: Sources,
    selection: Selection,
    *,
    engines: list[str],
    options: dict[str, Any],
    workers: int | None,
    stop_after: int | None,
    progress_every: int,
    keep_all: bool,
    compact: bool,
) -> _Checked:
    from ringrift.records.parity import Options, check_engines

    traced: list[GameCheck] = []
    with run.out.progress() as progress:
        task = progress.task("replaying", unit="games")

        def show(report: Report, game: GameCheck) -> None:
            done = sum(report.by_engine.values())
            task.update(done, name=f"replaying on {game.engine} ({report.plies:,} plies)")
            if done % progress_every == 0:
                run.out.note(f"{done:,} games, {report.plies:,} plies, {game.engine}")
            if run.options.verbose and not run.out.as_json:
                progress.note(
                    game.compact() if compact else f"{game.game} {game.engine}: {_verdict(game)}"
                )
            if keep_all:
                traced.append(game)

        report = check_engines(
            lambda: sources.items(selection),
            engines,
            options=Options(**options),
            workers=workers,
            stop_after=stop_after,
            on_game=show,
        )
        task.finish()
    return _Checked(report, traced, engines)


def _verdict(game: GameCheck) -> str:
    return f"{game.plies} plies agree" if game.ok and game.diverged_at is None else "differs"


def _emit(
    report: Report,
    sources: Sources,
    selection: Selection,
    fixtures: Path | None,
    bundles: Path | None,
) -> list[str]:
    """Write the evidence that is asked for; return the files."""
    from ringrift.records.parity import write_bundle, write_fixture
    from ringrift.records.parity.sources import as_recorded

    if not report.failures or (fixtures is None and bundles is None):
        return []
    written = [str(write_bundle(bundles, found)) for found in report.failures if bundles]
    if fixtures is not None:
        failed: dict[tuple[str, str], list[GameCheck]] = {}
        for found in report.failures:
            failed.setdefault((found.file, found.game), []).append(found)
        for item in sources.items(selection):
            game = as_recorded(item) if (item.file, item.id) in failed else None
            if game is not None:
                written += [
                    str(write_fixture(fixtures, found, game))
                    for found in failed[item.file, item.id]
                ]
    return written


def _print(
    run: Invocation,
    checked: _Checked,
    *,
    mode: str,
    view: str,
    written: list[str],
    compact: bool,
    summary: Path | None,
    ok: bool,
) -> None:
    report = checked.report
    fields = {
        "games": report.games,
        "plies": report.plies,
        "skipped": report.skipped,
        "engines": checked.engines,
        "mode": mode,
        "view": view,
        "structural": report.structural,
        "non_canonical": report.non_canonical,
        "divergences": report.divergences,
        "end_of_game_only": report.end_of_game_only,
        "inserted": report.inserted,
        "passed": report.passed,
        "seconds": report.seconds,
        "failures": [failure.as_json() for failure in report.failures],
        "trace": [
            {"ply": ply, "what": what, "recorded": recorded, "ours": ours}
            for game in checked.traced
            for ply, what, recorded, ours in game.rows
        ],
        "written": written,
        "moves": dict(report.moves.most_common()),
        "ends": dict(report.ends.most_common()),
    }
    if summary is not None:
        write_atomic(summary, (json.dumps(fields, indent=1) + "\n").encode())
    lines = [
        f"{ply:>5}  {'same' if recorded == ours else 'DIFF'}  {what}: {recorded} | {ours}"
        for game in checked.traced
        for ply, what, recorded, ours in game.rows
    ]
    shown = report.failures if compact else report.failures[:SHOWN]
    lines += [found.compact() if compact else str(found) for found in shown]
    if len(report.failures) > len(shown):
        lines.append(f"... {len(report.failures)} in all; --summary-json has them")
    lines.append(
        f"{report.games:,} games, {report.plies:,} plies on {', '.join(checked.engines)}: "
        f"{report.structural} damaged, {report.non_canonical} not canonical, "
        f"{report.divergences} divergences, {report.end_of_game_only} at the end only, "
        f"{report.skipped} skipped, {report.seconds:.1f} s"
    )
    if not report.games:
        lines.append("no games checked")
    run.out.result(fields, human="\n".join(lines), ok=ok)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("parity", cls=list_command("--corpus", "--db", "--scenario"))(parity)
