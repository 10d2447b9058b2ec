"""`ringrift config`: show, check, write and migrate settings (`core.md` 1)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_configurations
from ringrift.cli.failure import nearest
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun, Profile
from ringrift.core.backup import replace_keeping
from ringrift.core.errors import SettingsError, UsageError
from ringrift.core.paths import Paths, refuse_nested
from ringrift.core.settings_loader import (
    DEFAULT_FILE,
    VARIABLES,
    LoadedSettings,
    Origin,
    Variable,
    known_keys,
    section_paths,
    shown_value,
)
from ringrift.core.settings_loader.keys import value_at
from ringrift.core.settings_text import commented_settings

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.core.hyperparameters import MergedHyperparameters
    from ringrift.core.settings_files import CheckedFile

app = typer.Typer(add_completion=False, help="Show, check, write and migrate settings.")

Reveal = Annotated[bool, typer.Option("--reveal", help="Print what stands behind ***.")]


@app.command("show")
def show(
    section: Annotated[
        str | None, typer.Option("--section", metavar="NAME", help="One section only.")
    ] = None,
    config_key: Annotated[
        str | None,
        typer.Option(
            "--config-key",
            metavar="KEY",
            help="Also the merged hyper-parameters of this configuration.",
            autocompletion=complete_configurations,
        ),
    ] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say for each value who set it.")
    ] = False,
    profile: Profile = None,
    reveal: Reveal = False,
) -> None:
    """Print the effective settings, each as it is set.

    Reads the settings file of the data root, or --config, the environment, and with --config-key
    config/hyperparameters.json of the data root; writes nothing. Values are printed as they were
    set: a relative path stays relative to the data root.

    Examples: ringrift config show --section training --origin |
    ringrift config show --config-key hex8_3p --origin --json
    """
    run = current()
    if section is not None and section not in section_paths():
        raise UsageError(
            f"unknown section {section!r}",
            where="--section",
            hint=nearest(section, section_paths()),
        )
    config = _configuration(config_key)
    loaded = run.settings(profile=profile)
    merged = None if config is None else _merged(run, loaded, config)
    paths = [path for path in known_keys() if section is None or path.startswith(f"{section}.")]
    tree = _tree(loaded, reveal=reveal)
    values = {path: tree[path] for path in paths}
    fields: dict[str, Any] = {"settings": _nested(values), "profile": profile}
    fields["file"] = str(loaded.file) if loaded.file else None
    if origin:
        fields["origins"] = {path: _origin(loaded, path) for path in paths}
    if merged is not None:
        fields["hyperparameters"] = merged.as_tree()
    columns = [Column("key"), Column("value"), *([Column("origin")] if origin else [])]
    rows = [
        [path, _text(values[path]), *([_place(run, loaded.origins[path])] if origin else [])]
        for path in paths
    ]

    def tables(console: Console) -> None:
        console.print(run.out.table(columns, rows))
        if merged is not None:
            console.print(_hyperparameter_table(run, merged, origin=origin))

    run.out.result(fields, human=tables)


@app.command("validate")
def validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Settings, hyper-parameters or hosts files."),
    ] = None,
) -> None:
    """Check configuration files and print every error, not only the first.

    Reads settings (YAML), hyper-parameters (JSON) and hosts files (YAML), told apart by content and
    name; writes nothing. Without FILE the settings of this run are checked, file and environment
    together, and config/hyperparameters.json and config/distributed_hosts.yaml of the data root if
    they are there. Of a hosts file only the syntax and repeated keys are checked so far.

    Exit code 78 when something is wrong.

    Examples: ringrift config validate | ringrift config validate config/unified_loop.yaml --json
    """
    from ringrift.core.settings_files import check_configuration

    run = current()
    for path in files or []:
        if not path.is_file():
            raise UsageError(f"no file {path}", where="FILE")
    if not files:
        _validate_run(run)
        return
    checked = [check_configuration(path) for path in files]
    problems = [(one.path, problem) for one in checked for problem in one.problems]
    lines = "\n".join(f"error: {problem}" for _, problem in problems)
    _say_warnings(run, checked)
    run.out.result(
        {
            "files": [str(path) for path in files],
            "kinds": [one.kind for one in checked],
            "problems": [
                {
                    "file": str(path),
                    "message": problem.message,
                    "where": problem.where,
                    "hint": problem.hint,
                }
                for path, problem in problems
            ],
            "warnings": [warning for one in checked for warning in one.warnings],
        },
        human=lines or f"{len(files)} file{'s' if len(files) > 1 else ''} valid",
        ok=not problems,
    )
    if problems:
        raise typer.Exit(78)


@app.command("env")
def env(
    every: Annotated[
        bool, typer.Option("--all", help="Also the long name of every settings key.")
    ] = False,
    reveal: Reveal = False,
) -> None:
    """List the environment variables with value, default, origin, meaning.

    Reads the environment and the settings of this run; writes nothing. A variable that stands for a
    settings key shows that key's value and who set it. RINGRIFT_<SECTION>__<KEY> reaches every key.

    Examples: ringrift config env | ringrift config env --all --json
    """
    run = current()
    loaded = run.settings()
    tree = _tree(loaded, reveal=reveal)
    rows = [_variable_row(loaded, tree, variable, reveal=reveal) for variable in VARIABLES]
    if every:
        rows += [_key_row(loaded, tree, key.variable, key.path) for key in known_keys().values()]
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
    force: Annotated[
        bool, typer.Option("--force", help="Write the files again, keeping the old ones as .bak.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Make a data root: marker, folders, commented settings, defaults.

    Writes the marker .ringrift-root, the folders, config/unified_loop.yaml with every key commented
    out, and config/hyperparameters.json with the defaults; files that exist are kept.

    Examples: ringrift config init | ringrift config init games/root --dry-run
    """
    from ringrift.core.hyperparameters import (
        HYPERPARAMETERS_FILE,
        as_json_text,
        shipped_hyperparameters,
    )

    run = current()
    root = (folder or run.options.root or Path.cwd()).resolve()
    paths = Paths(root)
    refuse_nested(root)
    texts = {
        root / DEFAULT_FILE: commented_settings(),
        root / HYPERPARAMETERS_FILE: as_json_text(shipped_hyperparameters()),
    }
    kept = [path for path in texts if path.exists() and not force]
    if not dry_run:
        paths.create()
        for path, text in texts.items():
            if path not in kept:
                replace_keeping(path, text)
    fields = {
        "root": str(root),
        "settings_file": str(root / DEFAULT_FILE),
        "hyperparameters_file": str(root / HYPERPARAMETERS_FILE),
        "written": root / DEFAULT_FILE not in kept,
        "hyperparameters_written": root / HYPERPARAMETERS_FILE not in kept,
        "dry_run": dry_run,
    }
    verb = "would make" if dry_run else "made"
    names = ", ".join(path.relative_to(root).as_posix() for path in kept)
    words = f" ({names} kept; --force writes again)" if kept else ""
    run.out.result(fields, human=f"{verb} the data root {root}{words}")


