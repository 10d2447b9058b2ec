"""`ringrift config`: show, check and write settings (`core.md` 1)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ringrift.cli.failure import nearest
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError
from ringrift.core.files import write_atomic
from ringrift.core.paths import Paths
from ringrift.core.settings_loader import (
    DEFAULT_FILE,
    OTHER_NAMES,
    SHORT_NAMES,
    LoadedSettings,
    check_file,
    known_keys,
    section_paths,
)

app = typer.Typer(add_completion=False, help="Show, check and write settings.")

Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Profile below the settings file.")
]


@app.command("show")
def show(
    section: Annotated[
        str | None, typer.Option("--section", metavar="NAME", help="One section only.")
    ] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say for each value who set it.")
    ] = False,
    profile: Profile = None,
) -> None:
    """Print the effective settings.

    Reads the settings file of the data root, or --config, and the environment.

    Examples: ringrift config show --section training --origin | ringrift config show --json
    """
    run = current()
    if section is not None and section not in section_paths():
        raise UsageError(
            f"unknown section {section!r}",
            where="--section",
            hint=nearest(section, section_paths()),
        )
    loaded = run.settings(profile=profile)
    paths = [path for path in known_keys() if section is None or path.startswith(f"{section}.")]
    values = {path: _value_at(loaded, path) for path in paths}
    fields: dict[str, Any] = {"settings": _nested(values), "profile": profile}
    fields["file"] = str(loaded.file) if loaded.file else None
    if origin:
        fields["origins"] = {path: _origin(loaded, path) for path in paths}
    columns = [Column("key"), Column("value"), *([Column("origin")] if origin else [])]
    rows = [
        [path, _text(values[path]), *([str(loaded.origins[path])] if origin else [])]
        for path in paths
    ]
    run.out.result(fields, human=run.out.table(columns, rows))


@app.command("validate")
def validate(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Settings files.")
    ] = None,
) -> None:
    """Check settings files and print every error, not only the first.

    Without FILE the settings of this run are checked: file, environment and profile together.
    Exit code 78 when something is wrong.

    Examples: ringrift config validate | ringrift config validate config/unified_loop.yaml
    """
    run = current()
    if not files:
        loaded = run.settings()
        checked = [str(loaded.file)] if loaded.file else []
        run.out.result({"files": checked, "problems": []}, human="settings are valid")
        return
    problems = []
    for path in files:
        if not path.is_file():
            raise UsageError(f"no file {path}", where="FILE")
        problems += [(path, problem) for problem in check_file(path)]
    names = [str(path) for path in files]
    found = [
        {
            "file": str(path),
            "message": problem.message,
            "where": problem.where,
            "hint": problem.hint,
        }
        for path, problem in problems
    ]
    lines = "\n".join(f"error: {problem}" for _, problem in problems)
    run.out.result(
        {"files": names, "problems": found},
        human=lines or f"{len(names)} file{'s' if len(names) > 1 else ''} valid",
        ok=not problems,
    )
    if problems:
        raise typer.Exit(78)


@app.command("env")
def env(
    every: Annotated[
        bool, typer.Option("--all", help="Also the long name of every settings key.")
    ] = False,
) -> None:
    """List the environment variables with value, default, origin and meaning.

    Examples: ringrift config env | ringrift config env --all --json
    """
    run = current()
    loaded = run.settings()
    rows = [_variable_row(loaded, name, target) for name, target in SHORT_NAMES.items()]
    rows += [_other_row(name, meaning) for name, meaning in OTHER_NAMES.items()]
    if every:
        rows += [_variable_row(loaded, key.variable, key.path) for key in known_keys().values()]
    columns = [Column(head) for head in ("name", "value", "default", "origin", "meaning")]
    table = run.out.table(
        columns,
        [
            [row["name"], _text(row["value"]), _text(row["default"]), row["origin"], row["meaning"]]
            for row in rows
        ],
    )
    run.out.result({"variables": rows}, human=table)


@app.command("init")
def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder, else the working folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write the settings file again.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be made, change nothing.")
    ] = False,
) -> None:
    """Make a data root: marker, folders and a settings file with every key commented out.

    Examples: ringrift config init | ringrift config init games/root
    """
    run = current()
    root = (folder or run.options.root or Path.cwd()).resolve()
    paths = Paths(root)
    settings_file = root / DEFAULT_FILE
    write = force or not settings_file.exists()
    if not dry_run:
        paths.create()
        if write:
            write_atomic(settings_file, commented_settings().encode())
    fields = {"root": str(root), "settings_file": str(settings_file), "written": write}
    verb = "would make" if dry_run else "made"
    kept = "" if write else " (settings file kept; --force writes it again)"
    run.out.result({**fields, "dry_run": dry_run}, human=f"{verb} the data root {root}{kept}")


def commented_settings() -> str:
    """Return a settings file with every key at its default, commented out.

    Commented, because a value in the file would undo the profile's (`loop.md` 8).
    """
    lines = ["# RingRift settings. Every key stands here with its default, commented out.", ""]
    open_sections: list[str] = []
    for key in known_keys().values():
        *sections, name = key.path.split(".")
        for depth, section in enumerate(sections):
            if open_sections[: depth + 1] != sections[: depth + 1]:
                lines += (
                    ["", f"{'  ' * depth}{section}:"]
                    if depth == 0
                    else [f"{'  ' * depth}{section}:"]
                )
        open_sections = sections
        value = json.dumps(key.default) if not isinstance(key.default, str) else key.default
        value = f'"{value}"' if key.path == "version" else value
        lines.append(f"{'  ' * len(sections)}# {name}: {value}  # {key.meaning}")
    return "\n".join(lines) + "\n"


def _value_at(loaded: LoadedSettings, path: str) -> Any:
    node: Any = loaded.as_tree()
    for name in path.split("."):
        node = node[name]
    return node


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *sections, name = path.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value
    return tree


def _origin(loaded: LoadedSettings, path: str) -> dict[str, Any]:
    origin = loaded.origins[path]
    return {"kind": origin.kind, "place": origin.place}


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) else json.dumps(value)


def _variable_row(loaded: LoadedSettings, name: str, target: str) -> dict[str, Any]:
    path = target.lstrip("!")
    key, value = known_keys()[path], _value_at(loaded, path)
    default: Any = list(key.default) if isinstance(key.default, tuple) else key.default
    if target.startswith("!"):
        value, default = not value, not default
    meaning = f"{'not ' if target.startswith('!') else ''}{path}: {key.meaning}"
    return {
        "name": name,
        "value": value,
        "default": default,
        "origin": str(loaded.origins[path]),
        "meaning": meaning,
    }


def _other_row(name: str, meaning: str) -> dict[str, Any]:
    value = os.environ.get(name)
    origin = "environment" if value is not None else "default"
    return {"name": name, "value": value, "default": None, "origin": origin, "meaning": meaning}
