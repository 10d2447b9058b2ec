"""Check configuration files of every kind: settings, hyper-parameters, hosts (`core.md` 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ringrift.core.errors import SettingsError
from ringrift.core.hyperparameters import HYPERPARAMETERS_FILE, load_hyperparameters
from ringrift.core.settings_loader import known_keys, load_settings
from ringrift.core.yaml_text import duplicate_keys, parse_yaml, read_text

if TYPE_CHECKING:
    from pathlib import Path

FileKind = Literal["settings", "hyperparameters", "hosts"]

HOSTS_FILE = "config/distributed_hosts.yaml"
_KEYS: dict[FileKind, frozenset[str]] = {
    "hyperparameters": frozenset({"configs", "tuning_config"}),
    "hosts": frozenset({"hosts", "standard_hosts", "vast_hosts"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFile:
    """Hold what was found in one file: problems exit 78, warnings do not."""

    path: Path
    kind: FileKind
    problems: tuple[SettingsError, ...] = ()
    warnings: tuple[str, ...] = ()


def check_configuration(path: Path) -> CheckedFile:
    """Check one file as what its content or name says it is; settings alone, no environment."""
    kind = file_kind(path)
    try:
        if kind == "hyperparameters":
            warnings = load_hyperparameters(path).warnings
        elif kind == "hosts":
            warnings = _check_hosts(path)
        else:
            warnings = load_settings(file=path, environ={}).warnings
    except SettingsError as error:
        return CheckedFile(path=path, kind=kind, problems=error.problems)
    return CheckedFile(path=path, kind=kind, warnings=warnings)


def check_data_root(root: Path | None, *, hosts: str = HOSTS_FILE) -> list[CheckedFile]:
    """Check the hyper-parameters and the hosts file of a data root, as far as they are there.

    `hosts` is the hosts file's path, relative to the root (`hosts_config_path`).
    """
    found = [root / name for name in (HYPERPARAMETERS_FILE, hosts)] if root else []
    return [check_configuration(path) for path in found if path.is_file()]


def file_kind(path: Path) -> FileKind:
    """Tell the kind of a file by its top keys, else by its name."""
    try:
        root = parse_yaml(read_text(path), str(path))  # JSON is YAML
    except SettingsError:
        root = None
    names = {key.value for key, _ in root.pairs} if root is not None else set()
    for kind, keys in _KEYS.items():
        if names & keys:
            return kind
    if path.suffix == ".json":
        sections = {known.partition(".")[0] for known in known_keys()} - {"version"}
        return "settings" if names & sections else "hyperparameters"
    return "hosts" if "hosts" in path.stem and not names else "settings"


def _check_hosts(path: Path) -> tuple[str, ...]:
    root = parse_yaml(read_text(path), str(path))
    problems = [
        SettingsError(f"the key stands twice, first in line {first}", where=f"{path}:{line} {key}")
        for key, line, first in duplicate_keys(root)
    ]
    if root is not None and root.kind != "mapping":
        problems.append(SettingsError(f"found a {root.kind}; expected sections", where=f"{path}:1"))
    if problems:
        raise SettingsError(problems[0].message, where=problems[0].where, problems=problems)
    return (f"{path}: the fields of a hosts file are not checked yet, only YAML and keys",)
