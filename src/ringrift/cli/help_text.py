"""Lay out help: whole paragraphs, brackets as written, our width and colours."""

from __future__ import annotations

import re
import shutil
import sys
from typing import Any

from ringrift.cli.invocation import current
from ringrift.cli.output import MAX_WIDTH, wants_color


def reflow(text: str) -> str:
    """Join the lines of each paragraph, so that help wraps at the terminal's width."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def escape_markup(text: str) -> str:
    """Keep brackets of help texts, as in `[default: 3]`, from being read as markup."""
    return re.sub(r"(?<!\\)\[(?=[a-z#/@])", r"\\[", text)


def plain_text(text: str) -> str:
    """Undo `escape_markup`."""
    return text.replace("\\[", "[")


def styled(command: Any) -> Any:
    """Return the command's `format_help` with our width and colours, without a type for flags."""
    plain = command.format_help

    def format_help(context: Any, formatter: Any) -> None:
        _style_help()
        for param in command.get_params(context):
            if getattr(param, "is_flag", False) or getattr(param, "count", False):
                param.metavar = ""
        plain(context, formatter)

    return format_help


def _style_help() -> None:
    from typer import rich_utils

    invocation = current()
    words = [word for text in invocation.arguments for word in text.split("=")]
    choice = invocation.options.color  # not yet parsed when --help comes first
    if "--color" in words[:-1]:
        named = words[words.index("--color") + 1]
        choice = named if named in ("always", "never") else choice  # type: ignore[assignment]
    colored = wants_color(choice, sys.stdout)
    rich_utils.MAX_WIDTH = min(MAX_WIDTH, shutil.get_terminal_size().columns)
    rich_utils.FORCE_TERMINAL = colored
    rich_utils.COLOR_SYSTEM = "auto" if colored else None
