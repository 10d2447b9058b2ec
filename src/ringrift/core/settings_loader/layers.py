"""Gather values, their origins, and problems, layer by layer."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.errors import SettingsError
from ringrift.core.hidden import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["default", "profile", "file", "environment", "option"]
RANK: Mapping[Kind, int] = MappingProxyType(
    {"default": 0, "profile": 1, "file": 2, "environment": 3, "option": 4}
)

_LINE = re.compile(r":(\d+)(?: |$)")

Spot = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Say which layer set a value and where: a file and line, a variable, an option."""

    kind: Kind
    place: str | None = None

    def __str__(self) -> str:
        return self.place or self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Hold what one layer says of one key, unchecked.

    `lines` are the lines of what stands inside a list or mapping.
    """

    raw: Any
    origin: Origin
    lines: Mapping[Spot, int] = field(default_factory=dict)

    def place_of(self, spot: Spot) -> str:
        """Return the place of an element, as near as it is known."""
        for length in range(len(spot), 0, -1):
            line = self.lines.get(spot[:length])
            if line is not None and self.origin.place is not None:
                return f"{self.origin.place.rpartition(':')[0]}:{line}"
        return str(self.origin)


@dataclass(slots=True)
class Layers:
    """Collect the last value of each key path, and what is wrong."""

    values: dict[str, Value] = field(default_factory=dict)
    problems: list[SettingsError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def problem(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        """Add a problem; the run goes on, to find them all."""
        self.problems.append(SettingsError(without_secrets(message), where=where, hint=hint))

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        shown = without_secrets(text)
        if shown not in self.warnings:
            self.warnings.append(shown)

    def rank(self, path: str) -> int:
        """Return how strong the layer is that set a key."""
        value = self.values.get(path)
        return 0 if value is None else RANK[value.origin.kind]

    def error(self) -> SettingsError:
        """Return all problems as one error, in the order of the file's lines."""
        problems = sorted(self.problems, key=_line_of)
        first = problems[0]
        return SettingsError(first.message, where=first.where, hint=first.hint, problems=problems)


def _line_of(problem: SettingsError) -> int:
    found = _LINE.search(problem.where or "")
    return int(found[1]) if found else sys.maxsize  # variables and options come after the file
