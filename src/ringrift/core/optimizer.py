"""Steer the number of workers so that a machine is used well and never too much (`core.md` 8).

A PID controller turns the distance of the most loaded resource from its target into a level, the
percent of the slots in use. Inside the aims the level trims the number of workers; far below them
workers are added, above them taken away, one increment at a time; at a critical limit their number
falls at once to what fits. Time and readings are handed in, so the same function steers a machine,
a cluster's sum and a simulated plant.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ringrift.core.targets import RESOURCES, Aim, Resource, Targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simple_pid import PID

    from ringrift.core.metrics import Metrics
    from ringrift.core.settings.machines import ResourceTargets

Action = Literal["up", "down", "trim", "hold", "critical", "slots", "unknown"]

_EPSILON = 1e-9  # 14 workers at 56 % fit 20 times into 80 %, not 19.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Hold the use of one resource in percent, and the part of it that is not ours."""

    used: float
    others: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Hold what an update is decided from; `None` is unknown and decides nothing.

    `games_per_hour` is what the workers make now, `demand_games_per_hour` what the loop can use.
    """

    workers: int
    cpu: Load | None = None
    gpu: Load | None = None
    memory: Load | None = None
    games_per_hour: float | None = None
    demand_games_per_hour: float | None = None

    def load(self, resource: Resource) -> Load | None:
        """Return the load of a resource by its name."""
        loads: dict[Resource, Load | None] = {
            "cpu": self.cpu,
            "gpu": self.gpu,
            "memory": self.memory,
        }
        return loads[resource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Say what an update decided and from what.

    `input`, `target` and `error` are percent of `resource`; the terms and `level` are percent of the
    slots. `games_per_hour` is the rate to ask for. All but the last six are `None` without a reading.
    """

    resource: Resource | None
    input: float | None
    target: float | None
    error: float | None
    proportional: float | None
    integral: float | None
    derivative: float | None
    level: float | None
    workers_before: int
    workers: int
    slots: int
    games_per_hour: float
    action: Action
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Hold the parameters of the controller; times in seconds, the gains per update."""

    kp: float
    ki: float
    kd: float
    integral_limit: float
    update_s: float
    smoothing: float
    large_error: float
    large_error_gain: float
    small_error: float
    small_error_gain: float
    hysteresis: float
    up_below: float
    down_above: float
    step_up: int
    step_down: int
    throughput_max: float
    rate_start: float
    rate_least: float
    rate_most: float

    @classmethod
    def from_settings(cls, settings: ResourceTargets) -> Control:
        """Take the parameters over from the section `resource_targets`."""
        pid = settings.pid
        return cls(
            kp=pid.kp,
            ki=pid.ki,
            kd=pid.kd,
            integral_limit=pid.integral_limit,
            update_s=pid.update_seconds,
            smoothing=pid.smoothing,
            large_error=pid.large_error,
            large_error_gain=pid.large_error_gain,
            small_error=pid.small_error,
            small_error_gain=pid.small_error_gain,
            hysteresis=settings.hysteresis_band,
            up_below=settings.scale_up_below,
            down_above=settings.scale_down_above,
            step_up=settings.scale_up_increment,
            step_down=settings.scale_down_increment,
            throughput_max=settings.throughput_max,
            rate_start=settings.selfplay_rate_start,
            rate_least=settings.selfplay_rate_min,
            rate_most=settings.selfplay_rate_max,
        )

    def gain(self, error: float) -> float:
        """Return the factor on all gains: quick far from the target, calm near it."""
        if abs(error) > self.large_error:
            return self.large_error_gain
        return self.small_error_gain if abs(error) < self.small_error else 1.0


class Optimizer:
    """Decide every `update_s` seconds how many workers may run and how many games to ask for."""

    def __init__(
        self,
        targets: Targets,
        control: Control,
        *,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.targets = targets
        self._control = control
        self._clock = clock
        self._metrics = metrics
        self._updated_s: float | None = None
        self._rate = control.rate_start
        self._pid: PID | None = None
        self._level = 0.0
        self._correcting = 0

    @property
    def due(self) -> bool:
        """Whether the last update is old enough for another one."""
        return self._updated_s is None or self._clock() - self._updated_s >= self._control.update_s

    def update(self, reading: Reading) -> Decision | None:
        """Decide from a reading; `None` while the last update is younger than `update_s`."""
        if not self.due:
            return None
        self._updated_s = self._clock()
        decision = self._decide(reading)
        if self._metrics is not None:
            self._metrics.set("ringrift_optimizer_workers", decision.workers)
            self._metrics.set("ringrift_optimizer_slots", decision.slots)
            self._metrics.set("ringrift_optimizer_games_per_hour", decision.games_per_hour)
        return decision

    def _decide(self, reading: Reading) -> Decision:
        resource = most_loaded(reading, self.targets)
        if resource is None:
            workers = min(reading.workers, self.targets.slots)
            return Decision(
                resource=None,
                input=None,
                target=None,
                error=None,
                proportional=None,
                integral=None,
                derivative=None,
                level=None,
                workers_before=reading.workers,
                workers=workers,
                slots=self.targets.slots,
                games_per_hour=self._ask(reading, workers),
                action="unknown" if workers == reading.workers else "slots",
                reason="no resource could be read",
            )
        aim, load = self.targets.aims[resource], reading.load(resource)
        assert load is not None, "the most loaded resource has been read"
        error = aim.target - load.used
        pid = self._control_pid(reading.workers, error)
        raw = pid(-error)
        assert raw is not None, "the controller answers every call"
        self._level += self._control.smoothing * (raw - self._level)
        terms = pid.components
        self._set_correcting(error)
        workers, action, reason = self._workers(reading, resource, aim, load)
        level = self._level
        self._follow(workers, overridden=action not in ("trim", "hold"))
        return Decision(
            resource=resource,
            input=load.used,
            target=aim.target,
            error=error,
            proportional=terms[0],
            integral=terms[1],
            derivative=terms[2],
            level=level,
            workers_before=reading.workers,
            workers=workers,
            slots=self.targets.slots,
            games_per_hour=self._ask(reading, workers),
            action=action,
            reason=reason,
        )

    def _workers(
        self, reading: Reading, resource: Resource, aim: Aim, load: Load
    ) -> tuple[int, Action, str]:
        """Return the number of workers, what was done, and why."""
        now, slots, control = reading.workers, self.targets.slots, self._control
        critical = critical_of(reading, self.targets)
        if critical is not None and now > 0:
            fits = min(now - 1, fitting(reading, self.targets), slots)
            return fits, "critical", f"{critical} is critical: {fits} workers fit"
        if now > slots:
            return slots, "slots", f"{slots} slots"
        if critical is not None:
            return now, "hold", f"{critical} is critical"
        used = f"{resource} {load.used:.1f} %"
        lower, upper = min(control.up_below, aim.minimum), min(control.down_above, aim.maximum)
        if load.used > upper:
            least = self.targets.least if resource == "cpu" else 1
            enough = max(least, fitting(reading, self.targets, at="target"))
            less = max(now - control.step_down, min(now, enough))
            if less == now:
                return now, "hold", f"{used}, but fewer than {now} would not help"
            return less, "down", f"{used} is above {upper:.0f} %"
        blocked = self._blocked(reading)
        most = min(slots, now if blocked else max(now, fitting(reading, self.targets)))
        if load.used < lower:
            more = min(most, now + control.step_up)
            words = f"{used} is below {lower:.0f} %"
            if more > now:
                return more, "up", words
            why = "no slot is left" if now == slots else blocked or "no more fit"
            return now, "hold", f"{words}, but {why}"
        wanted = round(self._level * slots / 100.0)
        step = min(max(wanted - now, -control.step_down), control.step_up)
        step = step if step * self._correcting > 0 else 0
        trimmed = min(max(now + step, 0), most)
        if trimmed != now:
            return trimmed, "trim", f"{used}, level {self._level:.0f} % of the slots"
        return now, "hold", f"{used}, target {aim.target:.0f} %"

    def _set_correcting(self, error: float) -> None:
        """Begin to correct outside the band, end when the error has changed its sign."""
        if abs(error) > self._control.hysteresis:
            self._correcting = 1 if error > 0 else -1
        elif error * self._correcting <= 0:
            self._correcting = 0

    def _control_pid(self, workers: int, error: float) -> PID:
        """Return the controller with the gains of this error, made at the first update."""
        control = self._control
        gain = control.gain(error)
        if self._pid is None:
            from simple_pid import PID

            self._pid = PID(
                setpoint=0.0,
                sample_time=None,
                output_limits=(-control.integral_limit, control.integral_limit),
                time_fn=lambda: self._clock() / control.update_s,
            )
            self._set_level(self._percent(workers))
        self._pid.tunings = (control.kp * gain, control.ki * gain, control.kd * gain)
        return self._pid

    def _follow(self, workers: int, *, overridden: bool) -> None:
        """Keep the level beside what was decided, or the integral would run away meanwhile."""
        low, high = self._percent(workers - 1), self._percent(workers + 1)
        if overridden:
            self._set_level(self._percent(workers))
        elif not low <= self._level <= high:
            self._set_level(min(max(self._level, low), high))

    def _set_level(self, level: float) -> None:
        """Restart the controller with an integral that holds `level`; the error pushes on from it."""
        assert self._pid is not None, "there is a level only beside a controller"
        self._level = level
        self._pid.set_auto_mode(enabled=False)
        self._pid.set_auto_mode(enabled=True, last_output=level)

    def _percent(self, workers: int) -> float:
        return 100.0 * workers / max(1, self.targets.slots)

    def _blocked(self, reading: Reading) -> str | None:
        """Return why no worker may be added, whatever is free; `None` if they may."""
        made, demand = reading.games_per_hour, reading.demand_games_per_hour
        if made is not None and demand is not None and made >= demand:
            return "the demand is met"
        if made is not None and made >= self._control.throughput_max:
            return f"{made:,.0f} games/h are enough"
        unread = [name for name in self.targets.aims if reading.load(name) is None]
        return f"{unread[0]} could not be read" if unread else None

    def _ask(self, reading: Reading, workers: int) -> float:
        """Return the games an hour to ask for: what the workers can make, never above demand."""
        control, wanted = self._control, self._rate
        if reading.workers > 0:
            made = reading.games_per_hour or self._rate  # nothing made yet says nothing
            wanted = made * workers / reading.workers
        wanted = self._rate + control.smoothing * (wanted - self._rate)
        self._rate = min(max(wanted, control.rate_least), control.rate_most)
        demand = reading.demand_games_per_hour
        return self._rate if demand is None else min(self._rate, max(0.0, demand))


def most_loaded(reading: Reading, targets: Targets) -> Resource | None:
    """Return the resource nearest to its target or farthest above; `None` without a reading."""
    ratios = {resource: load.used / aim.target for resource, aim, load in _known(reading, targets)}
    return max(ratios, key=lambda resource: ratios[resource], default=None)


def critical_of(reading: Reading, targets: Targets) -> Resource | None:
    """Return a resource at its critical limit; `None` if there is none.

    Of the processor only what others use counts, as everywhere (`core.md` 5): what we use of it is
    bounded by threads, and taking workers away one increment at a time is enough.
    """
    for resource, aim, load in _known(reading, targets):
        if (load.others if resource == "cpu" else load.used) >= aim.critical:
            return resource
    return None


def fitting(
    reading: Reading, targets: Targets, *, at: Literal["maximum", "target"] = "maximum"
) -> int:
    """Return how many workers keep every resource below a bound if all use the same.

    The slots bound it. Where the present ones use nothing that can be seen, all slots fit.
    """
    fits = targets.slots
    for resource, aim, load in _known(reading, targets):
        ours = load.used - load.others
        if reading.workers <= 0 or ours <= 0:
            continue
        bound = aim.maximum if at == "maximum" else aim.target
        room = reading.workers * max(0.0, bound - load.others)
        most = fits if room >= fits * ours else math.floor(room / ours + _EPSILON)
        if resource == "cpu" and load.others < aim.critical:
            most = max(most, targets.least)
        fits = min(fits, most)
    return fits


def _known(reading: Reading, targets: Targets) -> Iterator[tuple[Resource, Aim, Load]]:
    for resource in RESOURCES:
        load = reading.load(resource)
        if resource in targets.aims and load is not None:
            yield resource, targets.aims[resource], load
