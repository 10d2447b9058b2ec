"""Ratings for programs: register models, record matches, ask for Elo (`evaluation.md` 5).

    service = get_elo_service()
    service.record_match(record)
    service.get_rating("heuristic", "square8_2p")

Ratings are fitted from the match games of the root's store; nothing is kept beside them but the
cached fit. Any number of threads and processes may record: they take turns at the store.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ringrift.core.errors import RefusedError, UsageError
from ringrift.core.ids import resolve_prefix
from ringrift.core.intervals import wilson
from ringrift.core.paths import Paths, locate_root
from ringrift.core.settings_loader import load_settings
from ringrift.evaluation.ratings.fit import FitRules, frozen_specs
from ringrift.evaluation.ratings.history import history
from ringrift.evaluation.ratings.leaderboard import leaderboard
from ringrift.evaluation.ratings.lineage import ModelFacts, model_facts
from ringrift.evaluation.ratings.service import RatingSource
from ringrift.evaluation.store_writer import writer_in_turn
from ringrift.evaluation.training_feedback import TrainingFeedback, feedback
from ringrift.nets.container import SUFFIX, read_card, read_model, write_model
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.store import GameStore
from ringrift.records.verify import verify
from ringrift.rules.spec import parse_config

Recorded = Literal["inserted", "known"]


class UnverifiedRecord(RefusedError):
    """A game record that is no verified, complete match game."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """A fitted rating, `random` = 400: standard error, 95 % interval, finished games behind it."""

    elo: float
    se: float
    ci95: tuple[float, float]
    games: int
    provisional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingPoint:
    """The rating of an agent after a match (`run`) whose last game began at `at`, Unix seconds."""

    at: float
    run: str
    rating: Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Share of `n` games in which one agent stood above another, with its 95 % interval."""

    n: int
    rate: float
    ci95: tuple[float, float]


