"""Verification on the compiled engine, on plain Python in processes of its own, or on both."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from types import TracebackType
from typing import Literal

from ringrift.core.processes import begin_worker, plain_children
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes, analysis_to_bytes
from ringrift.records.game_bytes import from_bytes, to_bytes
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.verify import verified_play, verify
from ringrift.rules.cpu import core_count
from ringrift.rules.jitconf import COMPILED

Engine = Literal["compiled", "plain", "both"]
Copy = tuple[GameRecord, Sequence[Analysis]]

_PIECE = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """What an engine found wrong with a game."""

    engine: str
    error: VerificationError


class Engines:
    """Verifies games on the engines asked for; a context manager."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._closing = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Engines:
        if self._engine != "compiled":
            pool = ProcessPoolExecutor(
                core_count(), mp_context=get_context("spawn"), initializer=begin_worker
            )
            self._pool = self._closing.enter_context(pool)
            with plain_children():
                assert pool.submit(_is_plain).result()  # all are started now
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._closing.close()

    def plays(self, batch: Sequence[Copy]) -> list[str | Fault]:
        """Return each game's play hash, or what was found wrong with it first."""
        if self._pool is None:
            return [_compiled(copy) for copy in batch]
        sealed = [(to_bytes(game), [analysis_to_bytes(a) for a in found]) for game, found in batch]
        pieces = [sealed[first : first + _PIECE] for first in range(0, len(sealed), _PIECE)]
        answers = [self._pool.submit(_plain, piece) for piece in pieces]
        if self._engine == "plain":
            return list(chain.from_iterable(answer.result() for answer in answers))
        compiled = [_compiled(copy) for copy in batch]
        plain = chain.from_iterable(answer.result() for answer in answers)
        return [
            ours if isinstance(ours, Fault) else theirs
            for ours, theirs in zip(compiled, plain, strict=True)
        ]


def play_of(record: GameRecord, analyses: Sequence[Analysis]) -> str:
    """Verify a game with all its analyses; return its play hash."""
    play = verified_play(record, analyses[0] if analyses else None)
    for analysis in analyses[1:]:
        verify(record, analysis)
    return play


def _compiled(copy: Copy) -> str | Fault:
    try:
        return play_of(*copy)
    except VerificationError as error:
        return Fault("compiled", error)


def _plain(piece: list[tuple[bytes, list[bytes]]]) -> list[str | Fault]:
    found: list[str | Fault] = []
    for game, analyses in piece:
        try:
            found.append(play_of(from_bytes(game), [analysis_from_bytes(a) for a in analyses]))
        except VerificationError as error:
            found.append(Fault("plain", error))
    return found


def _is_plain() -> bool:
    return not COMPILED
