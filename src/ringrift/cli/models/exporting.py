"""`ringrift models export`: a model for other programs (`models.md` 2)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.parts import (
    OUTPUT,
    OfBoard,
    OfConfig,
    OfPlayers,
    Reference,
    config_of,
    references,
)
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError


def export(
    model: Reference,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File.", rich_help_panel=OUTPUT),
    ] = None,
    form: Annotated[
        Literal["safetensors", "torch", "onnx"],
        typer.Option("--format", help="Form of the file.", rich_help_panel=OUTPUT),
    ] = "safetensors",
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    dry_run: DryRun = False,
) -> None:
    """Write a model for other programs.

    Reads the model and checks it as for play; writes FILE. safetensors is the model file as it is;
    torch a state dict that torch.load reads with weights_only; onnx, for a cnn, has the inputs
    planes [B, planes, H, W] and globals [B, 64] and was compared with torch to 1e-4. It needs the
    packages onnx and onnxruntime.

    Exit code 1 where ONNX and torch differ, 2 for a form that a kind does not have.

    Examples: ringrift models export champion --format onnx -o model.onnx |
    ringrift models export square8_2p --format torch -o weights.pt --json
    """
    run = current()
    path = references(run).file(model, config_of(board, players, config_key))
    if output is None:
        raise UsageError("where to?", where="--output", hint="-o FILE")
    fields = {"format": form, "output": str(output), "dry_run": dry_run}
    if dry_run:
        run.out.result(
            {"id": references(run).id(str(path)), "size_bytes": None, "difference": None, **fields},
            human=f"would write {path} as {form} to {output}",
        )
        return
    from ringrift.models.exporting import export as write

    made = write(path, form, output)
    apart = "" if made.difference is None else f", at most {made.difference:.1e} from torch"
    run.out.result(
        {**asdict(made), **fields},
        human=f"{output}: {made.size_bytes:,} bytes of {made.id[:12]} as {form}{apart}",
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)
