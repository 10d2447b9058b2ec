"""The settings: sections, keys, defaults and their meanings (`core.md` 2).

This package is the one home of every key and default; `settings_loader` reads files, environment
and options over them. A key's meaning is the docstring below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.core.settings.configurations import CONFIGURATIONS

if TYPE_CHECKING:
    from ringrift.core.settings.base import Section
    from ringrift.core.settings.secrets import Secret
    from ringrift.core.settings.tree import Settings

__all__ = ["CONFIGURATIONS", "Secret", "Section", "Settings"]

_HOMES = {
    "Secret": "ringrift.core.settings.secrets",
    "Section": "ringrift.core.settings.base",
    "Settings": "ringrift.core.settings.tree",
}


def __getattr__(name: str) -> Any:
    """Import the model when it is first named: completions need the configurations alone."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
