"""Play matches on the nodes of a hub: file their jobs, follow the store (`evaluation.md` 3).

The jobs of a plan are fixed parts of it, so the same match filed again is the same jobs. The games come
into the store the way of all games; here the store is only read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import read_state
from ringrift.cluster.jobs import NORMAL, Job, JobQueue, Needs
from ringrift.cluster.keys import node_key
from ringrift.cluster.lease import LEADER, holder_of
from ringrift.cluster.streams import Subjects
from ringrift.core.alert_messages import node_name
from ringrift.core.errors import NotRunningError, RingriftError
from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.core.versions import rules_hash
from ringrift.evaluation.matches import MatchAborted
from ringrift.loop.job_specs import MatchSpec
from ringrift.loop.jobs_of import GPU_GB

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.evaluation.matches import Wanted
    from ringrift.evaluation.plans import MatchGame, MatchPlan
    from ringrift.records.record import GameRecord
    from ringrift.records.store import GameStore

log = get_logger(__name__)

T = TypeVar("T")

BLOCKS_A_JOB = 8
MOST_ATTEMPTS = 3
"""Times that a job is filed whose games did not come, or that somebody cancelled."""
LOST_AFTER_S = 120.0
"""How long after a job's end its games may take into the store."""
FOLLOW_S, QUEUE_S = 0.25, 1.0
LEADERLESS_S = 45.0
"""How long jobs are left to a hub where nobody leads; another loop takes over by then."""
STARTING_S = 60.0
"""How long a loop may take to make its store."""
CALL_S = 60.0


class JobFailed(RingriftError):
    """A job of a match failed on the nodes as often as it may."""

    exit_code = 5


