"""Write man pages (section 1): the program, each group and each command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.cli.exit_codes import EXIT_CODES
from ringrift.cli.main import PROGRAM
from ringrift.cli.reference.pages import OPTIONS, Page, all_pages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringrift.cli.reference.pages import Option

SECTION = "1"
MANUAL = "RingRift manual"


def man_pages(version: str) -> dict[str, str]:
    """Return the pages by file name, such as `ringrift-config-show.1`."""
    pages = all_pages()
    known = {page.words for page in pages}
    return {f"{_title(page)}.{SECTION}": man_page(page, version, known) for page in pages}


def man_page(page: Page, version: str, known: Iterable[tuple[str, ...]]) -> str:
    """Return one page; `known` are the words of all pages, for the references at its end."""
    summary = page.summary.rstrip(".")
    lines = [
        f'.TH "{_title(page).upper()}" "{SECTION}" "" "{PROGRAM} {_text(version)}" "{MANUAL}"',
        ".SH NAME",
        f"{_text(_title(page))} \\- {_text(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        f"\\fB{_text(page.name)}\\fR {_text(page.usage.removeprefix(page.name).strip())}",
        ".SH DESCRIPTION",
        _text(page.summary),
    ]
    for text in page.paragraphs:
        lines += [".PP", _text(text)]
    for panel, options in page.panels().items():
        lines.append(".SH OPTIONS" if panel == OPTIONS else f".SH {_text(panel.upper())}")
        for option in options:
            lines += _option(option)
    if page.examples:
        lines += [".SH EXAMPLES", ".nf", *map(_text, page.examples), ".fi"]
    lines += _exit_status(page)
    if page.was:
        lines += [".SH HISTORY", _text(f"was: {page.was}")]
    others = _see_also(page, known)
    if others:
        lines += [
            ".SH SEE ALSO",
            ",\n".join(f"\\fB{_text(name)}\\fR({SECTION})" for name in others),
        ]
    return "\n".join(lines) + "\n"


def _title(page: Page) -> str:
    return "-".join((PROGRAM, *page.words))


def _option(option: Option) -> list[str]:
    value = f" \\fI{_text(option.value)}\\fR" if option.value else ""
    style = "I" if option.is_argument else "B"
    names = ", ".join(f"\\f{style}{_text(name)}\\fR" for name in option.names)
    more = " ..." if option.repeats else ""
    notes = "required" if option.required else f"default: {option.default}" * bool(option.default)
    return [
        ".TP",
        f"{names}{value}{more}",
        _text(f"{option.help} ({notes})" if notes else option.help),
    ]


def _exit_status(page: Page) -> list[str]:
    lines = [".SH EXIT STATUS"]
    if not page.words:
        for number, meaning in EXIT_CODES.items():
            lines += [".TP", f"\\fB{number}\\fR", _text(meaning)]
        return lines
    for text in page.exit_codes:
        lines += [_text(text), ".PP"]
    return [*lines, f"The codes of all commands are listed in \\fB{PROGRAM}\\fR({SECTION})."]


def _see_also(page: Page, known: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the page above and those directly below."""
    near = [words for words in known if words[:-1] == page.words and words]
    above = [page.words[:-1]] if page.words else []
    return ["-".join((PROGRAM, *words)) for words in [*above, *sorted(near)]]


def _text(text: str) -> str:
    r"""Escape what roff would take for a request or a hyphen.

    >>> print(_text("-v"))
    \-v
    """
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
