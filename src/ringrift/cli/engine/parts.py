"""What the commands on the rules share: rule options, texts from files, drawings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import write_atomic

Form = Annotated[
    Literal["text", "svg", "state"], typer.Option("--format", help="Drawing, or the state.")
]
Target = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="File to write to.")]
RuleOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="K=V",
        help="Rule option: rings_per_player, lps_rounds, swap_rule, base_line_length.",
        rich_help_panel="Game",
    ),
]


def chosen_spec(config_key: str | None, board: str, players: int, options: list[str] | None) -> Any:
    """Return the `BoardSpec` that the common options name."""
    from ringrift.rules import BoardSpec, parse_config

    if config_key is not None:
        board, players = parse_config(config_key)
    values: dict[str, Any] = {}
    known = ("rings_per_player", "lps_rounds", "swap_rule", "base_line_length")
    for text in options or []:
        name, separator, value = text.partition("=")
        if not separator or name not in known:
            raise UsageError(
                f"unknown rule option {text!r}", where="--option", hint=", ".join(known)
            )
        if name == "swap_rule":
            if value not in ("true", "false"):
                raise UsageError(
                    f"swap_rule is {value!r}; expected true or false", where="--option"
                )
            values[name] = value == "true"
        elif not value.isdigit():
            raise UsageError(f"{name} is {value!r}; expected a whole number", where="--option")
        else:
            values[name] = int(value)
    return BoardSpec.create(board, players, **values)


def drawn(position: Any, form: str, output: Path | None, color: str) -> str:
    """Draw a position as `form`; with `output` into that file too."""
    from ringrift.cli.output import wants_color

    colored = output is None and wants_color(color, sys.stdout)  # type: ignore[arg-type]
    drawings: dict[str, Callable[[], str]] = {
        "text": lambda: position.text(color=colored),
        "svg": position.svg,
        "state": lambda: str(position),
    }
    made = drawings[form]()
    if output is not None:
        write_atomic(output, (made.rstrip("\n") + "\n").encode())
    return made


def read_text(source: str) -> str:
    """Return the state text that an argument is, names or pipes in."""
    if source == "-":
        return sys.stdin.read().strip()
    if source.startswith("ph="):
        return source
    path = Path(source)
    if not path.is_file():
        raise DataError(
            f"neither a state text nor a file: {source!r:.60}", hint="a text beginning with ph="
        )
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as text: {error}", where=source) from None
