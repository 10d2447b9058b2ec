"""`ringrift eval auto`: tournaments of the newest models, and alerts when they fall (`evaluation.md` 9)."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import OfBoard, OfConfig, OfPlayers, config_of
from ringrift.cli.shared_options import DryRun, Seed
from ringrift.core.errors import BusyError, UsageError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.evaluation.auto import Field
    from ringrift.evaluation.contenders import ModelRow
    from ringrift.evaluation.regressions import Finding
    from ringrift.evaluation.tournaments import Outcome, Tournament

log = get_logger(__name__)

FIELD, GAMES, DAEMON = "Field", "Games", "Daemon"
LOCK = "auto-tournament.lock"


def auto(
    daemon: Annotated[
        bool,
        typer.Option(
            "--daemon", help="Repeat until SIGTERM; one on a data root.", rich_help_panel=DAEMON
        ),
    ] = False,
    interval: Annotated[
        float,
        typer.Option(
            "--interval",
            min=1.0,
            metavar="SECONDS",
            help="Between two rounds of --daemon.",
            rich_help_panel=DAEMON,
        ),
    ] = 14400.0,
    once: Annotated[
        bool, typer.Option("--once", help="One round; the default.", rich_help_panel=DAEMON)
    ] = False,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    all_configs: Annotated[
        bool, typer.Option("--all-configs", help="All twelve.", rich_help_panel="Game")
    ] = False,
    top_n: Annotated[
        int,
        typer.Option("--top-n", min=1, metavar="N", help="Newest models.", rich_help_panel=FIELD),
    ] = 5,
    games: Annotated[
        int,
        typer.Option(
            "--games",
            min=1,
            metavar="N",
            help="Games of each pairing, in whole blocks.",
            rich_help_panel=GAMES,
        ),
    ] = 5,
    seed: Seed = 42,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Let the newest models meet champion and baselines; alert when one falls.

    Reads models, decisions and stored games; plays what is missing on open openings into
    data/games/games.db and writes the fit to data/ratings. Nothing is played within two hours of the
    last tournament, or when nobody is new; one that was begun goes on. Fixed opponents are
    evaluation.baseline_models. The alert elo_drop fires once when the champion lies 100 Elo or more
    below an earlier one with a likelihood of 0.95, or when the newest model surely scores below 0.60
    against heuristic, and is resolved when that is over.

    Exit code 75 while another --daemon runs here, 0 for a --daemon that was told to stop.

    Examples: ringrift eval auto --dry-run | ringrift eval auto --board hex8 --players 3 --json

    was: auto_elo_tournament.py
    """
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.core.settings.configurations import CONFIGURATIONS

    run = current()
    if daemon and once:
        raise UsageError("--daemon and --once contradict each other", where="--once")
    named = config_of(board, players, config_key)
    if all_configs and named is not None:
        raise UsageError("--all-configs and one configuration", where="--all-configs")
    configs = list(CONFIGURATIONS) if all_configs else [named or "square8_2p"]
    work = Rounds(run, top_n=top_n, games=games, seed=seed)
    if dry_run:
        told = [work.planned(config) for config in configs]
        run.out.result({"configurations": told, "dry_run": True}, human="\n".join(map(_line, told)))
        return
    run.paths(create=False)
    ready_for(run, wait=not no_wait, disk_gb=0.5)
    with ExitStack() as stack:
        if daemon:
            from ringrift.core.files import lock

            path = run.paths().coordination / LOCK
            stack.enter_context(lock(path, what="the daemon of tournaments"))
        stop = stack.enter_context(cooperative_stop())
        if daemon:
            work.repeat(configs, stop, interval)
            return
        told = work.round(configs, stop)
        run.out.result(
            {"configurations": told, "dry_run": False},
            human="\n".join(map(_line, told)),
            ok=not stop.requested,
        )
        if stop.requested:
            raise typer.Exit(stop.exit_code)


