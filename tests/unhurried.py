"""Settings under which other work on this machine holds no command, nor a full disk a loop.

Tests that are about something else run under them; those about the limits set their own.
"""

import os

UNHURRIED = {
    "RINGRIFT_LIMITS__CPU_CRITICAL": "100",
    "RINGRIFT_LIMITS__LOAD_CRITICAL_MULTIPLIER": "10000",
}
UNWARNED = {
    "RINGRIFT_LIMITS__CPU_WARNING": "99",
    "RINGRIFT_LIMITS__DISK_WARNING": "99",
    "RINGRIFT_LIMITS__DISK_CRITICAL": "100",
}
"""A loop starts no self-play from a warning on: these are for its tests."""


def settings_of(environ):
    """Return the names of the variables that are settings of ours."""
    return [name for name in environ if name.startswith("RINGRIFT_")]


def without_settings():
    """Return this process's environment without what our programs read from theirs."""
    return {name: text for name, text in os.environ.items() if "RINGRIFT" not in name}


def unhurried(**variables):
    """Return the environment of a program: no settings but these and `variables`."""
    return {**without_settings(), **UNHURRIED, **variables}


def only_unhurried(monkeypatch):
    """Take all settings from this process's environment but these."""
    for name in settings_of(os.environ):
        monkeypatch.delenv(name)
    for name, value in UNHURRIED.items():
        monkeypatch.setenv(name, value)
