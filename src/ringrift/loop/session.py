"""Start the loop with its real parts: worker processes, trainer, guard, metrics, alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.host_table import HostTable
from ringrift.core.roles import hold_role
from ringrift.core.spawning import end_leftovers
from ringrift.core.watch import ResourceWatch
from ringrift.loop.control import LoopReport, run_loop
from ringrift.loop.guard import LoopGuard
from ringrift.loop.interfaces import Screen
from ringrift.loop.learn import ChildLearner
from ringrift.loop.players import Players
from ringrift.loop.telemetry import Telemetry, recorded, serving
from ringrift.loop.warm import warm

if TYPE_CHECKING:
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.plan import LoopPlan
    from ringrift.loop.report import GenerationReport
    from ringrift.loop.runs import Resume, Run

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one call of the loop is given beside its plan.

    `workers` is the number of processes; `metrics_port` None serves none, 0 takes a free one;
    `record` is kept in the run folder: settings with their origins, versions, the command.
    """

    workers: int
    mode: Resume
    record: Mapping[str, Any]
    metrics_port: int | None


def start_loop(
    plan: LoopPlan,
    settings: Settings,
    paths: Paths,
    session: Session,
    *,
    screen: Screen,
    stop: Callable[[], bool],
    on_generation: Callable[[GenerationReport], None] = lambda report: None,
) -> LoopReport:
    """Run the loop of one data root to its end, or until `stop` or a limit.

    Raises `BusyError` naming the holder where another loop works on this root or the port is taken.
    """
    telemetry = Telemetry(
        config=plan.config, training_timeout_s=settings.training.timeout_hours * HOUR_S
    )
    guard = LoopGuard(
        watch=ResourceWatch(settings.limits, paths.root),
        root=paths.root,
        config=plan.config,
        on_look=telemetry.look,
    )
    with ExitStack() as stack:
        if settings.safeguards.single_orchestrator:
            stack.enter_context(hold_role(paths.root, "orchestrator"))
        if settings.safeguards.kill_orphans_on_start:
            end_leftovers(paths.root)
        registered = HostTable.open().registered(
            category="orchestrator", command="loop run", root=paths.root
        )
        stack.enter_context(registered)
        server = stack.enter_context(serving(telemetry, settings, paths, port=session.metrics_port))
        if server is not None:
            screen.note(f"metrics on {server.url}/metrics")

        def begin(run: Run) -> None:
            words = "going on with" if run.resumed else "new run"
            screen.note(f"{words} {run.folder}")
            stack.enter_context(recorded(telemetry, run))
            warm(screen, stop)

        return run_loop(
            plan,
            paths,
            settings=session.record,
            mode=session.mode,
            screen=screen,
            stop=stop,
            make_workers=lambda: Players(
                workers=session.workers, objects=paths.model_objects, hold=guard.hold
            ),
            learner=ChildLearner(),
            guard=guard,
            threads=session.workers,
            on_begin=begin,
            on_generation=on_generation,
            observer=telemetry,
        )
