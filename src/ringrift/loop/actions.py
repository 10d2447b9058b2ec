"""What control asks of the process that holds the store: decisions to be written, once each.

Whoever carries one out reads the facts anew; one that was carried out before changes nothing.
`term` is the leader's (`cluster.md` 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstChampion:
    """Begin the chain of a configuration with its model of random weights."""

    config: str
    model: str
    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Judge a candidate from the stored matches."""

    config: str
    candidate: str
    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Supersede:
    """Pass over an undecided model whose matches have not begun, for a newer one."""

    config: str
    model: str
    newer: str
    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Bring a former champion back."""

    config: str
    target: str
    reason: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    term: int


Action = FirstChampion | Decide | Supersede | RollBack


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of an action, in `words`: whether a decision was `written` now.

    `sequence` is the number of the decision that stands, None where there is none.
    """

    written: bool
    sequence: int | None
    words: str
