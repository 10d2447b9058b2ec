"""Read settings: defaults < profile < file < environment < options, each value with its origin.

All errors of one run are collected and raised together as one `SettingsError`.

| module | holds |
|---|---|
| `load` | `load_settings`, `check_file` |
| `loaded` | `LoadedSettings`, what a load returns |
| `keys` | every key with type, default, meaning |
| `layers` | values, origins and problems while they are gathered |
| `yaml_file` | reading a file, with the line of everything |
| `variables`, `environment` | the table of environment variables; reading them |
| `retired`, `names` | keys of older files and what replaced them; the nearest known name |
| `rules` | what holds between keys |
| `checking` | types and ranges, in words |
"""

from __future__ import annotations

from ringrift.core.settings_loader.environment import flag, shown_value
from ringrift.core.settings_loader.keys import Key, known_keys, section_paths
from ringrift.core.settings_loader.layers import Origin
from ringrift.core.settings_loader.load import (
    DEFAULT_FILE,
    check_file,
    load_settings,
    profile_names,
)
from ringrift.core.settings_loader.loaded import LoadedSettings
from ringrift.core.settings_loader.names import replaced_by
from ringrift.core.settings_loader.retired import RETIRED, RETIRED_SECTIONS, Retired, retired_key
from ringrift.core.settings_loader.variables import OTHER_NAMES, SHORT_NAMES, VARIABLES, Variable

__all__ = [
    "DEFAULT_FILE",
    "OTHER_NAMES",
    "RETIRED",
    "RETIRED_SECTIONS",
    "SHORT_NAMES",
    "VARIABLES",
    "Key",
    "LoadedSettings",
    "Origin",
    "Retired",
    "Variable",
    "check_file",
    "flag",
    "known_keys",
    "load_settings",
    "profile_names",
    "replaced_by",
    "retired_key",
    "section_paths",
    "shown_value",
]
