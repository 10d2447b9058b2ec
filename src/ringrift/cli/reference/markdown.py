"""Write the files of `docs/reference` from the program: one per group, and the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.cli.exit_codes import EXIT_CODES
from ringrift.cli.reference.pages import OPTIONS, Page, all_pages
from ringrift.cli.reference.schemas import published
from ringrift.cli.reference.tables import (
    cell,
    code,
    environment_page,
    metrics_page,
    settings_page,
    table,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringrift.cli.reference.pages import Option

MARK = "<!-- Written by `ringrift scripts docs`: edit the program, not this file. -->"
INDEX = "README.md"


def reference_files() -> dict[str, str]:
    """Return every file of the reference by its path inside the folder."""
    pages = all_pages()
    root = pages[0]
    groups = {name: [page for page in pages if page.words[:1] == (name,)] for name in root.children}
    files = {
        INDEX: _index(root, groups),
        "exit-codes.md": _exit_codes(),
        "settings.md": settings_page(),
        "environment.md": environment_page(),
        "metrics.md": metrics_page(),
    }
    for name, members in groups.items():
        files[f"commands/{name}.md"] = "\n\n".join(_command(page) for page in members)
    return {name: f"{MARK}\n\n{text.strip()}\n" for name, text in files.items()}


def _index(root: Page, groups: dict[str, list[Page]]) -> str:
    commands = [
        [f"[{page.name}](commands/{group}.md#{_anchor(page)})", page.summary]
        for group, pages in groups.items()
        for page in pages
        if not page.children
    ]
    parts = [
        "# Reference",
        wrapped(root.summary),
        *map(wrapped, root.paragraphs),
        _bullets(
            [
                "[settings](settings.md): every key with its range, default and variable",
                "[environment](environment.md): the variables that are read",
                "[metrics](metrics.md): what `/metrics` exports",
                "[exit codes](exit-codes.md)",
            ]
        ),
        "## Commands",
        table(["command", "what it does"], commands),
        "## Global options",
        wrapped(
            "They stand before the group or after the command and mean the same everywhere. "
            "`--version`, `--help` and the two completion options are those of the program."
        ),
        *(_options(options) for options in root.panels().values()),
    ]
    return "\n\n".join(parts)


def _exit_codes() -> str:
    rows = [[str(number), meaning] for number, meaning in EXIT_CODES.items()]
    note = (
        "Every command ends with one of these codes. Services end with 0 on SIGTERM or Ctrl-C after "
        "an orderly stop, bounded commands with 143 or 130. A closed pipe ends quietly with 0."
    )
    return "\n\n".join(["# Exit codes", wrapped(note), table(["code", "meaning"], rows)])


def _command(page: Page) -> str:
    head = "#" if len(page.words) == 1 else "##"
    parts = [f"{head} {page.name}", wrapped(page.summary)]
    if page.children:
        children = [f"`{name}`" for name in page.children]
        parts.append(wrapped(f"Commands: {', '.join(children)}."))
        return "\n\n".join(parts)
    parts.append(f"```\n{page.usage}\n```")
    parts += [wrapped(text) for text in (*page.paragraphs, *page.exit_codes)]
    for panel, options in page.panels().items():
        shown = [option for option in options if "--help" not in option.names]
        if shown:
            parts += [f"**{panel}**"] if panel != OPTIONS else []
            parts.append(_options(shown))
    if page.examples:
        parts.append("```\n" + "\n".join(page.examples) + "\n```")
    schema = " ".join(page.words)
    notes = [f"`--json`: `ringrift scripts schema {schema}`"] if schema in published() else []
    notes += [f"was: `{name.strip()}`" for name in (page.was or "").split(",") if name.strip()]
    parts += [_bullets(notes)] if notes else []
    return "\n\n".join(parts)


def _options(options: Iterable[Option]) -> str:
    rows = []
    for option in options:
        names = ", ".join(code(name + (" ..." if option.repeats else "")) for name in option.names)
        value = f" {code(option.value)}" if option.value else ""
        default = "required" if option.required else option.default or ""
        rows.append([cell(f"{names}{value}"), cell(default), cell(option.help)])
    return table(["option", "default", "meaning"], rows)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _anchor(page: Page) -> str:
    return "-".join(page.name.split())
