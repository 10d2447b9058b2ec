"""Put a value where it belongs, or say what is wrong with its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.settings_loader.keys import known_keys, section_paths
from ringrift.core.settings_loader.retired import RETIRED_SECTIONS, retired_key

if TYPE_CHECKING:
    from ringrift.core.settings_loader.layers import Layers, Value

_SURE, _POSSIBLE = 0.75, 0.4


def set_known(layers: Layers, path: str, value: Value) -> None:
    """Keep the value of a known key; warn of a retired one; anything else is a problem."""
    if path in known_keys():
        layers.values[path] = value
        return
    where = f"{value.origin} {path}"
    if path in RETIRED_SECTIONS:
        _set_retired_section(layers, path, value, where)
        return
    instead = replaced_by(path)
    if instead is not None:
        layers.warn(f"{where}: retired, has no effect; replaced by {instead}")
        return
    what = "section" if isinstance(value.raw, dict) and "." not in path else "key"
    layers.problem(
        f"unknown {what} {path!r}; expected a known one", where=where, hint=nearest_key(path)
    )


def replaced_by(path: str) -> str | None:
    """Return what replaced a retired key or section; `None` for any other path."""
    section, _, name = path.rpartition(".")
    if path in known_keys() or path in section_paths() or path in RETIRED_SECTIONS:
        return RETIRED_SECTIONS.get(path)
    row = retired_key(name) if not section or section in section_paths() else None
    return None if row is None else row.replacement


def nearest_key(path: str) -> str | None:
    """Return the key that an unknown one was meant to be, if one is near."""
    import difflib

    section, _, name = path.rpartition(".")
    prefix = f"{section}." if section else ""
    siblings = sorted(
        {
            known[len(prefix) :].partition(".")[0]
            for known in known_keys()
            if known.startswith(prefix)
        }
    )
    elsewhere = [known for known in known_keys() if known.rpartition(".")[2] == name]
    sure = difflib.get_close_matches(name, siblings, n=1, cutoff=_SURE)
    possible = difflib.get_close_matches(name, siblings, n=1, cutoff=_POSSIBLE)
    anywhere = difflib.get_close_matches(path, list(known_keys()), n=1, cutoff=_POSSIBLE)
    return next(iter([*sure, *elsewhere, *possible, *anywhere]), None)


def _set_retired_section(layers: Layers, path: str, value: Value, where: str) -> None:
    raw = value.raw
    enabled = raw.get("enabled", False) if isinstance(raw, dict) else raw
    if enabled in (None, False):
        layers.warn(f"{where}: retired, has no effect; replaced by {RETIRED_SECTIONS[path]}")
        return
    spot = ("enabled",) if isinstance(raw, dict) else ()
    name = ".".join((path, *spot))
    layers.problem(
        f"{name}: found {enabled!r}; expected false: the section is retired, "
        f"replaced by {RETIRED_SECTIONS[path]}",
        where=f"{value.place_of(spot)} {name}",
        hint=f"removing the section {path}",
    )
