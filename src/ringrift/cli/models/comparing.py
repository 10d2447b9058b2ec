"""`ringrift models diff`: how two models differ (`models.md` 2)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_models
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import OfBoard, OfConfig, OfPlayers, config_of, references
from ringrift.cli.output import Column

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.models.comparing import Comparison

First = Annotated[str, typer.Argument(metavar="A", help="Model.", autocompletion=complete_models)]
Second = Annotated[
    str, typer.Argument(metavar="B", help="Another model.", autocompletion=complete_models)
]


def diff(
    first: First,
    second: Second,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
) -> None:
    """Show how two models differ: their cards, and each tensor.

    Reads the two model files; changes nothing. The distance is Euclidean, and its share that of the
    first tensor's own length.

    Examples: ringrift models diff champion champion~1 --board square8 |
    ringrift models diff 3f2a91 77ab0c --json
    """
    from ringrift.models.comparing import compare

    run = current()
    config = config_of(board, players, config_key)
    named = references(run)
    found = compare(named.file(first, config), named.file(second, config))
    same = found.first == found.second
    run.out.result(
        {"equal": same, **asdict(found)},
        human=f"one model: {found.first}" if same else lambda console: _show(console, found),
    )


def _show(console: Console, found: Comparison) -> None:
    out = current().out
    heads = [Column("card field"), Column(found.first[:12]), Column(found.second[:12])]
    rows = [(f.name, _text(f.first), _text(f.second)) for f in found.fields]
    console.print(out.table(heads, rows))
    columns = [
        Column("tensor"),
        Column("shape"),
        Column("distance", number=True),
        Column("share", number=True),
        Column("greatest", number=True),
        Column("cosine", number=True),
    ]
    tensors = [
        (t.name, _text(list(t.shape)), t.distance, t.share, t.largest, t.cosine)
        for t in found.tensors
    ]
    all_of_them = ("all", "", found.distance, found.share, None, None)
    console.print(out.table(columns, [*tensors, all_of_them]))
    for what, names in (
        (f"only in {found.first[:12]}", found.only_first),
        (f"only in {found.second[:12]}", found.only_second),
        ("of another shape", found.other_shape),
    ):
        if names:
            console.print(f"{what}: {', '.join(names)}", soft_wrap=True)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diff")(diff)
