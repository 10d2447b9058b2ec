"""`ringrift selfplay canonical`: games that pass every check (`selfplay.md` 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.selfplay.execute import finish, make_ready, play
from ringrift.cli.selfplay.hosts import check_hosts
from ringrift.cli.selfplay.plan_shown import show_plan
from ringrift.cli.selfplay.resolve import resolve, store_path, with_profile
from ringrift.core.errors import NegativeResult

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.selfplay.options import Options
    from ringrift.cli.selfplay.presets import Preset
    from ringrift.core.interrupt import Stop
    from ringrift.records.canonical import CanonicalReport
    from ringrift.rules import BoardSpec


def perform(preset: Preset, given: Options) -> None:
    """Play, check everything that section 8 names, and print the summary."""
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.records.archiving import archive_store
    from ringrift.selfplay.run_folder import write_json

    invocation = current()
    given = with_profile(given)
    check_hosts(given, invocation)
    settings = invocation.settings().values
    run = resolve(preset, given, invocation, settings)
    if given.dry_run:
        show_plan(preset, given, run, invocation)
        return
    make_ready(given, run, invocation, settings)
    store = store_path(given, invocation)
    with cooperative_stop() as stop:
        if given.reset_db and not given.resume and (aside := archive_store(store)) is not None:
            invocation.out.note(f"the store so far is {aside}")
        outcome = play(preset, given, run, invocation, settings, stop)
        if outcome.busy is not None or not outcome.complete or outcome.failed is not None:
            finish(given, invocation, outcome, stop)
            return
        if given.analysis_dir is not None and not given.skip_analyses:
            given.analysis_dir.mkdir(parents=True, exist_ok=True)
            write_json(given.analysis_dir / f"{run.plan.config}.json", outcome.summary)
        report = _check(given, invocation, run.plan.spec, run.games, stop)
    fields = report.as_json()
    if given.summary is not None:
        given.summary.parent.mkdir(parents=True, exist_ok=True)
        write_json(given.summary, fields)
    invocation.out.result(fields, ok=report.canonical_ok, human=lambda c: _print(c, report))
    if stop.requested:
        raise typer.Exit(stop.exit_code)
    if not report.canonical_ok:
        raise typer.Exit(NegativeResult.exit_code)


def _check(
    given: Options, invocation: Invocation, spec: BoardSpec, games: int, stop: Stop
) -> CanonicalReport:
    from ringrift.records.canonical import check_canonical

    with invocation.out.progress() as progress:
        task = progress.task("checking", unit="games")

        def show(stage: str, done: int, total: int | None) -> None:
            task.update(done, name=f"checking ({stage})", total=total)

        report = check_canonical(
            store_path(given, invocation),
            spec.config,
            games_requested=games,
            spec=spec,
            parity_limit=given.parity_limit_games_per_db,
            parity_timeout_s=given.parity_timeout_seconds,
            on_progress=show,
            stop=lambda: stop.requested,
        )
        task.finish()
    return report


def _print(console: Console, report: CanonicalReport) -> None:
    gate: dict[str, Any] = report.parity_gate
    history = report.canonical_history
    rows = [
        ("games", f"{report.db_stats['games_total']:,}, {report.db_stats['games_completed']:,} completed"),
        ("moves", f"{report.db_stats['moves_total']:,}"),
        ("verified on both engines", f"{gate['verified']['games']:,} games"),
        ("recorded games replayed", f"{gate['corpora']['games']:,}"),
        ("parity", _word(gate["passed"])),
        ("rule options", _word(report.canonical_config["ok"])),
        ("history", f"{history['games_checked']:,} games, {history['non_canonical_games']:,} not canonical"),
        ("elimination and territory positions", _word(report.fe_territory_fixtures_ok)),
        ("a move for every active player", _word(report.anm_ok)),
        ("canonical", _word(report.canonical_ok)),
    ]  # fmt: skip
    out = current().out
    title = f"{report.board_type}_{report.num_players}p, {report.db_path}"
    console.print(out.table([Column("check"), Column("found")], rows, title=title))
    for problem in report.problems:
        console.print(problem, soft_wrap=True, markup=False)


def _word(ok: bool) -> str:
    return "ok" if ok else "not ok"
