"""Merge all layers and check them."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import SettingsError
from ringrift.core.settings_loader.environment import read_environment
from ringrift.core.settings_loader.keys import known_keys, value_at
from ringrift.core.settings_loader.layers import Layers, Origin, Value
from ringrift.core.settings_loader.loaded import LoadedSettings
from ringrift.core.settings_loader.names import set_known
from ringrift.core.settings_loader.rules import check_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringrift.core.settings import Settings

DEFAULT_FILE = "config/unified_loop.yaml"
PROFILE_FOLDER = Path(__file__).parents[1] / "profiles"


def profile_names() -> list[str]:
    """Return the names of the shipped profiles."""
    return sorted(path.stem for path in PROFILE_FOLDER.glob("*.yaml"))


def load_settings(
    *,
    root: Path | None = None,
    file: Path | None = None,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> LoadedSettings:
    """Merge all layers and check them.

    `root` is the data root in which `config/unified_loop.yaml` is looked for; `file` replaces that
    path and must exist. `options` maps dotted key paths to values given on the command line; `None`
    values were not given. Raises `SettingsError` with every problem of the run.
    """
    variables = os.environ if environ is None else environ
    layers = Layers()
    found = _settings_file(root, file)
    _read_files(layers, profile, found)
    read_environment(layers, variables)
    for path, raw in (options or {}).items():
        if raw is not None:
            set_known(layers, path, Value(raw=raw, origin=Origin("option", f"option for {path}")))
    values = check_all(layers, variables)
    _hide_secrets(values, variables)
    origins = {
        path: layers.values[path].origin if path in layers.values else Origin("default")
        for path in known_keys()
    }
    return LoadedSettings(
        values=values,
        origins=MappingProxyType(origins),
        warnings=tuple(layers.warnings),
        profile=profile,
        file=found,
    )


def check_file(path: Path) -> list[SettingsError]:
    """Return every problem of one settings file taken alone, with no environment."""
    try:
        load_settings(file=path, environ={})
    except SettingsError as error:
        return list(error.problems)
    return []


def _read_files(layers: Layers, profile: str | None, file: Path | None) -> None:
    overlay = None if profile is None else _profile_file(profile)
    if overlay is None and file is None:
        return
    from ringrift.core.settings_loader.yaml_file import read_yaml

    if overlay is not None and profile is not None:
        read_yaml(layers, overlay, "profile", profile=profile)
    if file is not None:
        read_yaml(layers, file, "file")


def _settings_file(root: Path | None, file: Path | None) -> Path | None:
    if file is not None:
        if not file.is_file():
            raise SettingsError(
                f"no settings file {file}", where="--config", hint="ringrift config init"
            )
        return file
    default = root / DEFAULT_FILE if root is not None else None
    return default if default is not None and default.is_file() else None


def _profile_file(profile: str) -> Path:
    if profile not in profile_names():
        raise SettingsError(
            f"unknown profile {profile!r}; known: {', '.join(profile_names())}", where="--profile"
        )
    return PROFILE_FOLDER / f"{profile}.yaml"


def _hide_secrets(values: Settings, environ: Mapping[str, str]) -> None:
    """Hide what the settings refer to in the environment before anybody has read it."""
    for key in known_keys().values():
        if key.secret:
            reference = value_at(values, key.path).reference
            if reference.startswith("env:"):
                value_at(values, key.path).read(environ=environ)