@app.command("migrate")
def migrate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Settings file.")],
    write: Annotated[
        bool, typer.Option("--write", help="Change the file, keeping the old one as FILE.bak.")
    ] = False,
) -> None:
    """Take retired keys out of a settings file; prints the difference.

    Reads FILE and prints what would change as a unified diff; with --write it also changes FILE and
    keeps the old one as FILE.bak. Only retired keys and the version change: comments, order, quotes
    and every other byte stay. A file that is up to date is left alone.

    Exit code 78 when the file is invalid, also after the retired keys are out: all its errors are
    printed, and nothing is written.

    Examples: ringrift config migrate config/unified_loop.yaml |
    ringrift config migrate config/unified_loop.yaml --write
    """
    from ringrift.core.settings_migration import migrate_file

    run = current()
    if not file.is_file():
        raise UsageError(f"no file {file}", where="FILE")
    migration = migrate_file(file)
    diff = migration.diff(str(file))
    backup = replace_keeping(file, migration.new) if write and migration.changed else None
    fields: dict[str, Any] = {
        "file": str(file),
        "diff": diff,
        "removed": [
            {"path": one.path, "line": one.line, "instead": one.instead}
            for one in migration.removed
        ],
        "changed": migration.changed,
        "written": write and migration.changed,
        "backup": str(backup) if backup is not None else None,
    }
    run.out.result(fields, human=diff.rstrip("\n") or f"{file} is up to date")
    if migration.changed:
        kept = f"written; the old file is {fields['backup']}"
        run.out.note(kept if write else "nothing written; --write changes the file")


