"""Read what every command says of itself: usage, paragraphs, options, examples.

Nothing here depends on the machine, the terminal or the environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperArgument, TyperGroup

from ringrift.cli.help_text import plain_text
from ringrift.cli.main import HELP_NAMES, PROGRAM, build

if TYPE_CHECKING:
    from collections.abc import Iterator

ARGUMENTS, OPTIONS = "Arguments", "Options"
_DEFAULT = re.compile(r"\s*[\[(]default:\s*(?P<text>[^\])]+)[\])]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Describe one option or argument; `default` is text as people read it."""

    names: tuple[str, ...]
    value: str | None
    default: str | None
    help: str
    panel: str
    required: bool
    is_argument: bool
    repeats: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Describe one command or group; `words` are those after `ringrift`."""

    words: tuple[str, ...]
    usage: str
    summary: str
    paragraphs: tuple[str, ...]
    exit_codes: tuple[str, ...]
    examples: tuple[str, ...]
    was: str | None
    options: tuple[Option, ...]
    children: tuple[str, ...]

    @property
    def name(self) -> str:
        """The command as it is typed, such as `ringrift config show`."""
        return " ".join((PROGRAM, *self.words))

    def panels(self) -> dict[str, list[Option]]:
        """Return the options by panel: arguments, plain options, then the rest in their order."""
        found: dict[str, list[Option]] = {ARGUMENTS: [], OPTIONS: []}
        for option in self.options:
            found.setdefault(option.panel, []).append(option)
        return {panel: options for panel, options in found.items() if options}


def all_pages() -> list[Page]:
    """Return the page of the program, of each group and of each command, in their order."""
    return [make_page(command, words, context) for words, command, context in walk()]


def walk() -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the words, the command and a context of the program and all that is below it."""
    root = build()
    context = typer.Context(root, info_name=PROGRAM, help_option_names=HELP_NAMES)
    yield from _below((), root, context)


def _below(
    words: tuple[str, ...], command: Any, context: Any
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    yield words, command, context
    if not isinstance(command, TyperGroup):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None and not child.hidden:
            inner = typer.Context(child, info_name=name, parent=context)
            yield from _below((*words, name), child, inner)


def make_page(command: Any, words: tuple[str, ...], context: Any) -> Page:
    """Take apart the help of one command."""
    paragraphs = plain_text(command.help or "").split("\n\n")
    is_group = isinstance(command, TyperGroup)
    body = paragraphs[1:]
    kept = [text for text in body if not _is_special(text)]
    examples = next((text for text in body if _EXAMPLES.match(text)), None)
    if examples is None and command.epilog and _EXAMPLES.match(command.epilog):
        examples = command.epilog
    was = next((text for text in body if text.startswith("was: ")), None)
    return Page(
        words=words,
        usage=" ".join((PROGRAM, *words, *_usage_pieces(command, is_group=is_group))),
        summary=paragraphs[0],
        paragraphs=tuple(kept),
        exit_codes=tuple(text for text in body if _EXIT_CODES.match(text)),
        examples=tuple(split_examples(examples or "")),
        was=was.removeprefix("was: ") if was else None,
        options=tuple(
            make_option(param, context)
            for param in command.get_params(context)
            if not getattr(param, "hidden", False)
        ),
        children=tuple(command.list_commands(context)) if is_group else (),
    )


def _usage_pieces(command: Any, *, is_group: bool) -> list[str]:
    pieces = ["[OPTIONS]"]
    for param in command.params:
        if isinstance(param, TyperArgument):
            more = "..." if param.nargs != 1 else ""
            name = f"{param.display_name_raw}{more}"
            pieces.append(name if param.required else f"[{name}]")
    return [*pieces, "COMMAND"] if is_group else pieces


_EXAMPLES = re.compile(r"Examples?: ")
_EXIT_CODES = re.compile(r"Exit codes?:? ")


def _is_special(text: str) -> bool:
    return bool(_EXAMPLES.match(text) or _EXIT_CODES.match(text) or text.startswith("was: "))


def split_examples(text: str) -> list[str]:
    """Return the command lines of an `Examples: ringrift ... | ringrift ...` paragraph.

    >>> split_examples("Examples: ringrift config env | ringrift config env --all")
    ['ringrift config env', 'ringrift config env --all']
    """
    lines = re.split(rf"\s\|\s(?={PROGRAM} )", _EXAMPLES.sub("", text, count=1))
    return [line.strip() for line in lines if line.strip()]


def make_option(param: Any, context: Any) -> Option:
    """Describe one parameter of a command."""
    text = plain_text(param.help or "")
    stated = _DEFAULT.search(text)
    text = _DEFAULT.sub("", text)
    is_argument = isinstance(param, TyperArgument)
    default = stated.group("text") if stated else _default(param)
    return Option(
        names=(str(param.display_name_raw),) if is_argument else _names(param),
        value=None if is_argument else _value(param, context),
        default=default,
        help=" ".join(f"{text.rstrip('.')}.".split()) if text else "",
        panel=getattr(param, "rich_help_panel", None) or (ARGUMENTS if is_argument else OPTIONS),
        required=bool(param.required),
        is_argument=is_argument,
        repeats=bool(param.multiple) or param.nargs != 1,
    )


def _names(param: Any) -> tuple[str, ...]:
    short_first = sorted([*param.opts, *param.secondary_opts], key=lambda name: name[:2] == "--")
    return tuple(short_first)


def _value(param: Any, context: Any) -> str | None:
    if param.is_flag or param.count:
        return None
    shown = str(param.display_type_rich(context))
    inner = shown[1:-1] if shown.startswith("<") and shown.endswith(">") else shown
    ends = [
        f"{sign} {end:g}" for sign, end in ((">=", param.min), ("<=", param.max)) if end is not None
    ]
    name = {"int range": "N", "int": "N", "float range": "X", "float": "X"}.get(inner, inner)
    if len(ends) == 2:
        return f"{name} ({param.min:g} to {param.max:g})"
    return f"{name} ({ends[0]})" if ends else name


def _default(param: Any) -> str | None:
    """Return a fixed default; what is computed or absent has none."""
    value = param.default
    if value is None or value is False or callable(value) or param.required:
        return None
    if param.show_default is False or getattr(param, "count", False):
        return None
    if isinstance(param.show_default, str):
        return str(param.show_default)
    if value is True:
        return str(param.opts[0])
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or None
    return f"{value:g}" if isinstance(value, float) else str(value)
