"""Plain-Python rules beside the compiled ones, at every ply of a game (selfplay.md 3).

A spawned process runs the rules uncompiled and sends what it finds at each ply; the compiled rules
play the same moves here. One difference is enough for an anomaly.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from types import TracebackType
from typing import TYPE_CHECKING

from ringrift.core.processes import begin_worker, plain_children
from ringrift.selfplay.anomalies import PLAIN, Anomaly

if TYPE_CHECKING:
    from ringrift.records.record import GameRecord
    from ringrift.rules.spec import BoardSpec

Trail = tuple[list[tuple[str, int, str]], str | None]
"""For each ply the phase, the engine's hash and a digest of the legal set; and what stopped it."""


class PlainRules:
    """Compares games on both engines; a context manager that keeps one process."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> PlainRules:
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=begin_worker)
        self._pool = self._closing.enter_context(pool)
        with plain_children():
            pool.submit(os.getpid).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._closing.close()

    def difference(self, record: GameRecord) -> Anomaly | None:
        """Return where the engines differ in a game, None if they do not."""
        assert self._pool is not None
        asked = self._pool.submit(trail, record.spec, record.start, record.moves)
        return first_difference(trail(record.spec, record.start, record.moves), asked.result())


def trail(spec: BoardSpec, start: str | None, moves: Sequence[int]) -> Trail:
    """Play moves and note every position on the way, before the first and after the last."""
    from ringrift.core.errors import RingriftError
    from ringrift.rules import Position

    position = Position.of(spec) if start is None else Position.parse(start, spec=spec)
    found = []
    for move in (*moves, None):
        legal = position.legal_packed()
        digest = hashlib.sha256(sorted(legal.tolist()).__repr__().encode()).hexdigest()[:16]
        found.append((position.phase, position.hash64, digest))
        if move is None:
            break
        try:
            position.play(move)
        except RingriftError as error:
            return found, error.message
    return found, None


def first_difference(compiled: Trail, plain: Trail) -> Anomaly | None:
    """Compare two trails of one game."""
    words = ("phase", "hash", "legal set")
    for ply, (ours, theirs) in enumerate(zip(compiled[0], plain[0], strict=False)):
        for word, a, b in zip(words, ours, theirs, strict=True):
            if a != b:
                detail = f"{word}: compiled {a}, plain {b}"
                return Anomaly(kind=PLAIN, ply=max(0, ply - 1), detail=detail)
    if compiled[1] != plain[1]:
        ply = min(len(compiled[0]), len(plain[0])) - 1
        return Anomaly(kind=PLAIN, ply=ply, detail=f"compiled {compiled[1]}, plain {plain[1]}")
    return None
