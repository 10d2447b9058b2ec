"""Read one environment variable the way all are read (`core.md` 3)."""

from __future__ import annotations

from ringrift.core.errors import SettingsError

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def as_bool(name: str, text: str | None, *, default: bool) -> bool:
    """Return a variable's truth; unset is `default`, anything but the known words exits 78."""
    if text is None:
        return default
    word = text.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise SettingsError(
        f"found {text!r}; expected 1, true, yes, on or 0, false, no, off",
        where=f"environment {name}",
    )
