"""Read settings: defaults < profile < file < environment < options, each value with its origin.

All errors of one run are collected and raised together as one `SettingsError`.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import ValidationError

from ringrift.core.errors import SettingsError
from ringrift.core.settings import Section, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_FILE = "config/unified_loop.yaml"
PROFILE_FOLDER = Path(__file__).with_name("profiles")

Kind = Literal["default", "profile", "file", "environment", "option"]
_RANK: dict[Kind, int] = {"default": 0, "profile": 1, "file": 2, "environment": 3, "option": 4}

# Short names of environment variables (`core.md` 3); `!` inverts a boolean.
SHORT_NAMES: dict[str, str] = {
    "RINGRIFT_DISABLE_LOCAL_TASKS": "!loop.local_tasks",
    "RINGRIFT_ENABLE_POLICY_TRAINING": "training.policy.enabled",
    "RINGRIFT_POLICY_AUTO_KL_LOSS": "training.policy.auto_kl_loss",
    "RINGRIFT_POLICY_KL_MIN_COVERAGE": "training.policy.kl_min_coverage",
    "RINGRIFT_POLICY_KL_MIN_SAMPLES": "training.policy.kl_min_samples",
    "RINGRIFT_MAX_DISK_PERCENT": "limits.disk_critical",
}

# Variables that are read elsewhere and are no settings keys.
OTHER_NAMES: dict[str, str] = {
    "RINGRIFT_ROOT": "data root",
    "RINGRIFT_PATH": "data root, if RINGRIFT_ROOT is not set",
    "RINGRIFT_DIR": "data root, if neither of the above is set",
    "RINGRIFT_LOG_LEVEL": "least level of log lines: debug, info, warning, error",
    "RINGRIFT_LOG_FORMAT": "auto, text or json; auto = text on a terminal",
    "RINGRIFT_BUILD_VERSION": "version shown instead of the package's",
    "RINGRIFT_NODE_ID": "name of this machine in logs and records",
}

# Two keys with one meaning: the first named is the one that is read.
SAME_MEANING = (("training.trigger_threshold_games", "selfplay.min_games_for_training"),)

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Say which layer set a value and where: a file and line, a variable, an option."""

    kind: Kind
    place: str | None = None

    def __str__(self) -> str:
        return self.place or self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """Hold checked settings, the origin of each key path, and what deserves a warning."""

    values: Settings
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...] = ()
    profile: str | None = None
    file: Path | None = None

    def as_tree(self) -> dict[str, Any]:
        """Return the values as plain nested data, as they go to JSON and into run folders."""
        return self.values.model_dump(mode="json")


class Key(NamedTuple):
    """Describe one settings key."""

    path: str
    default: Any
    meaning: str
    variable: str
    is_bool: bool
    is_list: bool


class _Value(NamedTuple):
    raw: Any
    origin: Origin


