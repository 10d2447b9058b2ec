"""`ringrift bench train`: the training loop beside a bare one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ringrift.cli.bench.parts import Gate, Outcome, OutputFile, finish, show_plan
from ringrift.cli.engine import chosen_spec
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import Board, ConfigKey, DryRun, Players, Seed
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.training.request import Kind, Machine
    from ringrift.training.speed import SpeedResult

NAMES: dict[str, Kind] = {"nn": "cnn", "nnue": "nnue", "nnue-policy": "nnue-policy"}


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("train")(train)


def train(
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="LIST", help="nn, nnue, nnue-policy, or a comma list."),
    ] = "nn,nnue,nnue-policy",
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    model_size: Annotated[
        Literal["tiny", "small", "medium", "large"],
        typer.Option("--model-size", help="Of the convolutional net."),
    ] = "tiny",
    hidden_dim: Annotated[int, typer.Option("--hidden-dim", min=32, help="Of the NNUE.")] = 256,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", min=2, help="Samples of a step [default: 256, of nnue alone 512]."
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=256, help="Least training samples to make.")
    ] = 4096,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="Of each loop and turn, about.")
    ] = 2.0,
    streaming: Annotated[
        bool,
        typer.Option(
            "--streaming", help="Encode the positions of the convolutional net in every epoch."
        ),
    ] = False,
    repeat: Annotated[
        int,
        typer.Option("--repeat", min=1, help="Turns of the loops; the interval needs 6 at least."),
    ] = 9,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        typer.Option("--device", help="Device.", rich_help_panel="Machine"),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            help="Threads of the net [default: thread budget].",
            rich_help_panel="Machine",
        ),
    ] = None,
    seed: Seed = 42,
    output: OutputFile = None,
    gate: Gate = False,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Measure the training loop beside a bare one, and the batches alone.

    The bare loop takes the same net, loss, optimiser and type of numbers (float32, on CUDA bfloat16)
    on batches that lie on the device already, and does nothing else: no clipping, no average, no
    measurements. Both run in turns in one process; the ratio is the median over the turns, with its
    95 % interval. Feed says how fast batches are made, in shares of what the bare loop takes.

    Makes random games in memory; reads nothing; appends to runs/bench/train.jsonl where there is a
    data root. The gate demands 95 % of the bare loop of nn, 90 % of the NNUE, and a feed that keeps
    up.

    Examples: ringrift bench train --kind nn --repeat 6 --seconds 1 |
    ringrift bench train --kind nnue,nnue-policy --threads 1 --json
    """
    run = current()
    kinds = _kinds(kind)
    spec = chosen_spec(config_key, board, players, None)
    sizes = {"samples": samples, "seconds": seconds, "repeat": repeat, "seed": seed}
    if dry_run:
        what = {"kinds": kinds, "configuration": spec.config, "device": device}
        show_plan(run, {**what, **sizes})
        return
    ready_for(run, producing=False, gpu=device == "cuda", memory_gb=2.0, wait=not no_wait)
    from ringrift.training.request import Shape
    from ringrift.training.speed import measure_kind, random_samples

    machine = _machine(device, threads)
    found: list[SpeedResult] = []
    with run.out.progress() as progress:
        task = progress.task("making games", total=len(kinds) * repeat, unit="turns")
        tables = random_samples(spec.config, samples=samples, seed=seed)
        for name in kinds:
            task.update(task.done, name=name)
            found.append(
                measure_kind(
                    NAMES[name],
                    tables,
                    shape=Shape(size=model_size, hidden=hidden_dim),
                    machine=machine,
                    batch_size=batch_size,
                    seconds=seconds,
                    rounds=repeat,
                    seed=seed,
                    streaming=streaming,
                    on_round=task.advance,
                )
            )
        task.finish()
    rows = [result.row for result in found]
    finish(
        run,
        Outcome(
            fields={"results": rows, **sizes},
            figures=[figure for result in found for figure in result.figures],
            checks=[check for result in found for check in result.checks],
        ),
        output=output,
        gate=gate,
        human=_table(run, rows),
    )


def _kinds(text: str) -> list[str]:
    kinds = [word.strip() for word in text.split(",")]
    for word in kinds:
        if word not in NAMES:
            raise UsageError(
                f"unknown kind {word!r}", where="--kind", hint=f"one of {', '.join(NAMES)}"
            )
    return kinds


def _machine(device: str, threads: int | None) -> Machine:
    from dataclasses import replace

    from ringrift.training.devices import find_machine

    machine = find_machine(device)
    return machine if threads is None else replace(machine, threads=threads)


def _table(run: Invocation, rows: list[dict[str, Any]]) -> RenderableType:
    columns = [
        Column("kind"),
        Column("configuration"),
        Column("device"),
        Column("threads", number=True),
        Column("batch", number=True),
        Column("trainer, samples/s", number=True),
        Column("bare, samples/s", number=True),
        Column("ratio", number=True),
        Column("low", number=True),
        Column("high", number=True),
        Column("feed", number=True),
    ]
    return run.out.table(
        columns,
        [
            [
                row["kind"],
                row["configuration"],
                row["device"],
                row["threads"],
                row["batch_samples"],
                round(row["trainer_samples_per_s"]["median"]),
                round(row["bare_samples_per_s"]["median"]),
                row["ratio"],
                row["ratio_low"],
                row["ratio_high"],
                row["feed_ratio"],
            ]
            for row in rows
        ],
    )
