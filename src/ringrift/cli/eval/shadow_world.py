"""What the shadow service is told of this data root, and how its commands run it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.cli.eval.contending import looking, registered, search_of, store_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ringrift.cli.invocation import Invocation
    from ringrift.core.interrupt import Stop
    from ringrift.evaluation.contenders import ModelRow
    from ringrift.evaluation.plans import MatchPlan
    from ringrift.evaluation.shadow.rounds import Entrants, RoundSettings, ShadowResult, Type
    from ringrift.evaluation.shadow.schedule import Schedule
    from ringrift.evaluation.shadow.service import ShadowService, World
    from ringrift.records.store import GameStore

LISTED_FOR_S = 2.0
"""The registry is not listed more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowOptions:
    """What was asked for; None means the settings' value, no configuration all of them."""

    configs: tuple[str, ...]
    watch_dir: Path | None
    shadow_interval: float | None
    shadow_games: int | None
    full_interval: float | None
    full_games: int | None
    regression: float
    sims: int | None


class Working:
    """Carries out one call of `ringrift eval shadow`."""

    def __init__(self, run: Invocation, options: ShadowOptions) -> None:
        self._run = run
        self._options = options
        self._settings = run.settings().values
        self._listed: tuple[float, list[ModelRow]] | None = None

    @property
    def configs(self) -> tuple[str, ...]:
        """The configurations that are measured."""
        return self._options.configs or tuple(self._settings.configurations)

    def planned(self, kinds: Sequence[Type]) -> list[dict[str, Any]]:
        """Return the matches that would be played now."""
        from ringrift.evaluation.shadow.rounds import round_plans
        from ringrift.evaluation.shadow.schedule import subject

        service = self._service(None)
        found = []
        for config in self.configs:
            entrants = self._entrants(config)
            model_id, _ = subject(entrants, service.rounds(config))
            model = None if model_id is None else entrants.model(model_id)
            for kind in kinds if model is not None else ():
                assert model is not None
                plans = round_plans(kind, model, entrants, self._rounds(), time.time())
                found += [_planned(config, kind, plan) for plan in plans]
        return found

    def play(self, kinds: Sequence[Type]) -> tuple[list[ShadowResult], int]:
        """Play a round of each type now; return the results and the exit code after a signal."""
        from ringrift.core.alert_sender import alerting
        from ringrift.core.interrupt import cooperative_stop

        paths = self._run.paths()
        with cooperative_stop() as stop, alerting(paths, self._settings.alerting):
            service = self._service(stop)
            here = [config for config in self.configs if self._entrants(config).models]
            found = service.play([(config, kind) for config in here for kind in kinds])
            return found, stop.exit_code

    def serve(self, port: int) -> None:
        """Play what is due and serve the pages until told to stop; one at a time on a data root."""
        from ringrift.core.alert_sender import alerting
        from ringrift.core.files import lock
        from ringrift.core.interrupt import cooperative_stop
        from ringrift.evaluation.shadow.server import ShadowServer

        paths = self._run.paths()
        with (
            lock(paths.coordination / "shadow.lock", what="the shadow service"),
            cooperative_stop() as stop,
            alerting(paths, self._settings.alerting),
            ExitStack() as stack,
        ):
            service = self._service(stop)
            if port:
                server = stack.enter_context(ShadowServer(service, port=port))
                self._run.out.note(f"serving {server.url}")
            while not stop.requested:
                for result in service.tick():
                    self._run.out.line(result.as_tree(), human=result.words)
                service.sleep(service.wait_s())

    # --- what the service is told

    def _service(self, stop: Stop | None) -> ShadowService:
        from ringrift.evaluation.shadow.service import ShadowService
        from ringrift.evaluation.shadow.watching import FolderWatch

        folder = self._options.watch_dir
        return ShadowService(
            configs=self.configs,
            world=self._world(),
            settings=self._rounds(),
            schedule=self._schedule(),
            regression=self._options.regression,
            watch=None if folder is None else FolderWatch(folder),
            stop=lambda: stop is not None and stop.requested,
        )

    def _rounds(self) -> RoundSettings:
        from ringrift.evaluation.shadow.rounds import RoundSettings

        measuring = self._settings.evaluation
        return RoundSettings(
            shadow_games=self._options.shadow_games or measuring.shadow_games_per_config,
            full_games=self._options.full_games or measuring.full_tournament_games,
            baselines=tuple(measuring.baseline_models),
            search=search_of(self._run, self._options.sims),
        )

    def _schedule(self) -> Schedule:
        from ringrift.evaluation.shadow.schedule import Schedule

        measuring = self._settings.evaluation
        return Schedule(
            shadow_s=self._options.shadow_interval or measuring.shadow_interval_seconds,
            full_s=self._options.full_interval or measuring.full_tournament_interval_seconds,
            adaptive=measuring.adaptive_interval_enabled,
            least_s=measuring.adaptive_interval_min_seconds,
            most_s=measuring.adaptive_interval_max_seconds,
        )

    def _world(self) -> World:
        from ringrift.core.alerts import alert, resolve
        from ringrift.core.files import is_locked
        from ringrift.evaluation.shadow.service import World

        paths = self._run.paths(create=False)
        return World(
            entrants=self._entrants,
            play=_play,
            open_store=self._open,
            take_in=self._take_in,
            loop_runs=lambda: is_locked(paths.coordination / "loop.lock"),
            alert=alert,
            resolve=resolve,
        )

    def _entrants(self, config: str) -> Entrants:
        from ringrift.evaluation.shadow.rounds import Entrants
        from ringrift.models.decisions import read_chain

        now_s = time.monotonic()
        if self._listed is None or now_s - self._listed[0] > LISTED_FOR_S:
            self._listed = now_s, registered(self._run)
        decisions = self._run.paths(create=False).models / "decisions"
        champions = read_chain(decisions, config).champions()
        return Entrants(
            models=tuple(model for model in self._listed[1] if model.config == config),
            champions=tuple(dict.fromkeys(reversed(champions))),
        )

    @contextmanager
    def _open(self, writing: bool) -> Iterator[GameStore | None]:
        from ringrift.records.store import GameStore

        if not writing:
            with looking(store_of(self._run)) as store:
                yield store
            return
        with GameStore.open(store_of(self._run), writer=True) as store:
            yield store

    def _take_in(self, path: Path) -> ModelRow:
        from ringrift.evaluation.shadow.schedule import WATCHED
        from ringrift.models.registry import register

        model_id = register(self._run.paths().models / "objects", path, label=WATCHED)
        self._listed = None
        return next(model for model in registered(self._run) if model.id == model_id)


def _play(
    plans: Sequence[MatchPlan],
    store: GameStore,
    models: Mapping[str, ModelRow],
    stop: Callable[[], bool],
) -> None:
    """Play in processes that end with the round."""
    from ringrift.evaluation.contenders import files_of
    from ringrift.evaluation.players import MatchPlayers, play_matches

    with MatchPlayers(files_of(models.values())) as players:
        play_matches(plans, store, players, stop=stop)


def _planned(config: str, kind: Type, plan: MatchPlan) -> dict[str, Any]:
    opponent = plan.participants[1]
    return {
        "config": config,
        "type": kind,
        "model_id": plan.participants[0].model_id,
        "opponent": opponent.model_id or opponent.spec,
        "games": plan.games,
    }