@dataclass(slots=True)
class _Layers:
    values: dict[str, _Value] = field(default_factory=dict)
    problems: list[SettingsError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def set(self, path: str, raw: Any, origin: Origin) -> None:
        self.values[path] = _Value(raw, origin)

    def problem(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.problems.append(SettingsError(message, where=where, hint=hint))


@cache
def known_keys() -> Mapping[str, Key]:
    """Return every settings key by its dotted path, in the order of the model."""
    return MappingProxyType({key.path: key for key in _walk(Settings, "")})


def _walk(model: type[Section], prefix: str) -> Iterator[Key]:
    for name, info in model.model_fields.items():
        path = f"{prefix}{name}"
        default = info.get_default(call_default_factory=False)
        if isinstance(default, Section):
            yield from _walk(type(default), f"{path}.")
        else:
            kinds = str(info.annotation)
            yield Key(
                path=path,
                default=default,
                meaning=info.description or "",
                variable="RINGRIFT_" + path.replace(".", "__").upper(),
                is_bool=isinstance(default, bool),
                is_list="tuple[" in kinds,
            )


def section_paths() -> frozenset[str]:
    """Return the dotted paths of all sections, nested ones included."""
    found: set[str] = set()
    for path in known_keys():
        parts = path.split(".")[:-1]
        found.update(".".join(parts[: n + 1]) for n in range(len(parts)))
    return frozenset(found)


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
    layers = _Layers()
    if profile is not None:
        _read_profile(layers, profile)
    found = _settings_file(root, file)
    if found is not None:
        _read_yaml(layers, found, "file")
    _read_environment(layers, os.environ if environ is None else environ)
    for path, raw in (options or {}).items():
        if raw is not None:
            _set_known(layers, path, raw, Origin("option", f"option for {path}"))
    values = _check(layers)
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


def _settings_file(root: Path | None, file: Path | None) -> Path | None:
    if file is not None:
        if not file.is_file():
            raise SettingsError(
                f"no settings file {file}", where="--config", hint="ringrift config init"
            )
        return file
    default = root / DEFAULT_FILE if root is not None else None
    return default if default is not None and default.is_file() else None


def _read_profile(layers: _Layers, profile: str) -> None:
    path = PROFILE_FOLDER / f"{profile}.yaml"
    if profile not in profile_names():
        raise SettingsError(
            f"unknown profile {profile!r}; known: {', '.join(profile_names())}", where="--profile"
        )
    _read_yaml(layers, path, "profile", profile=profile)


def _read_yaml(
    layers: _Layers, path: Path, kind: Literal["profile", "file"], profile: str = ""
) -> None:
    """Add the leaves of a YAML file; `where` of problems is `FILE:LINE KEY.PATH`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    try:
        tree = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        layers.problem(f"cannot read the settings file: {error.strerror}", where=str(path))
        return
    except UnicodeDecodeError as error:
        layers.problem(f"not UTF-8 at byte {error.start}", where=str(path), hint="saving as UTF-8")
        return
    except (YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        what = str(getattr(error, "problem", None) or error).splitlines()[0]
        layers.problem(f"not valid YAML: {what}", where=f"{path}{line}")
        return
    if tree is None:
        return
    if not isinstance(tree, CommentedMap):
        layers.problem(
            f"found a {type(tree).__name__} at the top; expected sections with keys",
            where=f"{path}:1",
        )
        return

    def visit(node: CommentedMap, prefix: str) -> None:
        for name, raw in node.items():
            key_path = f"{prefix}{name}"
            line = node.lc.key(name)[0] + 1
            place = f"profile {profile}" if kind == "profile" else f"{path}:{line}"
            if key_path not in section_paths():
                _set_known(layers, key_path, _plain(raw), Origin(kind, place))
            elif isinstance(raw, CommentedMap):
                visit(raw, f"{key_path}.")
            elif raw is not None:  # a section whose keys are all commented out is empty
                layers.problem(
                    f"found {raw!r}; expected a section with keys", where=f"{place} {key_path}"
                )

    visit(tree, "")


def _plain(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {str(name): _plain(value) for name, value in raw.items()}
    if isinstance(raw, list):
        return [_plain(value) for value in raw]
    return raw


def _set_known(layers: _Layers, path: str, raw: Any, origin: Origin) -> None:
    if path in known_keys():
        layers.set(path, raw, origin)
        return
    section, _, name = path.rpartition(".")
    if section in section_paths() or not section:
        prefix = f"{section}." if section else ""
        siblings = {
            known[len(prefix) :].split(".")[0] for known in known_keys() if known.startswith(prefix)
        }
    else:
        siblings = set(known_keys())
        name = path
    close = difflib.get_close_matches(name, sorted(siblings), n=1, cutoff=0.4)
    if not close:  # the key may stand in the wrong section
        last = path.rpartition(".")[2]
        close = [known for known in known_keys() if known.rpartition(".")[2] == last][:1]
    layers.problem(
        f"unknown key {path!r}", where=f"{origin} {path}", hint=close[0] if close else None
    )


def _read_environment(layers: _Layers, environ: Mapping[str, str]) -> None:
    by_variable = {key.variable: key for key in known_keys().values()}
    known = sorted({*by_variable, *SHORT_NAMES, *OTHER_NAMES})
    # Short names first: the long name of the same key is the more exact statement and wins.
    for name in sorted(environ, key=lambda name: ("__" in name, name)):
        if not name.startswith("RINGRIFT_") or name in OTHER_NAMES:
            continue
        origin = Origin("environment", name)
        if name in SHORT_NAMES:
            target = SHORT_NAMES[name]
            inverted = target.startswith("!")
            key = known_keys()[target.lstrip("!")]
            raw = _from_text(layers, key, environ[name], origin)
            if raw is not None:
                layers.set(key.path, (not raw) if inverted else raw, origin)
        elif name in by_variable:
            key = by_variable[name]
            raw = _from_text(layers, key, environ[name], origin)
            if raw is not None or environ[name].strip().lower() == "null":
                layers.set(key.path, raw, origin)
        else:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            if "__" in name:
                layers.problem(
                    f"unknown settings variable {name}",
                    where="environment",
                    hint=close[0] if close else None,
                )
            else:
                nearest = f"; nearest known: {close[0]}" if close else ""
                layers.warnings.append(f"unknown environment variable {name}{nearest}")


def _from_text(layers: _Layers, key: Key, text: str, origin: Origin) -> Any:
    """Turn a variable's text into a raw value; `None` is null or, after a problem, nothing."""
    text = text.strip()
    if text.lower() == "null":
        return None
    if key.is_bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        layers.problem(
            f"{key.path}: found {text!r}; expected 1, true, yes, on or 0, false, no, off",
            where=f"environment {origin}",
        )
        return None
    if key.is_list:
        return [part for part in re.split(r"\s*,\s*", text) if part]
    return text


def _check(layers: _Layers) -> Settings:
    _join_same_meaning(layers)
    tree: dict[str, Any] = {}
    for path, value in layers.values.items():
        *sections, name = path.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value.raw
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            _add_invalid(layers, item)
        settings = None
    if layers.problems or settings is None:
        first = layers.problems[0]
        raise SettingsError(
            first.message, where=first.where, hint=first.hint, problems=layers.problems
        )
    return settings


def _join_same_meaning(layers: _Layers) -> None:
    for first, second in SAME_MEANING:
        ours, theirs = layers.values.get(first), layers.values.get(second)
        if ours is None and theirs is None:
            continue
        if ours is not None and theirs is not None and str(ours.raw) != str(theirs.raw):
            if ours.origin.kind == theirs.origin.kind:
                layers.problem(
                    f"{first} ({ours.origin}) and {second} ({theirs.origin}) mean the same: "
                    f"found {ours.raw} and {theirs.raw}; expected one value",
                    hint=f"keeping {first} only",
                )
            elif _RANK[theirs.origin.kind] > _RANK[ours.origin.kind]:
                layers.values[first] = theirs
            else:
                layers.values[second] = ours
        elif ours is not None:
            layers.values[second] = ours
        elif theirs is not None:
            layers.values[first] = theirs


def _add_invalid(layers: _Layers, item: Any) -> None:
    parts = [str(part) for part in item["loc"]]
    paths = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    path = next((path for path in paths if path in known_keys()), ".".join(parts))
    message = str(item["msg"]).removeprefix("Value error, ")
    if path in layers.values:
        value = layers.values[path]
        layers.problem(
            f"{path}: found {value.raw!r}; expected: {message[:1].lower()}{message[1:]}",
            where=f"{value.origin} {path}",
        )
        return
    # A rule over several keys of a section: name the keys of the message that somebody has set.
    prefix = f"{path}." if path else ""
    places = [
        f"{value.origin} {known}"
        for known, value in layers.values.items()
        if known.startswith(prefix) and known.rpartition(".")[2] in message
    ]
    layers.problem(message, where=", ".join(places) or path or None)