def _validate_run(run: Invocation) -> None:
    from ringrift.core.settings_files import HOSTS_FILE, check_data_root

    hosts = HOSTS_FILE
    problems: list[SettingsError] = []
    names: list[str] = []
    warnings: list[str] = []
    try:
        loaded = run.settings()
        names = [str(loaded.file)] if loaded.file else []
        hosts = loaded.values.hosts_config_path
        warnings = list(loaded.warnings)
    except SettingsError as error:
        problems += error.problems
    checked = check_data_root(run.known_root(), hosts=hosts)
    _say_warnings(run, checked)
    for one in checked:
        problems += one.problems
    if problems:
        first = problems[0]
        raise SettingsError(first.message, where=first.where, hint=first.hint, problems=problems)
    run.out.result(
        {
            "files": [*names, *(str(one.path) for one in checked)],
            "kinds": [*("settings" for _ in names), *(one.kind for one in checked)],
            "problems": [],
            "warnings": [*warnings, *(warning for one in checked for warning in one.warnings)],
        },
        human="settings are valid",
    )


def _say_warnings(run: Invocation, checked: list[CheckedFile]) -> None:
    for one in checked:
        for warning in one.warnings:
            run.out.note(f"warning: {warning}")


def _configuration(key: str | None) -> str | None:
    if key is None:
        return None
    from ringrift.rules import parse_config

    board, players = parse_config(key)
    return f"{board}_{players}p"


def _merged(run: Invocation, loaded: LoadedSettings, config: str) -> MergedHyperparameters:
    from ringrift.core.hyperparameters import load_hyperparameters, merge_hyperparameters

    file = load_hyperparameters(root=run.known_root())
    for warning in file.warnings:
        run.out.note(f"warning: {warning}")
    merged = merge_hyperparameters(file, config, settings=loaded)
    for note in merged.notes:
        run.out.note(note)
    return merged


def _hyperparameter_table(run: Invocation, merged: MergedHyperparameters, *, origin: bool) -> Any:
    columns = [Column("hyper-parameter"), Column("value")]
    rows = [
        [name, _text(value), *([_place(run, merged.origins[name])] if origin else [])]
        for name, value in merged.values
    ]
    title = f"hyper-parameters of {merged.config} (confidence {merged.confidence})"
    return run.out.table([*columns, *([Column("origin")] if origin else [])], rows, title=title)


def _tree(loaded: LoadedSettings, *, reveal: bool) -> dict[str, Any]:
    """Return every value by its path as plain data, secrets as `***` or as their reference."""
    nested = loaded.as_tree()
    return {
        key.path: value_at(loaded.values, key.path).reference
        if reveal and key.secret
        else _at(nested, key.path)
        for key in known_keys().values()
    }


def _at(node: Any, path: str) -> Any:
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


def _place(run: Invocation, origin: Origin) -> str:
    """Return an origin as it stands in a table: files of the data root relative to it."""
    root = run.known_root()
    return str(origin) if root is None else str(origin).removeprefix(f"{root}{os.sep}")


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) else json.dumps(value)


def _key_row(
    loaded: LoadedSettings, tree: dict[str, Any], name: str, path: str, *, inverted: bool = False
) -> dict[str, Any]:
    key, value = known_keys()[path], tree[path]
    default: Any = list(key.default) if isinstance(key.default, tuple) else key.default
    if inverted:
        value, default = not value, not default
    return {
        "name": name,
        "value": value,
        "default": default,
        "origin": str(loaded.origins[path]),
        "meaning": f"{'not ' if inverted else ''}{path}: {key.meaning}",
    }


def _variable_row(
    loaded: LoadedSettings, tree: dict[str, Any], variable: Variable, *, reveal: bool
) -> dict[str, Any]:
    if variable.key is not None and variable.reference is None:
        return _key_row(loaded, tree, variable.name, variable.key, inverted=variable.inverted)
    text = os.environ.get(variable.name)
    shown = text if reveal else shown_value(variable.name)
    return {
        "name": variable.name,
        "value": variable.default if shown is None else shown,
        "default": variable.default,
        "origin": "default" if text is None else "environment",
        "meaning": variable.meaning,
    }