class EloService:
    """Ratings of one data root; get the process's one from `get_elo_service`."""

    def __init__(self, source: RatingSource) -> None:
        self.source = source
        self._lock = threading.RLock()
        self._trees: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}

    # --- writing

    def register_model(self, ref: str | Path, config: str) -> str:
        """Return the id of a model that plays `config`; a file from elsewhere is taken over.

        `ref` is a model file, an id or its first digits. Raises `UsageError` for a model of another
        configuration or one that is not here, `ModelError` for a damaged file.
        """
        parse_config(config)
        objects = self.source.objects
        path = Path(ref)
        if path.is_file():
            identity, card, tensors = read_model(path)
        else:
            known = [found.stem for found in objects.glob(f"*/*{SUFFIX}")]
            identity = resolve_prefix(str(ref), known, what="model")
            identity, card = read_card(objects / identity[:2] / f"{identity}{SUFFIX}")
            tensors = None
        if card["config"] != config:
            raise UsageError(
                f"model {identity[:12]} is of {card['config']}; expected {config}", where=str(ref)
            )
        if tensors is not None:
            with self._lock:
                write_model(objects, tensors, card)
        return identity

    def record_match(self, record: GameRecord) -> Recorded:
        """Store a complete match game after replaying it; tell whether it was there already.

        Raises `TypeError` for anything but a game record, `UnverifiedRecord` for one that is no
        complete match game or does not follow from its moves, `BusyError` where the store stays
        locked for a minute.
        """
        if not isinstance(record, GameRecord):
            raise TypeError(f"a {type(record).__name__}; expected a GameRecord")
        where = f"game {record.id[:12]}"
        if record.meta.purpose != "match":
            raise UnverifiedRecord(f"purpose {record.meta.purpose}; expected match", where=where)
        if record.result.end == "aborted":
            raise UnverifiedRecord(
                f"not complete: aborted at ply {record.result.plies}", where=where
            )
        try:
            verify(record)
        except VerificationError as error:
            raise UnverifiedRecord(str(error), where=where) from None
        with self._lock, writer_in_turn(self.source.store) as store:
            report = store.ingest([(record, None)], source="record_match")
        if report.quarantined:
            raise UnverifiedRecord(f"refused: {', '.join(report.reasons)}", where=where)
        return "inserted" if report.added else "known"

    # --- reading

    def get_rating(self, agent: str, config: str) -> Rating | None:
        """Return the rating of an agent: its hash, model id, spec, or a name such as `mcts_100`.

        None for an agent that is not rated. A model that played as several agents has the rating of
        the one with most games.
        """
        row = self._row(agent, config)
        return None if row is None else _rating(row)

    def get_leaderboard(self, config: str, limit: int = 50) -> list[dict[str, Any]]:
        """Return the best agents: rows as in the file of the fit, with rank, name and kind."""
        tree = self._tree(config)
        return leaderboard(tree, self._facts(tree), top=limit, min_games=0)

    def get_history(self, agent: str, config: str, limit: int = 50) -> list[RatingPoint]:
        """Return an agent's rating after each of its newest `limit` matches, oldest first."""
        row = self._row(agent, config)
        if row is None:
            return []
        games = self.source.games(config)
        index = games.index(row["agent_hash"])
        found = history(
            games,
            self.source.rules,
            self.source.parents(games),
            agent=row["agent_hash"],
            limit=limit,
        )
        points = []
        for moment in found:
            elo, se = (
                (None, None) if index is None else (moment.fit.elo(index), moment.fit.se(index))
            )
            if elo is None or se is None or index is None:
                continue
            shown = moment.fit.games
            count = int((shown.finished & (shown.seats == index).any(axis=1)).sum())
            rating = Rating(
                elo=round(elo, 1),
                se=round(se, 1),
                ci95=(round(elo - 1.96 * se, 1), round(elo + 1.96 * se, 1)),
                games=count,
                provisional=count < self.source.rules.min_games,
            )
            points.append(RatingPoint(at=moment.at, run=moment.run, rating=rating))
        return points

    def get_win_rate(self, a: str, b: str, config: str) -> Rate | None:
        """Return how often `a` stood above `b`, None without a finished game between them."""
        tree = self._tree(config)
        one, two = self._place(tree, a), self._place(tree, b)
        for first, second, games, observed, *_ in tree["pairings"]:
            if {first, second} == {one, two} and one != two:
                rate = observed if first == one else 1.0 - observed
                ends = wilson(rate, games)
                assert ends is not None
                return Rate(n=games, rate=rate, ci95=(ends.low, ends.high))
        return None

    def get_training_feedback(
        self, board_type: str, num_players: int, lookback_iterations: int = 5
    ) -> TrainingFeedback:
        """Return what the Elo of the newest models says to their training (`evaluation.md` 5)."""
        config = f"{board_type}_{num_players}p"
        parse_config(config)
        tree = self._tree(config)
        facts = self._facts(tree)
        best: dict[str, dict[str, Any]] = {}
        for row in tree["ratings"]:
            model = row["model_id"]
            if model is None or row["elo"] is None:
                continue
            if model not in best or best[model]["games"] < row["games"]:
                best[model] = row
        order = sorted(best, key=lambda model: (*_made(facts.get(model), best[model]), model))
        return feedback(
            board_type,
            num_players,
            [best[model]["elo"] for model in order],
            lookback=lookback_iterations,
        )

    # --- what stands behind

    def _tree(self, config: str) -> dict[str, Any]:
        """Return the present fit; it is made again when the store has other match games."""
        parse_config(config)
        with self._lock:
            state = self._state(config)
            known = self._trees.get(config)
            if known is None or known[0] != state:
                known = self._trees[config] = (state, self.source.tree(config))
            return known[1]

    def _state(self, config: str) -> tuple[int, int]:
        """Return what changes with every game that comes or is withdrawn."""
        if not self.source.store.exists():
            return 0, 0
        with GameStore.open(self.source.store) as store:
            return store.max_seq(), store.count(config, purpose="match")

    def _facts(self, tree: dict[str, Any]) -> dict[str, ModelFacts]:
        models = [row["model_id"] for row in tree["ratings"] if row["model_id"] is not None]
        return model_facts(self.source.objects, models)

    def _row(self, agent: str, config: str) -> dict[str, Any] | None:
        tree = self._tree(config)
        place = self._place(tree, agent)
        return None if place is None else tree["ratings"][place]

    def _place(self, tree: dict[str, Any], agent: str) -> int | None:
        names = {name: spec for spec, name in frozen_specs(tree["config"]).items()}
        wanted = names.get(agent, agent)
        fits = [
            place
            for place, row in enumerate(tree["ratings"])
            if wanted in (row["agent_hash"], row["model_id"], row["spec"])
        ]
        return max(fits, key=lambda place: tree["ratings"][place]["games"], default=None)


_services: dict[Path, EloService] = {}
_services_lock = threading.Lock()


def get_elo_service(root: Path | str | None = None) -> EloService:
    """Return the service of a data root, one per process; without `root` the nearest one.

    Raises `UsageError` where no data root is found, `SettingsError` for invalid settings.
    """
    found = Path(root).resolve() if root is not None else locate_root()
    if found is None:
        raise UsageError("no data root", hint="get_elo_service(root) or RINGRIFT_ROOT")
    with _services_lock:
        if found not in _services:
            _services[found] = EloService(RatingSource.of_root(Paths(found), rules_of(found)))
        return _services[found]


def rules_of(root: Path) -> FitRules:
    """Return what the settings of a data root say about fits."""
    settings = load_settings(root=root).values
    return FitRules(
        places=settings.rating.places,
        prior_draws=settings.rating.prior_draws,
        min_games=settings.evaluation.min_games_for_elo,
    )


def _rating(row: dict[str, Any]) -> Rating | None:
    if row["elo"] is None:
        return None
    low, high = row["elo_ci95"]
    return Rating(
        elo=row["elo"],
        se=row["se"],
        ci95=(low, high),
        games=row["games"],
        provisional=row["provisional"],
    )


def _made(known: ModelFacts | None, row: dict[str, Any]) -> tuple[str]:
    """Return when a model was made; of one without a description when it played last."""
    made = None if known is None else known.created_at
    return (made or row["last_game"] or "",)
