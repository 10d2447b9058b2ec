"""Commands that share many options: declared once in a dataclass, each command takes those it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import fields
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer

O = TypeVar("O")  # noqa: E741


def option(*names: str, panel: str, help: str, **more: Any) -> Any:  # noqa: A002 - typer's own word
    """Declare an option in a panel of the help."""
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


def command_of(
    function: Callable[[O], None],
    options: type[O],
    names: Iterable[str],
    *,
    defaults: Mapping[str, Any],
    shown: Mapping[str, Any],
) -> Callable[..., None]:
    """Return `function` with the named fields of the dataclass `options` as parameters.

    `defaults` replace those of the declaration. `shown` are named in the help of options whose value
    is None where they were not given: the function has to know that.
    """
    hints = get_type_hints(options, include_extras=True)
    values = {field.name: field.default for field in fields(options)}  # type: ignore[arg-type]
    values |= dict(defaults)
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=values[name],
            annotation=_shown(hints[name], shown[name]) if name in shown else hints[name],
        )
        for name in dict.fromkeys(names)
    ]

    def call(**given: Any) -> None:
        function(options(**{**defaults, **given}))

    call.__name__ = function.__name__
    call.__doc__ = function.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # typer reads it
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _shown(hint: Any, value: Any) -> Any:
    """Return an annotation whose help names a default."""
    kind, declared = get_args(hint)
    declared = copy(declared)
    declared.help = f"{declared.help} [default: {value}]"
    return Annotated[kind, declared]
