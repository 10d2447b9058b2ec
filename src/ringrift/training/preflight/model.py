"""What a check looks at, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ringrift.core.readings import Readings
    from ringrift.core.settings.limits import Limits

State = Literal["ok", "warn", "FAIL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line: which check, how it went, what was found, its limit and, unless ok, what to do."""

    name: str
    state: State
    found: str
    limit: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset to be trained on."""

    folder: Path
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all checks of one run may look at; rooms after this one are handed in.

    `champions` are model files by configuration; `checkpoints` are resumable states of trainings.
    `quality` measures the data quality score of a configuration, None where it is unknown.
    `unsound` holds stores that the store check found unfit to be read; later checks leave them out.
    """

    root: Path
    stores: tuple[Path, ...]
    configs: tuple[str, ...]
    datasets: tuple[Dataset, ...] = ()
    registry: Path | None = None
    champions: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits
    read: Callable[[Path], Readings]
    quality: Callable[[tuple[Path, ...], str], float | None]
    quality_min: float = 0.70
    coverage_min: float = 0.3
    min_games: int = 300
    require_gpu: bool = False
    problems: tuple[str, ...] = ()
    """what was wrong before a check could look: stores that are missing"""
    unsound: set[Path] = field(default_factory=set)
    notes: dict[str, Any] = field(default_factory=dict)
    """what one check found out and another one needs"""

    @property
    def sound(self) -> tuple[Path, ...]:
        """The stores that can be read."""
        return tuple(path for path in self.stores if path not in self.unsound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks in the order of the table; `strict` lets warnings fail too."""

    checks: tuple[Check, ...]
    strict: bool
    seconds: float

    @property
    def ready(self) -> bool:
        """Whether a training may start."""
        return not self.count("FAIL") and not (self.strict and self.count("warn"))

    def count(self, state: State) -> int:
        """Return the number of checks in a state."""
        return sum(check.state == state for check in self.checks)


_GRAVEST_LAST: tuple[State, ...] = ("ok", "warn", "FAIL")


@dataclass(frozen=True, slots=True)
class Part:
    """One thing a check looked at; a check is as bad as its worst part."""

    state: State
    found: str
    remedy: str | None = None


def of_parts(name: str, parts: Iterable[Part], *, limit: str | None = None) -> Check:
    """Make a check of its parts: the worst ones say what was found and what to do."""
    listed = list(parts)
    state: State = "ok"
    for worse in _GRAVEST_LAST:
        if any(part.state == worse for part in listed):
            state = worse
    worst = [part for part in listed if part.state == state]
    remedies = dict.fromkeys(part.remedy for part in worst if part.remedy)
    return Check(
        name=name,
        state=state,
        found="; ".join(part.found for part in worst),
        limit=limit,
        remedy="; ".join(remedies) or None,
    )
