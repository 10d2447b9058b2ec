"""`ringrift bench gpu-cpu`: one CPU core and a CUDA device beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.bench.parts import (
    Gate,
    Outcome,
    OutputFile,
    board_spec,
    configurations,
    finish,
    show_plan,
)
from ringrift.cli.completion import complete_boards
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun, Seed

if TYPE_CHECKING:
    from ringrift.agents.benchmarks.gpu_cpu import DevicePair


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("gpu-cpu")(gpu_cpu)


def gpu_cpu(
    boards: Annotated[
        str,
        typer.Option(
            "--board",
            "--boards",
            metavar="LIST",
            help="Comma list of boards, or all.",
            autocompletion=complete_boards,
        ),
    ] = "all",
    players: Annotated[
        str, typer.Option("--players", "--num-players", metavar="LIST", help="2, 3, 4 or a list.")
    ] = "2",
    states: Annotated[
        int, typer.Option("--states", min=1, help="Positions, and games, in a batch.")
    ] = 10,
    iterations: Annotated[
        int,
        typer.Option("--iterations", "--repeat", min=1, help="Timed iterations over the batch."),
    ] = 20,
    seed: Seed = 42,
    output: OutputFile = None,
    gate: Gate = False,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Compare evaluation and random playouts on one CPU core and a GPU.

    The batch is evaluated by the heuristic (27 features), then as many random games are played;
    times on the GPU include the copies to and fro. Both devices must find the same. Without a CUDA
    device its columns are unknown and the gate is not run; it is passed where the GPU is at least
    three times as fast in everything that was measured.

    Reads nothing; appends to runs/bench/gpu-cpu.jsonl where there is a data root.

    Examples: ringrift bench gpu-cpu --board square8 --states 4096 |
    ringrift bench gpu-cpu --iterations 5 --json

    was: benchmark_gpu_cpu.py
    """
    from ringrift.agents.benchmarks.gpu_cpu import gpu_reason, measure_devices

    run = current()
    configs = configurations(boards, players)
    reason = gpu_reason()
    sizes = {"states": states, "iterations": iterations, "seed": seed}
    if dry_run:
        show_plan(run, {"configurations": configs, "without_gpu": reason, **sizes})
        return
    ready_for(run, producing=False, gpu=reason is None, wait=not no_wait)
    if reason is not None:
        run.out.note(f"GPU not measured: {reason}")
    rounds = len(configs) * iterations * 2 * (1 if reason else 2)
    pairs: list[DevicePair] = []
    with run.out.progress() as progress:
        task = progress.task("compiling", total=rounds, unit="iterations")
        for config in configs:
            task.update(task.done, name=config)
            pairs += measure_devices(
                board_spec(config),
                states=states,
                iterations=iterations,
                seed=seed,
                gpu=reason is None,
                on_iteration=task.advance,
            )
        task.finish()
    checks = [check for pair in pairs if (check := pair.check()) is not None]
    columns = [
        Column("configuration"),
        Column("operation"),
        *(
            Column(f"{device} {name}", number=True)
            for device in ("CPU", "GPU")
            for name in ("avg ms", "min", "max", "std", "per s")
        ),
        Column("speed-up", number=True),
    ]
    finish(
        run,
        Outcome(
            fields={
                "results": [pair.as_tree() for pair in pairs],
                "gpu_reason": reason,
                "gate_passed": all(check.passed for check in checks) if checks else None,
                **sizes,
            },
            figures=[figure for pair in pairs for figure in pair.figures()],
            checks=checks,
            not_run=reason,
        ),
        output=output,
        gate=gate,
        human=run.out.table(columns, [_cells(pair) for pair in pairs]),
    )


def _cells(pair: DevicePair) -> list[Any]:
    gpu = [None] * 5 if pair.gpu is None else list(pair.gpu.as_tree().values())
    return [pair.config, pair.operation, *pair.cpu.as_tree().values(), *gpu, pair.speedup]
