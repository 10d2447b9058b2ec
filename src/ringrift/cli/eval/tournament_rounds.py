"""What `ringrift eval tournament` does for each configuration, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.cli.eval.arena import (
    arena,
    look,
    models_of,
    source_of,
    table_of,
    title_of,
    write_report,
)
from ringrift.cli.eval.contending import looking
from ringrift.cli.models.parts import models_folder, who
from ringrift.cli.output import Column
from ringrift.core.errors import RingriftError, UsageError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.evaluation.contenders import ModelRow
    from ringrift.evaluation.tournaments import Outcome, Tournament

log = get_logger(__name__)

SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for.

    `kinds` are the kinds of agents that each model plays as, `models` the kinds of models (none:
    only fixed agents), `archive_below` a rating or None, `store` None the installation's.
    """

    configs: tuple[str, ...]
    games: int
    most_meetings: int | None
    top_n: int | None
    sims: int
    kinds: tuple[str, ...]
    models: tuple[str, ...]
    baselines: bool
    matchmaking: bool
    reach_elo: float
    archive_below: float | None
    seed: int
    workers: int | None
    distributed: bool
    store: Path | None
    plot: Path | None


class Tournaments:
    """Tournaments of some configurations, each made anew from models and stored games."""

    def __init__(self, run: Invocation, order: Order) -> None:
        self._run = run
        self._order = order
        self._source = source_of(run, order.store)
        self._shown: dict[str, Outcome] = {}

    def leaderboards(self) -> list[dict[str, Any]]:
        """Return the leaderboard of each configuration."""
        return [
            {**self._empty(config), "leaderboard": self._leaderboard(config)}
            for config in self._order.configs
        ]

    def look(self) -> list[dict[str, Any]]:
        """Return plan and leaderboard of each configuration."""
        rows = []
        with looking(self._source.store) as store:
            for config in self._order.configs:
                planned, _, note = self._tournament(config)
                found = None if planned is None else look(planned, self._source, store)
                rows.append(self._row(config, found, note))
        return rows

    def play(self, stop: Stop) -> list[dict[str, Any]]:
        """Play what is missing, write reports and mark who is archived."""
        rows = []
        for config in self._order.configs:
            if stop.requested:
                break
            planned, models, note = self._tournament(config)
            if planned is None:
                rows.append(self._row(config, None, note))
                continue
            with arena(
                self._run,
                models,
                self._source,
                workers=self._order.workers,
                stop=lambda: stop.requested,
                distributed=self._order.distributed,
            ) as place:
                found = place.play(planned)
            path = write_report(self._run.paths().tournaments, found)
            archived = self._archive(config)
            rows.append(
                {**self._row(config, found, note), "report": str(path), "archived": archived}
            )
        return rows

    def register(self, files: Iterable[Path]) -> list[str]:
        """Take model files into the registry and return their ids; a bad one is said and left out."""
        from ringrift.models.registry import register

        found = []
        for path in files:
            try:
                found.append(register(models_folder(self._run) / "objects", path))
            except RingriftError as error:
                log.warning("no model", file=str(path), why=error.message)
        return found

    # --- who plays

    def _tournament(self, config: str) -> tuple[Tournament | None, list[ModelRow], str | None]:
        """Return the tournament of a configuration, its models, and what is to be said of it."""
        from ringrift.evaluation.participants import participant
        from ringrift.evaluation.tournaments import Tournament
        from ringrift.rules import BoardSpec, parse_config

        order = self._order
        spec = BoardSpec.create(*parse_config(config))
        models = self._models(config)
        fixed = self._run.settings().values.evaluation.baseline_models if order.baselines else ()
        agents = [participant(text, spec) for text in fixed]
        agents += [
            participant(_text(kind, model, order.sims), spec)
            for model in models
            for kind in order.kinds
        ]
        agents = list(dict.fromkeys(agents))
        if len(agents) < 2:
            if len(order.configs) == 1:
                raise UsageError(
                    f"{len(agents)} agents for a tournament of {config}",
                    hint="--include-nnue, or ringrift models list",
                )
            return None, models, f"{len(agents)} agents"
        planned = Tournament(
            spec=spec,
            agents=tuple(agents),
            games=order.games,
            seed=order.seed,
            matchmaking=order.matchmaking,
            reach_elo=order.reach_elo,
            most_meetings=order.most_meetings,
        )
        return planned, models, None if models or not order.models else "no models of these kinds"

    def _models(self, config: str) -> list[ModelRow]:
        """Return the models that take part, the strongest first, then unrated ones by age."""
        if not self._order.models:
            return []
        found = models_of(self._run, config, self._order.models)
        if self._order.top_n is None:
            return found
        best: dict[str, float] = {}
        for row in self._source.tree(config, keep=False)["ratings"]:
            if row["model_id"] is not None and row["elo"] is not None:
                known = best.get(row["model_id"], row["elo"])
                best[row["model_id"]] = max(known, row["elo"])
        found.sort(key=lambda model: -best.get(model.id, float("-inf")))
        return found[: self._order.top_n]

    # --- what follows from the games

    def _archive(self, config: str) -> list[str]:
        """Mark models as archived all of whose agents are surely below the threshold."""
        below = self._order.archive_below
        rows = self._source.tree(config)["ratings"]  # made in any case: others read it
        if below is None:
            return []
        from ringrift.models.decisions import read_chain
        from ringrift.models.retired import retire

        folder = models_folder(self._run)
        champion = read_chain(folder / "decisions", config).champion
        weak: dict[str, bool] = {}
        for row in rows:
            if row["model_id"] is not None and row["frozen"] is None:
                ends, games = row["elo_ci95"], row["games"]
                is_weak = ends is not None and ends[1] < below and games >= 30
                weak[row["model_id"]] = is_weak and weak.get(row["model_id"], True)
        chosen = sorted(model for model, is_weak in weak.items() if is_weak and model != champion)
        if not chosen:
            return []
        return retire(folder, chosen, by=who(), why=f"surely below {below:g} Elo in {config}")

    def _leaderboard(self, config: str) -> list[dict[str, Any]]:
        from ringrift.evaluation.ratings.leaderboard import leaderboard
        from ringrift.evaluation.ratings.lineage import model_facts

        tree = self._source.tree(config, keep=False)
        models = [row["model_id"] for row in tree["ratings"] if row["model_id"] is not None]
        facts = model_facts(self._source.objects, models)
        return leaderboard(tree, facts, top=SHOWN, min_games=0)

    # --- what is shown

    def _empty(self, config: str) -> dict[str, Any]:
        return {
            "config": config,
            "agents": [],
            "tournament": None,
            "leaderboard": [],
            "archived": [],
            "report": None,
            "note": None,
        }

    def _row(self, config: str, found: Outcome | None, note: str | None) -> dict[str, Any]:
        row = {**self._empty(config), "leaderboard": self._leaderboard(config), "note": note}
        if found is not None:
            self._shown[config] = found
            row["agents"] = [agent.spec for agent in found.tournament.agents]
            row["tournament"] = found.as_tree()
        return row

    def show(self, rows: list[dict[str, Any]], *, ok: bool = True) -> None:
        """Print plans or tables, and the leaderboards; draw them where that was asked for."""
        files = self._draw(rows)
        self._run.out.result(
            {"configurations": rows, "files": files},
            human=lambda console: self._print(console, rows, files),
            ok=ok,
        )

    def line(self, rows: list[dict[str, Any]]) -> None:
        """Print one round of a repeated tournament."""
        said = [title_of(self._shown[row["config"]]) for row in rows if row["tournament"]]
        self._run.out.line({"configurations": rows}, human="\n".join(said) or "nobody to meet")

    def _print(self, console: Any, rows: list[dict[str, Any]], files: list[str]) -> None:
        for row in rows:
            found = self._shown.get(row["config"])
            if found is not None:
                console.print(table_of(self._run, found, title_of(found)))
            if row["note"] is not None:
                console.print(f"{row['config']}: {row['note']}")
            console.print(self._ratings(row))
            for model in row["archived"]:
                console.print(f"archived: {model[:12]}")
            if row["report"] is not None:
                console.print(f"report: {row['report']}")
        for path in files:
            console.print(f"wrote {path}")

    def _ratings(self, row: dict[str, Any]) -> Any:
        columns = [
            Column("rank", number=True),
            Column("agent"),
            Column("Elo 95 %"),
            Column("games", number=True),
        ]
        lines = [
            [
                rated["rank"],
                rated["name"],
                None
                if rated["elo"] is None
                else f"{rated['elo']:.0f} [{rated['elo_ci95'][0]:.0f}, {rated['elo_ci95'][1]:.0f}]",
                rated["games"],
            ]
            for rated in row["leaderboard"]
        ]
        title = f"{row['config']}: leaderboard of all match games"
        return self._run.out.table(columns, lines, title=title)

    def _draw(self, rows: list[dict[str, Any]]) -> list[str]:
        if self._order.plot is None:
            return []
        from ringrift.evaluation.ratings.pictures import forest, save

        made: list[str] = []
        for row in rows:
            if row["leaderboard"]:
                figure = forest(row["config"], row["leaderboard"])
                data = {"config": row["config"], "rows": row["leaderboard"]}
                files = save(self._order.plot, f"{row['config']}-tournament", figure, data, "both")
                made += [str(path) for path in files]
        return made


def _text(kind: str, model: ModelRow, sims: int) -> str:
    """Return how a model plays; raises `UsageError` for a kind of agent that takes no model."""
    from ringrift.agents.kinds import KINDS

    if kind not in KINDS or not KINDS[kind].takes_model:
        known = ", ".join(name for name, found in KINDS.items() if found.takes_model)
        raise UsageError(f"no model plays as {kind!r}", where="--ai-type", hint=known)
    counts = f":sims={sims}" if "sims" in KINDS[kind].keys else ""
    return f"{kind}@{model.id}{counts}"
