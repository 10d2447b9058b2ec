"""Read settings from environment variables; values of secret ones are hidden and never kept."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.environment import FALSE, TRUE, as_bool
from ringrift.core.errors import SettingsError
from ringrift.core.hidden import HIDDEN, LEAST_LENGTH, hide_secret
from ringrift.core.settings_loader.keys import known_keys
from ringrift.core.settings_loader.layers import Layers, Origin, Value
from ringrift.core.settings_loader.names import replaced_by, set_known
from ringrift.core.settings_loader.variables import BY_NAME, VARIABLES, Variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringrift.core.settings_loader.keys import Key

PREFIX = "RINGRIFT_"
_PROXY = re.compile(r"socks5h?://([^@/\s]+@)?(\[[0-9a-fA-F:.]+\]|[^@/:\s]+):[0-9]{1,5}/?")
_USER = re.compile(r"(?<=://)[^/\s]*@")


def read_environment(layers: Layers, environ: Mapping[str, str]) -> None:
    """Add the keys that variables set; check the others; warn of unknown ones."""
    for variable in VARIABLES:
        if variable.name in environ:
            _read(layers, variable, environ[variable.name])
    # After the short names: the long name of the same key is the more exact statement.
    by_variable = {key.variable: key for key in known_keys().values()}
    for name in sorted(environ):
        if name in BY_NAME or not name.startswith(PREFIX):
            continue
        if name in by_variable:
            _set(layers, by_variable[name], environ[name], Origin("environment", name))
        else:
            _unknown(layers, name, [*BY_NAME, *by_variable])


def flag(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Return a boolean variable of the table; raises `SettingsError` for any other word."""
    variables = os.environ if environ is None else environ
    default = BY_NAME[name].default
    return as_bool(name, variables.get(name), default=default is not None and default in TRUE)


def shown_value(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the text of a variable as it may be shown: secrets and passwords are `***`."""
    text = (os.environ if environ is None else environ).get(name)
    variable = BY_NAME.get(name)
    if text is None:
        return None
    if variable is not None and variable.secret:
        return HIDDEN if text else text
    return _USER.sub(f"{HIDDEN}@", text)


def _read(layers: Layers, variable: Variable, text: str) -> None:
    origin = Origin("environment", variable.name)
    if variable.secret:
        _hide(layers, variable.name, text.strip())
    if variable.reference is not None:
        if text.strip():
            _refer(layers, variable, text.strip(), origin)
    elif variable.key is not None:
        _set(layers, known_keys()[variable.key], text, origin, inverted=variable.inverted)
    elif variable.name.startswith(PREFIX) and text.strip():
        # The others are also other programs' variables: only who uses them may judge them.
        _check_other(layers, variable, text.strip())


def _hide(layers: Layers, name: str, secret: str) -> None:
    if len(secret) >= LEAST_LENGTH:
        hide_secret(secret)
    elif secret:
        layers.warn(f"{name} is shorter than {LEAST_LENGTH} characters: logs may show it")


def _refer(layers: Layers, variable: Variable, text: str, origin: Origin) -> None:
    """Set a key to where its secret is."""
    if variable.reference == "file":
        from ringrift.core.settings.secrets import refuse_open_file

        path = Path(text).expanduser().absolute()
        try:
            refuse_open_file(path, where=f"environment {variable.name}")
        except SettingsError as error:
            layers.problems.append(error)
            return
        raw = f"file:{path}"
    else:
        raw = f"env:{variable.name}"
    set_known(layers, str(variable.key), Value(raw=raw, origin=origin))


def _set(layers: Layers, key: Key, text: str, origin: Origin, *, inverted: bool = False) -> None:
    try:
        raw = _from_text(key, text.strip())
    except ValueError as error:
        shown = HIDDEN if key.secret else repr(text)
        layers.problem(
            f"{key.path}: found {shown}; expected {error}", where=f"environment {origin}"
        )
        return
    set_known(layers, key.path, Value(raw=(not raw) if inverted else raw, origin=origin))


def _from_text(key: Key, text: str) -> Any:
    """Turn a variable's text into a raw value; `ValueError` says what is expected."""
    if text.lower() == "null":
        return None
    if key.is_bool:
        if text.lower() in TRUE | FALSE:
            return text.lower() in TRUE
        raise ValueError("1, true, yes, on or 0, false, no, off")
    if key.is_structured or (key.is_list and text.startswith("[")):
        import json

        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(f"{key.type}, as JSON") from None
    if key.is_list:
        return [part for part in re.split(r"\s*,\s*", text) if part]
    return text


def _check_other(layers: Layers, variable: Variable, text: str) -> None:
    """Check a variable that is read elsewhere, so that its fault is found at once."""
    expected: str | None = None
    if variable.kind == "boolean" and text.lower() not in TRUE | FALSE:
        expected = "1, true, yes, on or 0, false, no, off"
    elif variable.kind == "choice" and text.lower() not in variable.choices:
        expected = f"one of {', '.join(variable.choices)}"
    elif variable.kind == "proxy":
        expected = None if _PROXY.fullmatch(text) else "socks5://[user:password@]HOST:PORT"
        password = text.partition("://")[2].rpartition("@")[0]
        if len(password) >= LEAST_LENGTH:
            hide_secret(text)
    elif variable.kind == "port" and not (text.isdigit() and int(text) <= 65535):
        expected = "a whole number from 0 to 65535"
    elif variable.kind == "whole number" and not text.isdigit():
        expected = "a whole number >= 0"
    elif variable.kind == "number" and not re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", text):
        expected = "a number >= 0"
    if expected is not None:
        shown = _USER.sub(f"{HIDDEN}@", text)
        layers.problem(
            f"{variable.name}: found {shown!r}; expected {expected}",
            where=f"environment {variable.name}",
        )


def _unknown(layers: Layers, name: str, known: list[str]) -> None:
    instead = replaced_by(name.removeprefix(PREFIX).lower().replace("__", "."))
    if instead is not None and "__" in name:
        layers.warn(f"{name}: retired, has no effect; replaced by {instead}")
        return
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if "__" in name:
        layers.problem(
            f"unknown settings variable {name}; expected RINGRIFT_<SECTION>__<KEY> of a known key",
            where=f"environment {name}",
            hint=close[0] if close else None,
        )
    else:
        nearest = f"; nearest known: {close[0]}" if close else ""
        layers.warn(f"unknown environment variable {name}{nearest}")