class HubPlayers:
    """Plays matches as jobs of one hub, with the place of `MatchPlayers`.

    `device` is torch's name of the place where convolutional nets are evaluated; `timeout_s` is the
    time limit of a job.
    """

    def __init__(
        self, bus: Bus, subjects: Subjects, *, device: str = "cpu", timeout_s: float
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._needs = Needs() if device == "cpu" else Needs(gpu=1, gpu_mem_gb=GPU_GB)
        self._timeout_s = timeout_s

    def play(self, wanted: Wanted, store: GameStore, stop: Callable[[], bool]) -> _Following:
        """File the jobs of some matches; iterating yields their games once the store has them."""
        queue = JobQueue(self._bus.js, self._subjects)
        parts = [part for plan, games in wanted for part in self._parts(plan, games)]
        return _Following(self._bus, queue, store, stop, parts, [plan for plan, _ in wanted])

    def _parts(self, plan: MatchPlan, games: Sequence[MatchGame]) -> Iterator[_Part]:
        size = BLOCKS_A_JOB * plan.players
        missing = {game.index for game in games}
        for chunk in sorted({index // size for index in missing}):
            numbers = tuple(range(chunk * size, min(plan.games, (chunk + 1) * size)))
            job = self._job(plan, numbers)
            yield _Part(plan, numbers, missing.intersection(numbers), job)

    def _job(self, plan: MatchPlan, games: tuple[int, ...]) -> Job:
        config = plan.spec.config
        spec = MatchSpec(config=config, plan=plan.text.decode(), games=games)
        return Job(
            kind="match",
            config=config,
            spec={**spec.model_dump(), "games": list(games)},
            timeout_s=self._timeout_s,
            rules_hash=rules_hash(),
            needs=self._needs,
            prio=NORMAL,
            reason=f"match {short(plan.hash)}, games {games[0]} to {games[-1]}",
        )


@dataclass(slots=True)
class _Part:
    """Some games of a plan and the job that plays them; `missing` are those not stored yet.

    `filed` is how often this process filed it.
    """

    plan: MatchPlan
    games: tuple[int, ...]
    missing: set[int]
    job: Job
    filed: int = 0

    @property
    def name(self) -> str:
        return f"games {self.games[0]} to {self.games[-1]}"

    def renew(self) -> None:
        """Take another job for the same games."""
        attempt = self.job.spec["attempt"] + 1
        self.job = replace(self.job, spec={**self.job.spec, "attempt": attempt})


@dataclass(slots=True)
class _Following:
    """The games of some matches on their way through queue, nodes and collector."""

    bus: Bus
    queue: JobQueue
    store: GameStore
    stop: Callable[[], bool]
    parts: list[_Part]
    plans: Sequence[MatchPlan]
    _seq: dict[str, int] = field(default_factory=dict)
    _led_s: float = field(default_factory=time.monotonic)

    def __iter__(self) -> Iterator[GameRecord]:
        look_s = 0.0
        try:
            while self.parts and not self.stop():
                if time.monotonic() >= look_s:
                    self._tend()
                    look_s = time.monotonic() + QUEUE_S
                came = False
                for record in self._stored():
                    came = True
                    yield record
                if not came and self.parts:
                    time.sleep(FOLLOW_S)
        finally:
            self._cancel(self.parts)

    def again(self, plan: MatchPlan, game: MatchGame) -> None:
        """Do nothing: a job plays an aborted game again itself."""

    def leave(self, plan: MatchPlan) -> None:
        """Cancel what is open of a match."""
        over = [part for part in self.parts if part.plan.hash == plan.hash]
        self.parts = [part for part in self.parts if part.plan.hash != plan.hash]
        self._cancel(over)

    def _stored(self) -> Iterator[GameRecord]:
        """Yield the games that came into the store since the last look."""
        for plan in self.plans:
            if not any(part.plan.hash == plan.hash for part in self.parts):
                continue
            found = self.store.records(
                plan.spec.config,
                purpose="match",
                run=plan.hash,
                after_seq=self._seq.get(plan.hash, 0),
            )
            for seq, record, _ in found:
                self._seq[plan.hash] = seq
                for part in self.parts:
                    if part.plan.hash == plan.hash:
                        part.missing.discard(-1 if record.meta.index is None else record.meta.index)
                yield record
        self.parts = [part for part in self.parts if part.missing]

    def _tend(self) -> None:
        """File what is neither open nor done, and look at what came of the others.

        Raises `MatchAborted` for a game that was aborted twice, `JobFailed` for a job that was given
        up, `NotRunningError` where nobody leads for long.
        """
        try:
            open_jobs = {found.job.id for found in self._run(self.queue.open())}
            self._check_led()
        except NotRunningError:
            if time.monotonic() - self._led_s > LEADERLESS_S:
                raise
            return  # the hub comes back
        new = [part for part in self.parts if part.job.id not in open_jobs and self._is_due(part)]
        for part in new:
            if part.filed >= MOST_ATTEMPTS:
                raise JobFailed(
                    f"{part.name} did not come in {part.filed} attempts",
                    where=f"match {short(part.plan.hash)}",
                    hint="ringrift data quarantine list",
                )
            part.filed += 1
        if new:
            self._run(self.queue.file_all([part.job for part in new]))

    def _is_due(self, part: _Part) -> bool:
        """Tell whether a part is to be filed, as another job where one came to nothing.

        Raises for one that this process filed and that ended badly.
        """
        while (result := self._run(self.queue.result(part.job.id))) is not None:
            aborted = result.numbers.get("aborted") or ()
            if part.filed and result.status == "failed":
                why = (result.error or {}).get("message", "no reason is known")
                place = f"match {short(part.plan.hash)}, job {short(result.job_id)}"
                raise JobFailed(f"{part.name}: {why}", where=place)
            if part.filed and aborted:
                told = aborted[0]
                raise MatchAborted.twice(part.plan, told["game"], told["ply"], told["reason"])
            lost = time.time() - result.ended_at >= LOST_AFTER_S
            if result.status == "done" and not aborted and not lost:
                return False
            part.renew()
        return True

    def _check_led(self) -> None:
        """Raise `NotRunningError` where nobody has led this hub's jobs for long."""
        if not self._run(holder_of(self.bus.js, LEADER)).free:
            self._led_s = time.monotonic()
        elif time.monotonic() - self._led_s > LEADERLESS_S:
            raise not_led()

    def _cancel(self, parts: Sequence[_Part]) -> None:
        """Take what is open of some parts out of the queue; whoever plays them stops."""
        with suppress(NotRunningError):  # without a hub nothing of it is played
            known = {found.job.id for found in self._run(self.queue.open())} if parts else set()
            for part in parts:
                if part.job.id in known:
                    cancelling = self.queue.cancel(
                        part.job.id, by=self.bus.node, reason="the match is over"
                    )
                    self._run(cancelling)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.bus.run(work, timeout_s=CALL_S)


@contextmanager
def hub_players(paths: Paths, settings: Settings, *, device: str = "cpu") -> Iterator[HubPlayers]:
    """Connect to the hub of a root; raises `NotRunningError` where none runs or nobody leads it."""
    state = read_state(paths.cluster / "hub")
    if state is None or not state.process.alive:
        raise no_bus()
    key = node_key(paths.cluster / "node.nk")
    with Bus(state.url, key, node=node_name(), ping_s=settings.cluster.ping_seconds) as bus:
        if bus.run(holder_of(bus.js, LEADER)).free:
            raise not_led()
        yield HubPlayers(
            bus,
            Subjects(prefix=settings.cluster.subject_prefix),
            device=device,
            timeout_s=float(settings.tournament.tournament_timeout_seconds),
        )


@contextmanager
def followed(path: Path) -> Iterator[GameStore]:
    """Open the store of a loop to read; where the loop is just starting, once it is made."""
    from ringrift.records.store import GameStore

    end_s = time.monotonic() + STARTING_S
    while True:
        try:
            store = GameStore.open(path)
        except RingriftError:
            if time.monotonic() >= end_s:
                raise
            time.sleep(FOLLOW_S)
        else:
            break
    with store:
        yield store


def no_bus() -> NotRunningError:
    """Return the error of a root without a running hub."""
    return NotRunningError(
        "no job bus is running",
        where="--distributed",
        hint="ringrift loop start; without --distributed on this machine",
    )


def not_led() -> NotRunningError:
    """Return the error of a hub whose jobs nobody looks after."""
    return NotRunningError(
        "the hub runs, but no loop leads its jobs",
        where="--distributed",
        hint="ringrift loop start; the same command then goes on",
    )
