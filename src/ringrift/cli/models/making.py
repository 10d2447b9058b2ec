"""`ringrift models init`, `import` and `average`: models that no training makes (`models.md` 1, 2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ringrift.cli.completion import complete_models
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import (
    Label,
    OfBoard,
    OfConfig,
    OfPlayers,
    config_of,
    models_folder,
    references,
)
from ringrift.cli.shared_options import Board, DryRun, Players, Seed
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ringrift.rules import BoardSpec

Kind = Annotated[
    Literal["cnn", "nnue", "nnue-policy"],
    typer.Option("--kind", help="Convolutional net, or NNUE with or without a policy head."),
]


def init(
    board: Board = "square8",
    players: Players = 2,
    kind: Kind = "cnn",
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            "--model-size",
            metavar="SIZE",
            help="Of a cnn: micro, tiny, small, medium or large [default: small].",
        ),
    ] = None,
    hidden_dim: Annotated[
        int | None,
        typer.Option(
            "--hidden-dim", metavar="H", help="Of a NNUE: a multiple of 32 [default: 256]."
        ),
    ] = None,
    seed: Seed = 42,
    label: Label = None,
    dry_run: DryRun = False,
) -> None:
    """Make a model of random weights.

    Reads nothing; writes the model below models/objects. Its card says that it was not trained. The
    same options and seed give the same model everywhere.

    Examples: ringrift models init --size tiny |
    ringrift models init --board hex8 --players 3 --kind nnue-policy --hidden-dim 128 --json
    """
    if kind == "cnn" and hidden_dim is not None:
        raise UsageError("a cnn has a size, no hidden width", where="--hidden-dim", hint="--size")
    if kind != "cnn" and size is not None:
        raise UsageError(f"a {kind} has a hidden width", where="--size", hint="--hidden-dim")
    spec = _spec(board, players)

    def make(objects: Path) -> Path:
        if kind == "cnn":
            from ringrift.nets.model_file import init_model

            return init_model(spec, size=size or "small", seed=seed, folder=objects, label=label)
        from ringrift.nets.nnue.file import init_nnue

        return init_nnue(
            spec,
            folder=objects,
            seed=seed,
            hidden=hidden_dim or 256,
            policy=kind == "nnue-policy",
            label=label,
        )

    plan = {"config": spec.config, "kind": kind, "seed": seed, "label": label}
    shape = {"size": size or "small"} if kind == "cnn" else {"hidden_dim": hidden_dim or 256}
    _make(make, {**plan, **shape}, dry_run=dry_run)


def import_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="State dict, or a model file.")],
    board: Board = "square8",
    players: Players = 2,
    kind: Kind = "cnn",
    label: Label = None,
    dry_run: DryRun = False,
) -> None:
    """Take in the weights of a file as a model.

    Reads a state dict of one of our architectures, saved by torch or as safetensors, or a model
    file of another data root; writes the model below models/objects. Nothing in a file is executed:
    a pickle that holds more than weights is refused.

    Exit code 4 for such a pickle and an unfit model file, 6 for tensors that are missing,
    unexpected or of another shape, which are named.

    Examples: ringrift models import weights.pt --board hex8 --players 3 --label theirs |
    ringrift models import nnue.safetensors --board square8 --kind nnue-policy --json
    """
    spec = _spec(board, players)

    def make(objects: Path) -> Path:
        from ringrift.models.importing import import_model

        return import_model(file, spec, kind, objects, label=label)

    plan = {"config": spec.config, "kind": kind, "label": label, "file": str(file)}
    if dry_run and not file.is_file():
        raise UsageError(f"no file {file}", where="FILE")
    _make(make, plan, dry_run=dry_run)


def average(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="REF...", help="Two or more models.", autocompletion=complete_models
        ),
    ],
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    label: Label = None,
    dry_run: DryRun = False,
) -> None:
    """Make the average of the weights of models of one architecture.

    Reads the models; writes the new one below models/objects, with them as its parents. The order
    makes no difference.

    Exit code 2 for models that are not alike, naming what differs.

    Examples: ringrift models average champion champion~1 --board square8 |
    ringrift models average 3f2a91 77ab0c --label soup --json
    """
    named = references(current())
    config = config_of(board, players, config_key)
    files = [named.file(name, config) for name in models]
    if len({named.id(str(file)) for file in files}) < 2:
        raise UsageError("one model alone has no average", where="REF", hint="two or more models")

    def make(objects: Path) -> Path:
        from ringrift.models.averaging import average as mean

        return mean(files, objects, label=label)

    _make(
        make, {"models": [named.id(str(file)) for file in files], "label": label}, dry_run=dry_run
    )


def _spec(board: str, players: int) -> BoardSpec:
    from ringrift.rules import BoardSpec, board_name

    return BoardSpec.create(board_name(board), players)


def _make(make: Callable[[Path], Path], plan: Mapping[str, object], *, dry_run: bool) -> None:
    """Make a model and show it, or show what would be made."""
    run = current()
    objects = models_folder(run, create=not dry_run) / "objects"
    fields = {"id": None, "path": None, "dry_run": dry_run, "plan": plan}
    if dry_run:
        told = ", ".join(f"{name} {value}" for name, value in plan.items() if value is not None)
        run.out.result(fields, human=f"would make a model below {objects}: {told}")
        return
    from ringrift.models.registry import register as take_in

    path = make(objects)
    identity = take_in(objects, path)
    run.out.result({**fields, "id": identity, "path": str(path)}, human=f"{identity}\n{path}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init)
    app.command("import")(import_weights)
    app.command("average")(average)
