"""All that is known of each configuration, read from games, models and decisions (`loop.md` 3)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ringrift.core.errors import DataError, RingriftError
from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.evaluation.many_tests import NO_TESTS, ManyTests, count_tests
from ringrift.loop.facts import ConfigFacts, GateFacts, PlayFacts
from ringrift.loop.gathering_games import NewestGames
from ringrift.loop.gathering_models import Chains, Models, of_the_loop, undecided
from ringrift.loop.gathering_tuning import TunedSets
from ringrift.loop.match_facts import ConfigMatches, Looked
from ringrift.models.registry import model_path
from ringrift.records.store import GameStore

if TYPE_CHECKING:
    from types import TracebackType

    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.facts import DecisionFacts, ModelFacts
    from ringrift.models.decisions import Chain

log = get_logger(__name__)


class Gatherer:
    """Gathers facts again and again at the cost of what is new; a context manager.

    It writes nothing. `seed` is that of the plans of matches. Without a store all is as
    with an empty one.
    """

    def __init__(
        self, paths: Paths, settings: Settings, configs: Sequence[str], *, seed: int = 0
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._configs = tuple(configs)
        self._seed = seed
        self._models = Models(paths)
        self._chains = Chains(paths.models / "decisions")
        self._tuned = TunedSets(paths)
        self._games: NewestGames | None = None
        self._matches: dict[str, ConfigMatches] = {}
        self._tests: dict[str, tuple[tuple[int, float], ManyTests]] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Gatherer:
        if self._paths.game_store.is_file():
            store = self._closing.enter_context(GameStore.open(self._paths.game_store))
            self._games = NewestGames(
                store, self._configs, full_simulations=self._settings.selfplay.mcts_simulations
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    @property
    def store(self) -> GameStore:
        """The store that it reads; raises `DataError` where there is none."""
        if self._games is None:
            raise DataError("no game store", where=str(self._paths.game_store))
        return self._games.store

    def gather(self, now: float) -> tuple[ConfigFacts, ...]:
        """Return the facts of the moment `now` (Unix s), in the order of the configurations.

        What is wrong with one configuration is its own `error`; what is wrong with the store is that
        of each.
        """
        why: str | None = None
        if self._games is not None:
            try:
                self._games.refresh()
            except RingriftError as error:
                why = str(error)
                self._games.forget()
        self._models.refresh()
        return tuple(self._gather(config, now, why) for config in self._configs)

    def matches_of(self, config: str) -> ConfigMatches:
        """Return what follows the matches of a configuration."""
        if config not in self._matches:
            self._matches[config] = ConfigMatches(
                config, self.store, self._settings, self._paths, seed=self._seed
            )
        return self._matches[config]

    def _gather(self, config: str, now: float, why: str | None) -> ConfigFacts:
        chain: Chain | None = None
        try:
            chain, decisions = self._chains.of(config)
            if why is None:
                return self._facts(config, chain, decisions, now)
        except RingriftError as error:
            why = str(error)
        except Exception as error:
            log.exception("facts are missing", config=config)
            why = repr(error)
        return ConfigFacts(
            config=config, champion=None if chain is None else chain.champion, error=why
        )

    def _facts(
        self, config: str, chain: Chain, decisions: tuple[DecisionFacts, ...], now: float
    ) -> ConfigFacts:
        models = self._models.of(config)
        if chain.champion is not None and not self._models.has(chain.champion):
            raise DataError(
                f"the champion {short(chain.champion)} has no model file that can be read",
                where=str(model_path(self._paths.model_objects, chain.champion)),
                hint="ringrift models verify",
            )
        waiting = undecided(models, chain)
        candidate = waiting[-1].id if waiting else None
        looked, begun = Looked(), [False] * len(waiting)
        games = new_games = top = 0
        gates, play, tests = GateFacts(), PlayFacts(), NO_TESTS
        if self._games is not None:
            self._games.require(config)
            matches = self.matches_of(config)
            looked = matches.look(chain, decisions, models, candidate, now)
            begun = [matches.begun(chain, decisions, model.id) for model in waiting]
            games, top = self._games.store.count(config), self._games.top
            new_games = self._games.new_games(config, _learned_upto(models, chain))
            gates = self._games.gates(config)
            play = self._games.play(config, now, runs=f"loop/{config}/")
            tests = self._tests_since(config, decisions)
        return ConfigFacts(
            config=config,
            champion=chain.champion,
            decisions=decisions,
            models=models,
            undecided=tuple((model.id, b) for model, b in zip(waiting, begun, strict=True)),
            games=games,
            new_games=new_games,
            max_seq=top,
            gates=gates,
            play=play,
            matches=looked.matches,
            side_matches=looked.side_matches,
            holdout_missing=looked.holdout_missing,
            ready_to_decide=looked.ready_to_decide,
            ratings=looked.ratings,
            tournaments=looked.tournaments,
            tests=tests.tests,
            tests_expected_false=tests.expected_false,
            last_shadow_at=looked.last_shadow_at,
            last_full_at=looked.last_full_at,
            milestones=looked.milestones,
            tuning=self._tuned.of(config),
        )

    def _tests_since(self, config: str, decisions: tuple[DecisionFacts, ...]) -> ManyTests:
        """Return the tests since the last promotion, counted anew where there are new games."""
        assert self._games is not None
        since = max((each.at for each in decisions if each.kind == "promoted"), default=0.0)
        key = (self._games.top, since)
        known = self._tests.get(config)
        if known is None or known[0] != key:
            known = self._tests[config] = (key, count_tests(self._games.store, config, since))
        return known[1]


def gather_readonly(
    paths: Paths, settings: Settings, now: float, *, configs: Sequence[str], seed: int = 0
) -> tuple[ConfigFacts, ...]:
    """Return the facts of the moment `now` (Unix s) once, in this process; nothing is changed."""
    with Gatherer(paths, settings, configs, seed=seed) as gatherer:
        return gatherer.gather(now)


def _learned_upto(models: Sequence[ModelFacts], chain: Chain) -> int:
    """Return the number of the last game that the newest trained model of the loop could learn from."""
    trained = [model.games_upto for model in of_the_loop(models, chain) if not model.random]
    return next((upto for upto in reversed(trained) if upto is not None), 0)