class Rounds:
    """Tournaments of configurations, one after the other; nothing is remembered in between."""

    def __init__(self, run: Invocation, *, top_n: int, games: int, seed: int) -> None:
        from ringrift.cli.eval.arena import source_of

        self._run = run
        self._top_n = top_n
        self._games = games
        self._seed = seed
        self._source = source_of(run)

    def planned(self, config: str) -> dict[str, Any]:
        """Return what a round would do for a configuration."""
        from ringrift.cli.eval.arena import look
        from ringrift.cli.eval.contending import looking
        from ringrift.evaluation.auto import why_not

        field, tournament, _ = self._field(config)
        if tournament is None:
            return self._told(config, field, skipped="nobody to meet")
        with looking(self._source.store) as store:
            found = look(tournament, self._source, store)
            return self._told(
                config, field, skipped=why_not(found, store, time.time()), outcome=found
            )

    def repeat(self, configs: Sequence[str], stop: Stop, interval_s: float) -> None:
        """Make rounds until told to stop."""
        while not stop.requested:
            try:
                for row in self.round(configs, stop):
                    self._run.out.line(row, human=_line(row))
            except BusyError as error:
                log.warning("a round is left out", reason=str(error))
            stop.wait(interval_s)

    def round(self, configs: Sequence[str], stop: Stop) -> list[dict[str, Any]]:
        """Play what is due and tell what the ratings say; alerts are delivered before it ends."""
        from ringrift.core.alert_sender import alerting

        settings = self._run.settings().values.alerting
        with alerting(self._run.paths(), settings):
            return [self._round(config, stop) for config in configs if not stop.requested]

    def _round(self, config: str, stop: Stop) -> dict[str, Any]:
        from ringrift.cli.eval.arena import arena, look
        from ringrift.cli.eval.contending import looking
        from ringrift.evaluation.auto import why_not

        field, tournament, models = self._field(config)
        if tournament is None:
            return self._told(config, field, skipped="nobody to meet")
        with looking(self._source.store) as store:
            found = look(tournament, self._source, store)
            skipped = why_not(found, store, time.time())
        if skipped is None:
            with arena(
                self._run, models, self._source, workers=None, stop=lambda: stop.requested
            ) as place:
                found = place.play(tournament)
        findings = self._findings(config, field, found)
        return self._told(config, field, skipped=skipped, outcome=found, findings=findings)

    def _findings(self, config: str, field: Field, found: Outcome) -> list[Finding]:
        from ringrift.core.alerts import alert, resolve
        from ringrift.evaluation.regressions import ALERT, regressions

        self._source.tree(config)  # the fit that other commands read
        findings = regressions(
            self._source.fit(config),
            champions=field.champions,
            newest=field.newest,
            run=found.tournament.id,
        )
        for finding in findings:
            if finding.fires:
                alert(ALERT, finding.subject, text=finding.text, values=finding.values)
            elif finding.fires is False:
                resolve(ALERT, finding.subject, text=finding.text, values=finding.values)
        return findings

    def _field(self, config: str) -> tuple[Field, Tournament | None, list[ModelRow]]:
        from ringrift.cli.eval.arena import champions_of, models_of
        from ringrift.cli.eval.contending import search_of
        from ringrift.evaluation.auto import field_of, tournament_of
        from ringrift.rules import BoardSpec, parse_config

        spec = BoardSpec.create(*parse_config(config))
        models = models_of(self._run, config)
        field = field_of(
            spec,
            models,
            champions_of(self._run, config),
            search=search_of(self._run, None),
            baselines=self._run.settings().values.evaluation.baseline_models,
            newest=self._top_n,
        )
        if len(field.agents) < 2:
            return field, None, models
        return field, tournament_of(field, spec, games=self._games, seed=self._seed), models

    def _told(
        self,
        config: str,
        field: Field,
        *,
        skipped: str | None,
        outcome: Outcome | None = None,
        findings: Sequence[Finding] = (),
    ) -> dict[str, Any]:
        return {
            "config": config,
            "agents": [agent.spec for agent in field.agents],
            "skipped": skipped,
            "tournament": None if outcome is None else outcome.as_tree(),
            "findings": [finding.as_tree() for finding in findings],
        }


def _line(row: dict[str, Any]) -> str:
    """Return what a round did for one configuration as a line, and a line for each alert."""
    from ringrift.evaluation.ratings.leaderboard import name_of

    found = row["tournament"]
    head = f"{row['config']}: {len(row['agents'])} agents"
    if found is not None:
        head += f", {found['games']:,} of at most {found['most_games']:,} games"
    if row["skipped"] is not None:
        head += f"; not due: {row['skipped']}"
    elif found is not None and found["complete"]:
        best = found["table"][0]
        head += f"; first is {name_of(best['spec'])}"
    return "\n".join([head, *(f"  {f['text']}" for f in row["findings"] if f["fires"])])


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("auto")(auto)
