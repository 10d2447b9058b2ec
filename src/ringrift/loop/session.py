"""The loop of one data root with its real parts: hub, keeper, agent, control, and who watches.

Everything is started in the order in which it is needed and ended in the opposite one; what was killed
in between is found again: the hub by its file, jobs in its queue, games in spool and store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringrift.cluster.agent import NodeAgent
from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import Hub
from ringrift.cluster.keys import node_key
from ringrift.cluster.lease import LEADER, Lease
from ringrift.cluster.results_log import ResultsLog
from ringrift.cluster.sender import Sender
from ringrift.cluster.spool import Spool
from ringrift.cluster.streams import Subjects, ensure, games_bytes
from ringrift.cluster.waiting import Hold
from ringrift.core.alert_messages import node_name
from ringrift.core.files import lock, write_atomic
from ringrift.core.host_table import HostTable
from ringrift.core.ids import canonical_json
from ringrift.core.limits import thread_budget
from ringrift.core.log import get_logger
from ringrift.core.readings import read_gpus, read_memory
from ringrift.core.roles import hold_role
from ringrift.core.spawning import end_leftovers
from ringrift.core.versions import rules_hash
from ringrift.core.watch import ResourceWatch
from ringrift.loop.control import Control
from ringrift.loop.events import Events
from ringrift.loop.guard import ALL, Held, LoopGuard
from ringrift.loop.history import History
from ringrift.loop.hub_jobs import HubJobs
from ringrift.loop.job_specs import checked
from ringrift.loop.keeper import HubAccess, Keeper
from ringrift.loop.observer import Observer
from ringrift.loop.plan import Conditions
from ringrift.loop.resuming import resumed
from ringrift.loop.run_options import RunOptions, RunSummary
from ringrift.loop.telemetry import Telemetry, serving
from ringrift.loop.warm import warm
from ringrift.loop.watching import LoopAlerts
from ringrift.loop.work import WORK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.core.limits import Verdict
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.showing import Screen

log = get_logger(__name__)

LOCK = "loop.lock"
LOOK_S = 0.25
LEAD_LIMIT_S = 20.0
DRAIN_S = 30.0
LAST_GAMES_S = 15.0
MINUTE_S = 60.0
GIB = 1 << 30


def run(
    settings: Settings,
    paths: Paths,
    options: RunOptions,
    screen: Screen,
    stop: Callable[[], bool],
) -> RunSummary:
    """Run the loop of one data root until `stop`, or until what the options name is reached.

    Raises `BusyError` naming the holder where another loop works on this root or a port is taken.
    """
    with ExitStack() as stack:
        stack.enter_context(lock(paths.coordination / LOCK, what="loop"))
        if settings.safeguards.single_orchestrator:
            stack.enter_context(hold_role(paths.root, "orchestrator"))
        if settings.safeguards.kill_orphans_on_start:
            end_leftovers(paths.root)
        table = HostTable.open()
        stack.enter_context(
            table.registered(category="orchestrator", command="loop run", root=paths.root)
        )
        paths.loop.mkdir(parents=True, exist_ok=True)
        write_atomic(paths.loop / "run.json", canonical_json(dict(options.record)) + b"\n")
        return _Session(settings, paths, options, screen, stop, stack).run()


@dataclass(slots=True)
class _Session:
    """The parts of one run; each is entered into `stack`."""

    settings: Settings
    paths: Paths
    options: RunOptions
    screen: Screen
    stop: Callable[[], bool]
    stack: ExitStack
    telemetry: Telemetry = field(default_factory=Telemetry)
    began_at: float = field(default_factory=time.time)
    gpus: int = field(default_factory=lambda: len(read_gpus()))

    def run(self) -> RunSummary:
        began_s = time.monotonic()
        settings, paths, options = self.settings, self.paths, self.options
        server = self.stack.enter_context(
            serving(self.telemetry, settings, paths, port=options.metrics_port)
        )
        if server is not None:
            self.screen.note(f"metrics on {server.url}/metrics")
        look = self.stack.enter_context(_looking(settings, paths, options.configs))
        subjects = Subjects(prefix=settings.cluster.subject_prefix)
        hub, bus = self._hub(subjects)
        access = HubAccess(
            url=hub.state.url,
            key=paths.cluster / "node.nk",
            node=bus.node,
            prefix=subjects.prefix,
        )
        keeper = self.stack.enter_context(
            Keeper(paths, settings, configs=options.configs, hub=access, seed=options.seed)
        )
        lease = self.stack.enter_context(
            Lease(
                bus,
                key=LEADER,
                ttl_s=settings.cluster.lease_ttl_seconds,
                incarnation=lambda: hub.state.incarnation,
                node=bus.node,
                alone=True,
            )
        )
        warm(self.screen.step, self.stop)
        spool = self.stack.enter_context(
            Spool(
                paths.spool / "spool.db",
                most_bytes=int(settings.cluster.spool_max_gb * 1e9),
            )
        )
        sender = self.stack.enter_context(
            Sender(bus, spool, min_replicas=settings.cluster.min_replicas)
        )
        results = ResultsLog(bus, subjects)
        news = threading.Event()
        lease.wait(LEAD_LIMIT_S)
        workers = options.workers or settings.selfplay.max_concurrent_workers or thread_budget()
        if not settings.loop.local_tasks:
            workers = 0
        agent = self._agent(bus, subjects, spool, look, workers, news)
        observer = self._observer(look, agent, spool)
        control = Control(
            settings=settings,
            options=options,
            facts=keeper,
            jobs=HubJobs(
                bus, subjects, results, lease, repair=lambda: self._make_streams(bus, subjects)
            ),
            conditions=lambda: self._conditions(lease, workers),
            look=lambda: look.held,
            on_pass=observer.on_pass,
            news=news,
        )
        try:
            why, last = control.run(self.stop)
        finally:
            agent.drain(DRAIN_S)
            sender.drain(LAST_GAMES_S)
            observer.end()
        facts = () if last is None else last.gathered.facts
        first_s = observer.history.first_started_at or self.began_at
        summary = RunSummary(
            ended=why,
            cycles=control.cycles(facts),
            seconds=time.monotonic() - began_s,
            champions={each.config: each.champion for each in facts},
            milestones={
                each.config: {
                    name: (at - first_s) / MINUTE_S for name, at in each.milestones.items()
                }
                for each in facts
            },
        )
        observer.history.ended(why)
        return summary

    def _hub(self, subjects: Subjects) -> tuple[Hub, Bus]:
        settings, paths = self.settings, self.paths
        key = node_key(paths.cluster / "node.nk")
        hub = self.stack.enter_context(
            Hub(paths.cluster / "hub", users=(key.public,), binary=settings.cluster.hub_binary)
        )
        bus = self.stack.enter_context(
            Bus(hub.state.url, key, node=node_name(), ping_s=settings.cluster.ping_seconds)
        )
        self._make_streams(bus, subjects)
        return hub, bus

    def _make_streams(self, bus: Bus, subjects: Subjects) -> None:
        size = games_bytes(self.paths.cluster, self.settings.cluster.games_max_gb)
        bus.run(ensure(bus.js, subjects, games_bytes=size))

    def _agent(
        self,
        bus: Bus,
        subjects: Subjects,
        spool: Spool,
        look: _Looking,
        workers: int,
        news: threading.Event,
    ) -> NodeAgent:
        memory = read_memory()
        share = self.settings.limits.memory_warning / 100
        agent = NodeAgent(
            bus,
            subjects,
            slots=workers,
            gpus=self.gpus,
            memory_gb=None if memory is None else share * memory.total_bytes / GIB,
            work={str(kind): name for kind, name in WORK.items()},
            check=checked,
            root=self.paths.root,
            node=bus.node,
            spool=spool,
            rules_hash=rules_hash(),
            hold=look.hold,
            on_ended=news.set,
        )
        look.workers = lambda: [job.pid for job in agent.jobs if job.pid is not None]
        return self.stack.enter_context(agent)

    def _observer(self, look: _Looking, agent: NodeAgent, spool: Spool) -> Observer:
        def told(event: dict[str, object]) -> None:
            self.telemetry.event(event)
            self.screen.event(event)

        history = History(Events(self.paths.root / self.settings.log_dir, on_event=told))
        history.began(self.began_at, profile=self.options.profile, seed=self.options.seed)
        return Observer(
            root=self.paths.root,
            profile=self.options.profile,
            settings=self.settings,
            history=history,
            telemetry=self.telemetry,
            alerts=LoopAlerts(settings=self.settings.alerting),
            screen=self.screen,
            jobs=lambda: agent.jobs,
            verdicts=lambda: look.verdicts,
            failures=lambda: agent.failures,
            spool_oldest_s=lambda: spool.state().oldest_s,
        )

    def _conditions(self, lease: Lease, slots: int) -> Conditions:
        """Return the moment as a pass sees it, without what the guard says."""
        return Conditions(
            now=time.time(),
            rules_hash=rules_hash(),
            slots=slots,
            seed=self.options.seed,
            term=lease.term,
            resumed=resumed(self.paths.root, self.options.configs),
            stages=self.options.stages,
            mode=self.options.mode,
            started_at=self.began_at,
            triggers=self.options.triggers,
            timed=self.options.timed_work,
            device="cuda" if self.gpus else "cpu",
            hyperparameters=self.options.hyperparameters(),
        )


class _Looking:
    """Looks at the machine and the halt files again and again, in a thread of its own."""

    def __init__(self, guard: LoopGuard) -> None:
        self._guard = guard
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)
        self.verdicts: Sequence[Verdict] = ()
        self.held = Held()
        self.workers: Callable[[], Sequence[int]] = tuple

    def start(self) -> None:
        """Take a first look and go on looking."""
        self.held = self._guard.look()
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def hold(self) -> Hold:
        """Return what the agent may not do now."""
        held = self.held
        return Hold(
            new_producing=held.level != "ok",
            anything=held.level == "critical" or ALL in held.halted,
            end=held.end,
            halted=held.halted,
        )

    def _run(self) -> None:
        ending = False
        while not self._stopping.wait(LOOK_S):
            held = self._guard.look()
            if held.end and not ending:
                self._guard.workers_end(self.workers())
            ending = held.end
            self.held = held


@contextmanager
def _looking(settings: Settings, paths: Paths, configs: Sequence[str]) -> Iterator[_Looking]:
    """Look at the machine while the block runs."""

    def judged(verdicts: Sequence[Verdict]) -> None:
        looking.verdicts = verdicts

    looking = _Looking(
        LoopGuard(
            watch=ResourceWatch(settings.limits, paths.root),
            root=paths.root,
            configs=configs,
            on_look=judged,
        )
    )
    looking.start()
    try:
        yield looking
    finally:
        looking.stop()
