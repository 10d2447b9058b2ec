"""`ringrift loop plan`: one pass of the loop that changes nothing."""

from __future__ import annotations

import time
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.loop.options import Options, asked
from ringrift.cli.option_sets import command_of
from ringrift.cli.output import Column

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.loop.options import Asked
    from ringrift.core.paths import Paths
    from ringrift.loop.plan import Conditions, Plan

NAMES = ("profile", "configs", "only", "mode", "min_games", "seed", "workers")


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    assert set(NAMES) <= {field.name for field in fields(Options)}
    app.command("plan")(command_of(plan, Options, NAMES, defaults={}, shown={}))


def plan(options: Options) -> None:
    """Show what the loop would do now: states, gates with their numbers, jobs.

    Reads games, models and decisions of the data root as a pass of the loop does; writes nothing and
    needs no running loop. Jobs that a running loop has filed already are shown too: filing the same
    job again changes nothing.

    Examples: ringrift loop plan | ringrift loop plan --profile quick --json

    was: unified_ai_loop.py --dry-run, multi_config_training_loop.py --dry-run
    """
    invocation = current()
    show_plan(invocation, asked(invocation, options))


def show_plan(invocation: Invocation, wanted: Asked) -> None:
    """Print the plan of one pass."""
    paths = invocation.paths(create=False)
    found = make_plan(paths, wanted)
    fields_of = {
        "profile": wanted.run.profile,
        "configs": {each.config: _config(each) for each in found.configs},
        "jobs": [
            {"id": job.id, "kind": job.kind, "config": job.config, "reason": job.reason}
            for job in found.jobs
        ],
        "actions": [{"kind": type(action).__name__, **asdict(action)} for action in found.actions],
        "warnings": list(found.warnings),
    }
    invocation.out.result(fields_of, human=lambda console: show(found, console))


def make_plan(paths: Paths, wanted: Asked) -> Plan:
    """Gather the facts in this process and reconcile once."""
    from ringrift.loop.gathering import gather_readonly
    from ringrift.loop.plan import JobsSeen
    from ringrift.loop.reconciler import reconcile

    settings, run = wanted.loaded.values, wanted.run
    now = time.time()
    facts = gather_readonly(paths, settings, now, configs=run.configs, seed=run.seed)
    return reconcile(facts, JobsSeen(), settings, conditions_of(paths, wanted, now))


def conditions_of(paths: Paths, wanted: Asked, now: float) -> Conditions:
    """Return the conditions of this machine at this moment."""
    from ringrift.core.limits import thread_budget
    from ringrift.core.readings import prime
    from ringrift.core.versions import rules_hash
    from ringrift.core.watch import ResourceWatch
    from ringrift.loop.guard import LoopGuard
    from ringrift.loop.plan import Conditions
    from ringrift.loop.resuming import resumed

    run = wanted.run
    prime()
    watch = ResourceWatch(wanted.loaded.values.limits, paths.root)
    held = LoopGuard(watch=watch, root=paths.root, configs=run.configs).look()
    return Conditions(
        now=now,
        rules_hash=rules_hash(),
        slots=run.workers or thread_budget(),
        seed=run.seed,
        held=held.halted,
        resumed=resumed(paths.root, run.configs),
        guard=held.level,
        guard_reasons=held.reasons,
        stages=run.stages,
        mode=run.mode,
        started_at=now,
        timed=run.timed_work,
        hyperparameters=run.hyperparameters(),
    )


def _config(each: Any) -> dict[str, Any]:
    return {
        "state": each.state,
        "reason": each.reason,
        "gates": [asdict(gate) for gate in each.gates],
        "trigger": each.trigger,
        "new_games": each.new_games,
        "share": each.share,
        "weight": each.weight,
        "preset": each.preset,
        "simulations": each.simulations,
        "signals": [signal.kind for signal in each.signals],
    }


def show(found: Plan, console: Console) -> None:
    """Print each configuration with its gates, then jobs and decisions."""
    out = current().out
    for each in found.configs:
        console.print(f"{each.config}  {each.state}: {each.reason}", soft_wrap=True)
        rows = [(gate.name, gate.value, gate.limit, gate.passed, gate.words) for gate in each.gates]
        columns = [
            Column("gate"),
            Column("value", number=True),
            Column("limit", number=True),
            Column("passed"),
            Column("in words"),
        ]
        if rows:
            console.print(out.table(columns, rows))
    lines = [f"would file: {job.kind} {job.config}: {job.reason}" for job in found.jobs]
    lines += [f"would write: {type(action).__name__} {action.config}" for action in found.actions]
    lines += [f"warning: {words}" for words in found.warnings]
    console.print("\n".join(lines) or "nothing to file", soft_wrap=True)
