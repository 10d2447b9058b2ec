"""What the commands for tournaments share: who there is, and where games are played."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ringrift.cli.eval.contending import looked_up, playing, registered
from ringrift.cli.models.parts import models_folder
from ringrift.cli.output import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.contenders import ModelRow
    from ringrift.evaluation.matches import Store
    from ringrift.evaluation.ratings.service import RatingSource
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.tournaments import Meeting, Outcome, Tournament
    from ringrift.records.store import GameStore


def models_of(run: Invocation, config: str, kinds: Iterable[str] = ()) -> list[ModelRow]:
    """Return the models of a configuration that may take part, the newest first."""
    from ringrift.models.retired import read_retired

    retired = read_retired(models_folder(run))
    return [model for model in registered(run, config, kinds) if model.id not in retired]


def champions_of(run: Invocation, config: str) -> list[str]:
    """Return the ids of all champions of a configuration, the present one last."""
    from ringrift.models.decisions import read_chain

    return read_chain(models_folder(run) / "decisions", config).champions()


def source_of(run: Invocation, store: Path | None = None) -> RatingSource:
    """Return where ratings come from; `store` None means the installation's games."""
    from ringrift.cli.eval.leaderboard import rules_in
    from ringrift.evaluation.ratings.service import RatingSource

    found = RatingSource.of_root(run.paths(create=False), rules_in(run))
    return found if store is None else replace(found, store=store)


@dataclass(frozen=True, slots=True)
class Arena:
    """Where tournaments are played: a store, processes, and ratings of what is stored."""

    source: RatingSource
    store: GameStore
    stop: Callable[[], bool]
    _players: Any
    _show: Any

    def play(self, tournament: Tournament) -> Outcome:
        """Play what is missing of a tournament, until somebody asks to stop."""
        return _tournament(tournament, self.source, self._matches)

    def look(self, tournament: Tournament) -> Outcome:
        """Return what is stored of a tournament."""
        return look(tournament, self.source, self.store)

    def _matches(self, meetings: Sequence[Meeting]) -> list[MatchResult]:
        from ringrift.evaluation.players import play_matches

        return play_matches(
            [meeting.plan for meeting in meetings],
            self.store,
            self._players,
            titles=[meeting.title for meeting in meetings],
            on_progress=self._show,
            stop=self.stop,
        )


@contextmanager
def arena(
    run: Invocation,
    models: Iterable[ModelRow],
    source: RatingSource,
    *,
    workers: int | None,
    stop: Callable[[], bool],
    distributed: bool = False,
) -> Iterator[Arena]:
    """Open the store of `source` to play in it and show the progress of all games together."""
    place = playing(run, source.store, models, workers, distributed=distributed)
    with place as (store, players, show):
        yield Arena(source, store, stop, players, show)


def look(tournament: Tournament, source: RatingSource, store: Store | None) -> Outcome:
    """Return what is stored of a tournament; without a store nothing is."""
    return _tournament(tournament, source, lambda meetings: looked_up(store, meetings))


def _tournament(
    tournament: Tournament,
    source: RatingSource,
    play: Callable[[Sequence[Meeting]], list[MatchResult]],
) -> Outcome:
    from ringrift.evaluation.ratings.fit import fit
    from ringrift.evaluation.tournaments import play_tournament

    return play_tournament(
        tournament,
        play,
        lambda: source.games(tournament.spec.config),
        rate=lambda games: fit(games, source.rules, source.parents(games)),
    )


def write_report(folder: Path, outcome: Outcome, **fields: Any) -> Path:
    """Write what a tournament found; the name follows from the tournament alone."""
    from ringrift.core.files import write_atomic

    tree = {**outcome.as_tree(), **fields}
    path = folder / f"{outcome.tournament.spec.config}-{outcome.tournament.id[:12]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(tree, indent=1, sort_keys=True).encode() + b"\n")
    return path


def table_of(run: Invocation, outcome: Outcome, title: str) -> Any:
    """Return the table of a tournament as it is printed."""
    from ringrift.evaluation.ratings.leaderboard import name_of

    columns = [
        Column("rank", number=True),
        Column("agent"),
        Column("Elo ± 95 %"),
        Column("to the field ± 95 %"),
        Column("ahead of others", number=True),
        Column("games", number=True),
        Column("won", number=True),
    ]
    rows = [
        [
            rank,
            name_of(row.agent.spec),
            _rating(row.elo, row.se, sign=""),
            _rating(row.field_elo, row.field_se, sign="+"),
            None if row.ahead is None else f"{row.ahead:.3f}",
            row.games,
            row.wins,
        ]
        for rank, row in enumerate(outcome.table, 1)
    ]
    return run.out.table(columns, rows, title=title)


def _rating(elo: float | None, se: float | None, *, sign: str) -> str | None:
    if elo is None or se is None:
        return None
    return f"{elo:{sign}.0f} ± {1.96 * se:.0f}"


def title_of(outcome: Outcome) -> str:
    """Say which tournament a table is of and how far it is."""
    plan = outcome.tournament
    way = "by information" if plan.by_information else "round robin"
    state = outcome.ended or f"{outcome.games:,} of at most {plan.most_games:,} games"
    return f"{plan.spec.config}: {len(plan.agents)} agents, {way}, {outcome.games:,} games; {state}"
