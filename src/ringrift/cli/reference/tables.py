"""Write the tables of settings keys, environment variables and metrics."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 100


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; cells are taken as they are."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def cell(text: str) -> str:
    """Return text that may stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def code(text: str) -> str:
    """Return text set as code."""
    return f"`{text}`" if text else ""


def wrapped(text: str) -> str:
    """Return a paragraph in lines of fixed width, with options and paths whole."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)


def settings_page() -> str:
    """Return every settings key: range, default, environment variable, meaning."""
    from ringrift.core.settings_loader import DEFAULT_FILE, known_keys

    sections: dict[str, list[list[str]]] = {}
    for key in known_keys().values():
        section, _, name = key.path.rpartition(".")
        sections.setdefault(section, []).append(
            [
                code(name),
                cell(key.type),
                cell(code(_json(key.default))),
                code(key.variable),
                cell(key.meaning),
            ]
        )
    heads = ["key", "values", "default", "variable", "meaning"]
    head = (
        f"Keys of `{DEFAULT_FILE}`. A profile stands above the defaults, the file above the profile, "
        "the environment above the file, options of the command line above all. "
        "`ringrift config show --origin` says who set each value."
    )
    parts = ["# Settings", wrapped(head)]
    for section, rows in sections.items():
        parts += [f"## {section or 'top level'}", table(heads, rows)]
    return "\n\n".join(parts)


def environment_page() -> str:
    """Return the variables that are read, with the settings key that each sets."""
    from ringrift.core.settings_loader import VARIABLES, known_keys

    keys = known_keys()
    short: list[list[str]] = []
    others: list[list[str]] = []
    for variable in VARIABLES:
        key = keys.get(variable.key or "")
        if key is not None:
            default = not key.default if variable.inverted else key.default
            target = f"{'not ' * variable.inverted}{code(key.path)}"
            shown = code(_json(default))
            short.append([code(variable.name), target, cell(shown), cell(key.meaning)])
        else:
            values = ", ".join(variable.choices) or _KINDS.get(variable.kind, variable.kind)
            default_text = code(variable.default or "")
            others.append([code(variable.name), values, default_text, cell(variable.meaning)])
    head = (
        "Booleans are 1, true, yes, on and 0, false, no, off in any case; another word is an error. "
        "Every settings key has a variable `RINGRIFT_<SECTION>__<KEY>` too ([settings](settings.md)); "
        "`null` stands for no value. `ringrift config env` shows what is set."
    )
    parts = [
        "# Environment variables",
        wrapped(head),
        "## Short names of settings keys",
        table(["variable", "sets", "default", "meaning"], short),
        "## Other variables",
        table(["variable", "values", "default", "meaning"], others),
    ]
    return "\n\n".join(parts)


_KINDS = {"boolean": "true or false", "proxy": "address", "port": "port number"}


def metrics_page() -> str:
    """Return the metrics with kind, labels and unit."""
    from ringrift.core.metrics_table import TABLE

    rows = [
        [
            code(metric.name),
            metric.kind,
            ", ".join(metric.labels),
            metric.unit.replace("_", " "),
            cell(metric.help),
        ]
        for metric in TABLE.values()
    ]
    return "\n\n".join(
        [
            "# Metrics",
            "What `/metrics` exports as Prometheus text. What is unknown is absent, never 0.",
            table(["name", "kind", "labels", "unit", "meaning"], rows),
        ]
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else list(value)
