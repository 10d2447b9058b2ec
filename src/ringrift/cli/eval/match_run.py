"""Plays a match, shows it, and keeps its folder."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ringrift.cli.eval.distributed import cluster_table
from ringrift.cli.eval.match_shown import SHOWN_DIGITS, LiveMatch, draw, show_result
from ringrift.cli.eval.tested_before import tests_of
from ringrift.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ringrift.cli.eval.match_plan import PlannedMatch
    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.evaluation.match_folder import MatchFolder
    from ringrift.evaluation.players import Players
    from ringrift.evaluation.ratings.pictures import PlotFormat
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.tally import Tally
    from ringrift.records.store import GameStore

KEPT_EVERY_S = 10.0


def is_finished(run: Invocation, wanted: PlannedMatch) -> bool:
    """Tell whether every game that the match needs is stored."""
    from ringrift.evaluation.matches import stored
    from ringrift.records.store import GameStore

    path = run.paths(create=False).game_store
    if not path.is_file():
        return False
    try:
        with GameStore.open(path) as store:
            return stored(wanted.plan, store).complete
    except DataError:  # a store not yet made, or one that the writer will name as damaged
        return False


def play_and_show(
    run: Invocation,
    wanted: PlannedMatch,
    output: Path | None,
    plot: PlotFormat | None,
    *,
    distributed: bool,
) -> MatchResult:
    """Play what is missing, draw it where `plot` says how, and print the result.

    `distributed` plays on the nodes of the cluster. Raises `typer.Exit` after a signal.
    """
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.evaluation.match_folder import MatchFolder, match_report
    from ringrift.evaluation.matches import MatchAborted, stored

    plan, paths = wanted.plan, run.paths()
    folder = MatchFolder.of(paths.runs, plan) if output is None else MatchFolder(output)
    if plan.games != wanted.asked_games:
        run.out.note(
            f"{wanted.asked_games} games are rounded up to {plan.games}: whole blocks of "
            f"{plan.players}"
        )
    place = _cluster(run, wanted) if distributed else _here(run, wanted)
    with place as (store, players), cooperative_stop() as stop:
        folder.begin(
            plan,
            {
                **run.settings().as_record(),
                "command": run.arguments,
                "workers": wanted.workers,
                "device": wanted.device.name,
            },
        )
        begun_s = time.monotonic()
        try:
            result, counted, played = _play(run, wanted, store, players, stop, folder)
        except MatchAborted as error:
            left = stored(plan, store).result(_title(wanted))
            folder.keep(match_report(plan, left, error=str(error)))
            folder.log("failed", games=left.games, error=str(error))
            raise
        seconds = time.monotonic() - begun_s
    report = match_report(plan, result, played=played, seconds=seconds)
    folder.keep(report)
    folder.log("ended", games=result.games, status=result.status, reason=result.reason)
    _tell_of_nodes(run, result)
    if plot is not None:
        draw(folder.path, result, counted, plot)
    tests = None if plan.test is None else tests_of(run, plan.spec.config)
    show_result(run.out, wanted, result, report, folder.path, tests)
    if not result.complete and stop.requested:
        raise typer.Exit(stop.exit_code)
    return result


def _tell_of_nodes(run: Invocation, result: MatchResult) -> None:
    """Alert where the machines of a match differ beyond chance, and end the alert where not."""
    from ringrift.core.alert_sender import alerting
    from ringrift.core.alerts import alert, resolve
    from ringrift.evaluation.worker_check import ALERT

    check = result.worker_check
    if check.p is None:
        return
    subject = f"match {result.plan[:SHOWN_DIGITS]}"
    with alerting(run.paths(), run.settings().values.alerting):
        if check.suspicious:
            values = {"run": result.plan, "node": check.worst, **check.as_tree()}
            alert(ALERT, subject, text=check.words, values=values)
        else:
            resolve(ALERT, subject, text=check.words)


def recount(run: Invocation, wanted: PlannedMatch, without: Sequence[str]) -> MatchResult:
    """Print what the stored games say without the blocks in which some nodes took part."""
    from ringrift.evaluation.match_folder import match_report
    from ringrift.evaluation.matches import stored
    from ringrift.records.store import GameStore

    with GameStore.open(run.paths(create=False).game_store) as store:
        result = stored(wanted.plan, store, without=without).result(_title(wanted))
    report = match_report(wanted.plan, result)
    show_result(run.out, wanted, result, {**report, "excluded": sorted(set(without))}, None, None)
    return result


@contextmanager
def _here(run: Invocation, wanted: PlannedMatch) -> Iterator[tuple[GameStore, Players]]:
    from ringrift.evaluation.players import MatchPlayers
    from ringrift.records.store import GameStore

    timeout_s = float(run.settings().values.tournament.game_timeout_seconds)
    with (
        GameStore.open(run.paths().game_store, writer=True) as store,
        MatchPlayers(
            wanted.files,
            workers=wanted.workers,
            game_timeout_s=timeout_s,
            device=wanted.device.name,
        ) as players,
    ):
        yield store, players


def _cluster(
    run: Invocation, wanted: PlannedMatch
) -> AbstractContextManager[tuple[GameStore, Players]]:
    playing = {agent.model_id for agent in wanted.plan.participants}
    files = {model: path for model, path in wanted.files.items() if model in playing}
    return cluster_table(run, files, device=wanted.device.name)


def _play(
    run: Invocation,
    wanted: PlannedMatch,
    store: GameStore,
    players: Players,
    stop: Stop,
    folder: MatchFolder,
) -> tuple[MatchResult, Tally, int]:
    """Play what is missing; return the result, what it counts, and how many games were played."""
    from ringrift.evaluation.match_folder import match_report
    from ringrift.evaluation.players import play_match

    looked_s = time.monotonic()
    at_first: int | None = None
    tally: Tally | None = None
    with run.out.progress() as progress:
        live = LiveMatch(progress, wanted.plan)

        def show(games: Tally) -> None:
            nonlocal looked_s, at_first, tally
            tally = games
            at_first = len(games.games) if at_first is None else at_first
            live.show(games)
            if games.counted and time.monotonic() - looked_s >= KEPT_EVERY_S:
                looked_s = time.monotonic()
                result = games.result(_title(wanted))
                folder.keep(match_report(wanted.plan, result))
                folder.log("look", games=result.games, score=result.score, reason=result.reason)

        result = play_match(
            wanted.plan,
            store,
            players,
            title=_title(wanted),
            on_progress=show,
            stop=lambda: stop.requested,
        )
        live.finish()
    assert tally is not None  # the stored games are shown before the first
    return result, tally, len(tally.games) - (at_first or 0)


def _title(wanted: PlannedMatch) -> str:
    return " vs ".join(agent.spec for agent in wanted.plan.participants)
