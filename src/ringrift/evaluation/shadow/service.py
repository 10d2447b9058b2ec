"""The shadow service: look what is due, play it, tell what came of it (`evaluation.md` 10).

Times of rounds come from the store, so a service that was killed goes on where it was. A round cut
by time or by the end of the service is incomplete; its games stay.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ringrift.core.errors import BusyError, RingriftError, UsageError
from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.evaluation.matches import stored
from ringrift.evaluation.shadow.rounds import (
    TYPES,
    Entrants,
    Round,
    RoundSettings,
    ShadowResult,
    Type,
    round_plans,
    stored_rounds,
)
from ringrift.evaluation.shadow.schedule import Schedule, subject
from ringrift.evaluation.shadow.trends import LAST_ROUNDS, drop, trend

if TYPE_CHECKING:
    from ringrift.evaluation.contenders import ModelRow
    from ringrift.evaluation.plans import MatchPlan
    from ringrift.evaluation.shadow.watching import FolderWatch
    from ringrift.records.store import GameStore

log = get_logger(__name__)

CONFIGURATIONS_AT_ONCE = 4
LIMIT_S = 600.0
KNOWN_ROUNDS = 50
BUSY_WAIT_S = 30.0
LOOK_S = 60.0
WATCH_S = 1.0
STOP_S = 0.5
FAILURES_KEPT = 50
ALERT = "elo_drop"


class Play(Protocol):
    """Plays what is missing of matches into a store until told to stop."""

    def __call__(
        self,
        plans: Sequence[MatchPlan],
        store: GameStore,
        models: Mapping[str, ModelRow],
        stop: Callable[[], bool],
    ) -> None:
        """Return when all is played or `stop` says so."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the service is told of the rest: all of it is handed in.

    `entrants` lists who may play in a configuration, `take_in` validates and registers a watched
    file, `loop_runs` tells whether a loop does this work itself, `alert` and `resolve` are those of
    `core.alerts`. `open_store` opens the game store, to write where told so; None where there is no
    store to read.
    """

    entrants: Callable[[str], Entrants]
    play: Play
    open_store: Callable[[bool], AbstractContextManager[GameStore | None]]
    take_in: Callable[[Path], ModelRow]
    loop_runs: Callable[[], bool] = lambda: False
    alert: Callable[..., Any] = lambda *args: None
    resolve: Callable[..., Any] = lambda *args: None
    clock: Callable[[], float] = time.time


@dataclass(slots=True)
class ShadowService:
    """Measures the newest models of some configurations; methods but `tick` may be called anywhere.

    `regression` is the fall in Elo that is alerted.
    """

    configs: tuple[str, ...]
    world: World
    settings: RoundSettings = field(default_factory=RoundSettings)
    schedule: Schedule = field(default_factory=Schedule)
    regression: float = 30.0
    watch: FolderWatch | None = None
    stop: Callable[[], bool] = lambda: False
    _rounds: dict[str, list[Round]] = field(default_factory=dict)
    _failures: deque[ShadowResult] = field(default_factory=lambda: deque(maxlen=FAILURES_KEPT))
    _asked: list[tuple[str, Type]] = field(default_factory=list)
    _known: dict[str, ShadowResult] = field(default_factory=dict)
    _playing: tuple[str, ...] = ()
    _held_until_s: dict[str, float] = field(default_factory=dict)
    _began_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _woken: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._began_s = self.world.clock()
        self.look()

    # --- what runs

    def tick(self) -> list[ShadowResult]:
        """Play the rounds that are due or were asked for; return their results."""
        self._woken.clear()
        found = self._take_in()
        if self.world.loop_runs():
            self.look()
            return found
        wanted = list(dict.fromkeys([*self._take_asked(), *self._due(self.world.clock())]))
        try:
            return found + self.play(wanted)
        except RingriftError as error:
            log.warning("a round ended early", why=str(error))
            wait_s = BUSY_WAIT_S if isinstance(error, BusyError) else self.schedule.shadow_s
            return found + [
                self._failed(config, kind, str(error), wait_s) for config, kind in wanted
            ]

    def play(self, wanted: Sequence[tuple[str, Type]]) -> list[ShadowResult]:
        """Play a round of each configuration and type now, four configurations at once.

        Raises `BusyError` while another process writes the store, `MatchAborted` as matches do.
        """
        found: list[ShadowResult] = []
        configs = list(dict.fromkeys(config for config, _ in wanted))
        for start in range(0, len(configs), CONFIGURATIONS_AT_ONCE):
            if self.stop():
                break
            part = configs[start : start + CONFIGURATIONS_AT_ONCE]
            found += self._play_together([w for w in wanted if w[0] in part])
        return found

    def wait_s(self) -> float:
        """Return how long nothing is due, in s."""
        now_s = self.world.clock()
        most = WATCH_S if self.watch is not None else LOOK_S
        if self.world.loop_runs():
            return most
        times = [
            max(due, self._held_until_s.get(config, 0.0))
            for config in self.configs
            for due in self._due_times(config).values()
        ]
        soonest = min(times, default=now_s + most)
        return min(most, max(0.0, soonest - now_s))

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds, until a round is asked for or the service is to stop."""
        until_s = time.monotonic() + seconds
        while not self.stop() and (left_s := until_s - time.monotonic()) > 0:
            if self._woken.wait(min(left_s, STOP_S)):
                return

    def rounds(self, config: str) -> list[Round]:
        """Return the rounds of a configuration, oldest first."""
        with self._lock:
            return list(self._rounds[config])

    def look(self) -> None:
        """Read the rounds of the past from the store."""
        with self.world.open_store(False) as store:
            for config in self.configs:
                self._read(store, config)

    # --- what is asked over HTTP

    def trigger(self, config: str, kind: str) -> None:
        """Ask for a round; raises `UsageError` for an unknown configuration or type."""
        if config not in self.configs:
            raise UsageError(
                f"no configuration {config!r} here", where="config", hint=", ".join(self.configs)
            )
        if kind not in TYPES:
            raise UsageError(f"no type {kind!r}", where="type", hint=", ".join(TYPES))
        with self._lock:
            self._asked.append((config, kind))  # type: ignore[arg-type] # one of the types
        self._woken.set()

    def status(self) -> dict[str, Any]:
        """Return what the service does and when it does something next."""
        held = self.world.loop_runs()
        with self._lock:
            rounds = {config: list(found) for config, found in self._rounds.items()}
            playing = self._playing
        now_s = self.world.clock()
        return {
            "state": "loop" if held else "playing" if playing else "waiting",
            "uptime_seconds": max(0.0, now_s - self._began_s),
            "playing": list(playing),
            "watch_dir": None if self.watch is None else str(self.watch.folder),
            "configs": {
                config: {
                    "rounds": len(found),
                    "last": found[-1].started_s if found else None,
                    "model_id": found[-1].model_id if found else None,
                    "due": {} if held else self._due_times(config),
                }
                for config, found in rounds.items()
            },
        }

    def results(self, config: str | None = None, limit: int = KNOWN_ROUNDS) -> list[ShadowResult]:
        """Return the newest results, newest first."""
        with self._lock:
            found = [
                result
                for name, rounds in self._rounds.items()
                if config in (None, name)
                for each in rounds
                for result in each.results
            ]
            found += [f for f in self._failures if config in (None, f.config)]
        return sorted(found, key=lambda r: -r.at)[:limit]

    def trends(self) -> list[dict[str, Any]]:
        """Return the trend of each configuration."""
        with self._lock:
            rounds = {config: list(found) for config, found in self._rounds.items()}
        return [trend(config, found).as_tree() for config, found in rounds.items()]

    # --- parts of a tick

    def _take_in(self) -> list[ShadowResult]:
        """Register the models that appeared in the watched folder; tell of those that are none."""
        found = []
        for path in self.watch.settled() if self.watch is not None else ():
            try:
                model = self.world.take_in(path)
                log.info("a watched model", file=str(path), model=short(model.id))
                if model.config not in self.configs:
                    raise UsageError(
                        f"a model of {model.config}; measured are {', '.join(self.configs)}",
                        where=str(path),
                    )
            except RingriftError as error:
                log.warning("a watched file is not measured", file=str(path), why=error.message)
                found.append(
                    ShadowResult.failure(f"{path.name}: {error.message}", at=self.world.clock())
                )
        with self._lock:
            self._failures += found
        return found

    def _take_asked(self) -> list[tuple[str, Type]]:
        with self._lock:
            asked, self._asked = self._asked, []
        return asked

    def _due(self, now_s: float) -> list[tuple[str, Type]]:
        return [
            (config, kind)
            for config in self.configs
            if self._held_until_s.get(config, 0.0) <= now_s
            for kind, due_s in self._due_times(config).items()
            if due_s <= now_s
        ]

    def _failed(self, config: str, kind: Type, error: str, wait_s: float) -> ShadowResult:
        """Note a round that could not be played, and leave its configuration alone for a while."""
        now_s = self.world.clock()
        self._held_until_s[config] = now_s + wait_s
        result = ShadowResult.failure(error, at=now_s, kind=kind, config=config)
        with self._lock:
            self._failures.append(result)
        return result

    def _due_times(self, config: str) -> dict[Type, float]:
        """Return when rounds are due; nothing is without a model."""
        rounds = self._rounds[config]
        model, waiting = subject(self.world.entrants(config), rounds)
        return {} if model is None else self.schedule.due_s(rounds, waiting=waiting)

    def _play_together(self, wanted: Sequence[tuple[str, Type]]) -> list[ShadowResult]:
        now_s = self.world.clock()
        plans: list[MatchPlan] = []
        models: dict[str, ModelRow] = {}
        failed: list[ShadowResult] = []
        for config, kind in wanted:
            entrants = self.world.entrants(config)
            model_id, _ = subject(entrants, self._rounds[config])
            model = None if model_id is None else entrants.model(model_id)
            if model is None:
                failed.append(self._failed(config, kind, "no model", 0.0))
                continue
            try:
                plans += round_plans(kind, model, entrants, self.settings, now_s)
            except RingriftError as error:
                failed.append(self._failed(config, kind, str(error), self.schedule.shadow_s))
                continue
            models |= {row.id: row for row in entrants.models if row.path is not None}
        with self._lock:
            self._playing = tuple(dict.fromkeys(plan.spec.config for plan in plans))
        try:
            return failed + self._played(plans, models)
        finally:
            with self._lock:
                self._playing = ()

    def _played(
        self, plans: Sequence[MatchPlan], models: Mapping[str, ModelRow]
    ) -> list[ShadowResult]:
        if not plans:
            return []
        until_s = time.monotonic() + LIMIT_S
        with self.world.open_store(True) as store:
            assert store is not None
            self.world.play(plans, store, models, lambda: self.stop() or time.monotonic() > until_s)
            for config in dict.fromkeys(plan.spec.config for plan in plans):
                self._read(store, config)
                self._alert(config)
            return [self._result(plan, store) for plan in plans]

    def _read(self, store: GameStore | None, config: str) -> None:
        found: list[Round] = []
        if store is not None:
            found = stored_rounds(
                store, config, lambda plan: self._result(plan, store), most=KNOWN_ROUNDS
            )
        with self._lock:
            self._rounds[config] = found

    def _result(self, plan: MatchPlan, store: GameStore) -> ShadowResult:
        """Return what is stored of a match; a complete one is read once."""
        if plan.hash in self._known:
            return self._known[plan.hash]
        result = stored(plan, store).result()
        found = ShadowResult.of_match(plan, result, _duration_s(plan, store))
        if result.complete:
            self._known[plan.hash] = found
        return found

    def _alert(self, config: str) -> None:
        rounds = self._rounds[config][-LAST_ROUNDS:]
        fell = drop(rounds, threshold=self.regression)
        if fell is None:
            self.world.resolve(ALERT, config)
            return
        told = "no win" if fell.elo is None else f"{fell.elo:+.0f} Elo"
        text = f"{short(fell.model_id)} against {short(fell.previous_id)}: {told} in two rounds"
        self.world.alert(ALERT, config, "critical", text, fell.values())


def _duration_s(plan: MatchPlan, store: GameStore) -> float | None:
    """Return the time from the first game's start to the storing of the last, None if unknown."""
    rows = store.rows(plan.spec.config, run=plan.hash)
    began = [row["played_at"] for row in rows if row["played_at"] is not None]
    ended = [row["ingested_at"] for row in rows if row["ingested_at"] is not None]
    return round(max(ended) - min(began), 3) if began and ended else None
