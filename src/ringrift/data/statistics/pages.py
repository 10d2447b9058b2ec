"""Summaries in pages, with what is known of the games beside their moves (data.md 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ringrift.data.statistics.layout import ROW, WORD
from ringrift.data.statistics.summary import Summary
from ringrift.records.analysis import Analysis
from ringrift.records.record import GameMeta, GameRecord

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """Which plies of a game carry a distribution: all, those searched in full, most simulations."""

    plies: frozenset[int]
    full: frozenset[int]
    sims: int

    @classmethod
    def of(cls, found: Sequence[tuple[int, str, int]]) -> Searched:
        """Make it of (ply, kind, simulations)."""
        return cls(
            plies=frozenset(ply for ply, _, _ in found),
            full=frozenset(ply for ply, kind, _ in found if kind != "cheap"),
            sims=max((sims for _, _, sims in found), default=0),
        )

    @classmethod
    def in_analyses(cls, analyses: Sequence[Analysis]) -> Searched | None:
        """Make it of analyses, None of none."""
        if not analyses:
            return None
        return cls.of([(p.ply, p.kind, p.sims) for analysis in analyses for p in analysis.plies])


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a game beside its moves.

    `specs` are those of the agents when it began. `inferred` is true where an import had to find
    out something that its file did not say.
    """

    config: str
    end: str
    reason: str
    specs: tuple[str, ...]
    host: str | None = None
    started: float | None = None
    ms: int | None = None
    inferred: bool = False
    searched: Searched | None = None

    @classmethod
    def of_record(cls, record: GameRecord, analyses: Sequence[Analysis]) -> Known:
        """Take it from a record and its analyses."""
        return cls(
            config=record.spec.config,
            end=record.result.end,
            reason=record.result.reason,
            specs=tuple(agent.spec for agent in record.agents),
            host=record.meta.host,
            started=record.meta.started,
            ms=record.meta.ms,
            inferred=is_inferred(record.meta),
            searched=Searched.in_analyses(analyses),
        )


_INFERRED = ("inserted:", "line_length_", "searched:", "hashes_of_unknown_kind:")


def is_inferred(meta: GameMeta) -> bool:
    """Tell whether an import had to infer something of the game; it left a tag then."""
    return any(tag.startswith(_INFERRED) for tag in meta.tags)


@dataclass(frozen=True)
class Page:
    """Some games: what is known of each and its summary, in one order."""

    known: list[Known]
    summaries: list[Summary]

    @cached_property
    def rows(self) -> Array:
        """`ROW[n]`."""
        return np.frombuffer(b"".join(s.row for s in self.summaries), ROW)

    @cached_property
    def words(self) -> Array:
        """`WORD[plies]` of all games, one after the other."""
        return np.frombuffer(b"".join(s.words for s in self.summaries), WORD)

    @cached_property
    def lengths(self) -> Array:
        """`int64[n]`: plies of each game in `words`."""
        sizes = [len(s.words) // WORD.itemsize for s in self.summaries]
        return np.array(sizes, np.int64)

    def by_config(self) -> dict[str, Page]:
        """Split the page by configuration."""
        parts: dict[str, tuple[list[Known], list[Summary]]] = {}
        for known, summary in zip(self.known, self.summaries, strict=True):
            part = parts.setdefault(known.config, ([], []))
            part[0].append(known)
            part[1].append(summary)
        return {config: Page(*part) for config, part in parts.items()}
