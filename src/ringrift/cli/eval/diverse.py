"""`ringrift eval diverse`: one tournament for each configuration (`evaluation.md` 9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.eval.distributed import Distributed, need_bus
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun, Seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.evaluation.contenders import ModelRow
    from ringrift.evaluation.diverse import Entry
    from ringrift.rules import BoardSpec

SUMMARY = "diverse.json"
HOUR_S = 3600.0


def diverse(
    board_types: Annotated[
        list[str] | None,
        typer.Option(
            "--board-types",
            metavar="BOARD ...",
            help="Boards [default: all four].",
            rich_help_panel="Game",
        ),
    ] = None,
    player_counts: Annotated[
        list[str] | None,
        typer.Option(
            "--player-counts",
            metavar="N ...",
            help="Players [default: 2 3 4].",
            rich_help_panel="Game",
        ),
    ] = None,
    games_per_config: Annotated[
        int | None,
        typer.Option(
            "--games-per-config",
            min=1,
            metavar="N",
            help="Games of each configuration [default: 30 to 200 by board and players].",
            rich_help_panel="Game",
        ),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            metavar="DIR",
            help="Reports [default: data/tournaments].",
            rich_help_panel="Output",
        ),
    ] = None,
    interval_hours: Annotated[
        float | None,
        typer.Option("--interval-hours", min=0.01, metavar="H", help="Repeat until SIGTERM."),
    ] = None,
    seed: Seed = 42,
    no_wait: NoWait = False,
    distributed: Distributed = False,
    dry_run: DryRun = False,
) -> None:
    """Play one tournament for each configuration and table them all.

    Each field is the champion, the two before it, heuristic, mcts_100 and the level of the ladder
    nearest to the champion, as far as there are such. Reads models, decisions and stored games; plays
    what is missing on open openings into data/games/games.db and writes a report for each
    configuration and diverse.json over all. The same line goes on after a stop; where nobody is new
    nothing is played, another sample needs another --seed. Times are those of games stored before.

    Exit code 0 for --interval-hours that was told to stop, 3 for --distributed where no
    loop runs on the data root.

    Examples: ringrift eval diverse --dry-run |
    ringrift eval diverse --board-types square8 hex8 --player-counts 2 --games-per-config 40

    was: run_diverse_tournaments.py
    """
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.core.settings.configurations import BOARDS
    from ringrift.evaluation.diverse import configurations

    run = current()
    need_bus(run, distributed)
    specs = configurations(_words(board_types) or BOARDS, _numbers(player_counts))
    work = Diverse(run, specs, games=games_per_config, seed=seed, distributed=distributed)
    if dry_run:
        _show(run, work.planned(), dry_run=True)
        return
    paths = run.paths(create=False)
    ready_for(run, wait=not no_wait, cpu=not distributed, disk_gb=0.5)
    folder = output_dir or paths.tournaments
    with cooperative_stop() as stop:
        while True:
            rows = work.play(folder, stop)
            if interval_hours is None:
                _show(run, rows, dry_run=False, ok=not stop.requested)
                break
            run.out.line({"configurations": rows}, human=f"{len(rows)} configurations")
            if stop.wait(interval_hours * HOUR_S):
                return
        if stop.requested:
            raise typer.Exit(stop.exit_code)


def _words(given: Sequence[str] | None) -> list[str]:
    return [word for text in given or () for word in text.split(",") if word]


def _numbers(given: Sequence[str] | None) -> list[int]:
    from ringrift.core.errors import UsageError

    found = []
    for word in _words(given) or ["2", "3", "4"]:
        if not word.isdecimal():
            raise UsageError(f"{word!r} is no number of players", where="--player-counts")
        found.append(int(word))
    return found


class Diverse:
    """The tournaments of some configurations; each is made anew from models and decisions."""

    def __init__(
        self,
        run: Invocation,
        specs: Sequence[BoardSpec],
        *,
        games: int | None,
        seed: int,
        distributed: bool = False,
    ) -> None:
        from ringrift.cli.eval.arena import source_of

        self._run = run
        self._specs = specs
        self._games = games
        self._seed = seed
        self._distributed = distributed
        self._source = source_of(run)

    def planned(self) -> list[dict[str, Any]]:
        """Return participants, games and estimated time of each configuration."""
        from ringrift.cli.eval.arena import look
        from ringrift.cli.eval.contending import looking

        rows = []
        with looking(self._source.store) as store:
            for spec in self._specs:
                found, _ = self._entry(spec)
                rows.append(self._row(found, look(found.tournament, self._source, store).as_tree()))
        return rows

    def play(self, folder: Path, stop: Stop) -> list[dict[str, Any]]:
        """Play what is missing and write the reports."""
        from ringrift.cli.eval.arena import arena, write_report
        from ringrift.core.files import write_atomic

        rows = []
        for spec in self._specs:
            if stop.requested:
                break
            found, models = self._entry(spec)
            with arena(
                self._run,
                models,
                self._source,
                workers=None,
                stop=lambda: stop.requested,
                distributed=self._distributed,
            ) as place:
                outcome = place.play(found.tournament)
            self._source.tree(spec.config)  # the fit that other commands read
            path = write_report(folder, outcome, note=found.note)
            rows.append({**self._row(found, outcome.as_tree()), "report": str(path)})
        tree = {"configurations": rows}
        write_atomic(folder / SUMMARY, json.dumps(tree, indent=1).encode() + b"\n")
        return rows

    def _entry(self, spec: BoardSpec) -> tuple[Entry, list[ModelRow]]:
        from ringrift.cli.eval.arena import champions_of, models_of
        from ringrift.cli.eval.contending import search_of
        from ringrift.evaluation.diverse import entry

        models = models_of(self._run, spec.config)
        champions = champions_of(self._run, spec.config)
        found = entry(
            spec,
            models,
            champions,
            search=search_of(self._run, None),
            games=self._games,
            seed=self._seed,
            rated=self._source.fit(spec.config) if champions else None,
        )
        return found, models

    def _row(self, found: Entry, tree: dict[str, Any]) -> dict[str, Any]:
        from ringrift.evaluation.pace import seconds_per_game

        plan = found.tournament
        each_s = seconds_per_game(self._source.store, plan.spec.config)
        left = plan.most_games - tree["games"]
        return {
            "config": plan.spec.config,
            "agents": [agent.spec for agent in plan.agents],
            "games": tree["games"],
            "of": plan.most_games,
            "estimated_s": 0.0 if not left else None if each_s is None else round(left * each_s, 1),
            "complete": tree["complete"],
            "note": found.note,
            "table": tree["table"] if tree["games"] else [],
            "id": plan.id,
            "report": None,
        }


def _show(run: Invocation, rows: list[dict[str, Any]], *, dry_run: bool, ok: bool = True) -> None:
    from ringrift.evaluation.ratings.leaderboard import name_of

    columns = [
        Column("configuration"),
        Column("participants"),
        Column("games", number=True),
        Column("of", number=True),
        Column("time left min", number=True),
        Column("first"),
        Column("note"),
    ]
    shown = [
        [
            row["config"],
            ", ".join(name_of(text) for text in row["agents"]),
            row["games"],
            row["of"],
            None if row["estimated_s"] is None else f"{row['estimated_s'] / 60:.0f}",
            name_of(row["table"][0]["spec"]) if row["complete"] else "",
            row["note"] or "",
        ]
        for row in rows
    ]
    run.out.result(
        {"configurations": rows, "dry_run": dry_run},
        human=run.out.table(columns, shown),
        ok=ok,
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diverse", cls=list_command(words=("--board-types", "--player-counts")))(diverse)
