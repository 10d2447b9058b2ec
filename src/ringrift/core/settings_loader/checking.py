"""Check types and ranges, and say in words what was expected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ringrift.core.environment import FALSE, TRUE
from ringrift.core.hidden import HIDDEN, LEAST_LENGTH, hide_secret
from ringrift.core.settings_loader.keys import Key, known_keys, section_paths

if TYPE_CHECKING:
    from ringrift.core.settings import Settings
    from ringrift.core.settings_loader.layers import Layers, Spot

_LONGEST = 80


@dataclass(slots=True)
class Checked:
    """Hold settings and the paths of keys whose values were no good and stand at their defaults."""

    settings: Settings
    bad: set[str]


def check_types(layers: Layers, same: dict[str, str]) -> Checked:
    """Return the settings; what does not fit is a problem and left at its default.

    `same` maps keys that only repeat another's value to that other: their faults are its faults.
    """
    from pydantic import ValidationError

    bad = {path for path in layers.values if not _fits(layers, path, silent=path in same)}
    while True:
        try:
            return Checked(build(layers, bad), bad)
        except ValidationError as error:
            items = error.errors(include_url=False)
            found = [_path(item["loc"]) for item in items]
            for item, (path, spot) in zip(items, found, strict=True):
                # A list whose elements are no good is also called too short: say it once.
                once = bool(spot) or sum(path == other for other, _ in found) == 1
                if once and path not in same:
                    _add(layers, known_keys()[path], spot, item)
                bad.add(path)


def build(layers: Layers, bad: set[str]) -> Settings:
    """Make the settings of all values but the bad ones; rules between keys are for the caller."""
    from ringrift.core.settings import Settings
    from ringrift.core.settings.base import WITHOUT_CONFLICTS

    return Settings.model_validate(_tree(layers, bad), context=WITHOUT_CONFLICTS)


def _tree(layers: Layers, bad: set[str]) -> dict[str, Any]:
    # Every section stands there, empty or not: a default section would be built by itself.
    tree: dict[str, Any] = {}
    for section in sorted(section_paths()):
        _node(tree, section.split("."))
    for path, value in layers.values.items():
        if path not in bad:
            *sections, name = path.split(".")
            _node(tree, sections)[name] = value.raw
    return tree


def _node(tree: dict[str, Any], parts: list[str]) -> dict[str, Any]:
    for part in parts:
        tree = tree.setdefault(part, {})
    return tree


def _fits(layers: Layers, path: str, *, silent: bool) -> bool:
    """Check what the model would take too kindly: words for truth, truth for numbers."""
    key, value = known_keys()[path], layers.values[path]
    wrong: Any = None
    if key.is_bool and isinstance(value.raw, str):
        if value.raw.lower() in TRUE | FALSE:
            layers.values[path] = replace(value, raw=value.raw.lower() in TRUE)
            return True
        wrong = value.raw
    elif "whole number" in (key.kind, key.item_kind) or "number" in (key.kind, key.item_kind):
        items = value.raw if isinstance(value.raw, list) else [value.raw]
        wrong = next((item for item in items if isinstance(item, bool)), None)
    if wrong is None:
        return True
    if not silent:
        layers.problem(
            f"{path}: found {wrong!r}; expected {key.type}", where=f"{value.origin} {path}"
        )
    return False


def _path(location: tuple[int | str, ...]) -> tuple[str, Spot]:
    """Split a place in the tree into the key and the spot inside its value."""
    for length in range(len(location), 0, -1):
        path = ".".join(str(part) for part in location[:length])
        if path in known_keys():
            return path, location[length:]
    raise KeyError(location)


def _add(layers: Layers, key: Key, spot: Spot, item: Any) -> None:
    value = layers.values[key.path]
    spot = tuple(part for part in spot if part != "[key]")
    place = ".".join(str(part) for part in (key.path, *spot))
    where = f"{value.place_of(spot)} {place}"
    if item["type"] == "extra_forbidden":
        layers.problem(f"unknown key {place!r}; expected {key.item_type}", where=where)
    elif item["type"] == "missing":
        layers.problem(f"{place}: found nothing; expected {spot[-1]}", where=where)
    elif key.secret:
        # Whoever put the secret itself here must not find it in a log as well.
        if isinstance(value.raw, str) and len(value.raw) >= LEAST_LENGTH:
            hide_secret(value.raw)
        layers.problem(f"{place}: found {HIDDEN}; expected {key.type}", where=where)
    else:
        found = item["input"]
        layers.problem(
            f"{place}: found {_shown(found)}; expected {_expected(key, spot, item)}",
            where=where,
            hint=_hint(key, found),
        )


def _expected(key: Key, spot: Spot, item: Any) -> str:
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    if len(spot) > 1 or (spot and key.kind == "mapping"):
        words = str(item["msg"]).removeprefix("Input should be ")
        return f"{words[:1].lower()}{words[1:]}"
    words = key.item_type if spot else key.type
    if item["type"] == "finite_number":
        return words.replace("a number", "a finite number")
    return words


def _hint(key: Key, found: Any) -> str | None:
    if not isinstance(found, str) or not key.choices:
        return None
    import difflib

    close = difflib.get_close_matches(found, key.choices, n=1, cutoff=0.5)
    return close[0] if close else None


def _shown(found: Any) -> str:
    text = "null" if found is None else repr(found)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
