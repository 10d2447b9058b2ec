"""What a parity run found: one result per game and engine, and their totals."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

GOOD, INVALID, NON_CANONICAL = "good", "invalid", "non_canonical"

Row = tuple[int, str, str, str]
"""Ply, what was compared, recorded value, ours."""


@dataclass(slots=True, kw_only=True)
class GameCheck:
    """How one recorded game fared on one engine.

    `structure` is good, invalid (the record is damaged) or non_canonical (a bookkeeping ply is
    missing); `detail` says what. `diverged_at` is the first ply that differs, -1 for the start;
    `expected` is what the record says and `got` what the engine does, by kind of mismatch.
    `is_end_of_game_only`: the recording host ended the game at the first ply with a verdict.
    """

    file: str
    game: str
    engine: str
    config: str | None = None
    plies: int = 0
    structure: str = GOOD
    detail: str | None = None
    diverged_at: int | None = None
    expected: dict[str, str] = field(default_factory=dict)
    got: dict[str, str] = field(default_factory=dict)
    is_end_of_game_only: bool = False
    inserted: int = 0
    moves: Counter[str] = field(default_factory=Counter)
    end: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def mismatch_kinds(self) -> list[str]:
        """The names of what differs at the ply."""
        return list(self.expected)

    @property
    def diverged(self) -> bool:
        """Tell whether the rules differ, rather than the record or the moment of the last test."""
        return (
            self.structure == GOOD and self.diverged_at is not None and not self.is_end_of_game_only
        )

    @property
    def ok(self) -> bool:
        """Tell whether the game passes the gate."""
        return self.structure == GOOD and not self.diverged

    def as_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "file": self.file,
            "game": self.game,
            "engine": self.engine,
            "config": self.config,
            "plies": self.plies,
            "structure": self.structure,
            "detail": self.detail,
            "diverged_at": self.diverged_at,
            "mismatch_kinds": self.mismatch_kinds,
            "expected": self.expected,
            "got": self.got,
            "is_end_of_game_only": self.is_end_of_game_only,
            "inserted": self.inserted,
        }

    def __str__(self) -> str:
        head = f"{self.file} game {self.game} ({self.engine})"
        if self.diverged_at is None:
            return f"{head}: {self.detail or self.structure}"
        kinds = "; ".join(
            f"{kind}: expected {self.expected[kind]!r:.300}, got {self.got[kind]!r:.300}"
            for kind in self.mismatch_kinds
        )
        note = " (end of game only)" if self.is_end_of_game_only else ""
        structure = "" if self.structure == GOOD else f" {self.structure}"
        return f"{head} ply {self.diverged_at}{structure} {kinds}{note}"

    def compact(self) -> str:
        """Return the result in one short line."""
        kinds = ",".join(self.mismatch_kinds) or self.detail or self.structure
        at = "-" if self.diverged_at is None else self.diverged_at
        return f"{self.game} {self.engine} {self.structure} ply {at} {kinds}"


@dataclass(slots=True)
class Report:
    """Totals of the passes of one or more engines; `failures` are the games that did not pass."""

    games: int = 0
    plies: int = 0
    skipped: int = 0
    structural: int = 0
    non_canonical: int = 0
    divergences: int = 0
    end_of_game_only: int = 0
    inserted: int = 0
    seconds: float = 0.0
    failures: list[GameCheck] = field(default_factory=list)
    by_engine: Counter[str] = field(default_factory=Counter)
    moves: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        """Tell whether the gate passes: games were checked, and none failed."""
        return self.games > 0 and not self.structural + self.non_canonical + self.divergences

    def add(self, check: GameCheck) -> None:
        """Count one result."""
        self.by_engine[check.engine] += 1
        self.games = max(self.by_engine.values())
        self.plies += check.plies
        self.inserted += check.inserted
        self.structural += check.structure == INVALID
        self.non_canonical += check.structure == NON_CANONICAL
        self.divergences += check.diverged
        self.end_of_game_only += check.is_end_of_game_only
        self.moves += check.moves
        if check.end is not None:
            self.ends[check.end] += 1
        if not check.ok or check.is_end_of_game_only:
            self.failures.append(check)
