"""A game as a foreign file tells it, before it is replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ringrift.records.foreign.moves import PartialMove
from ringrift.records.foreign.states import ForeignState
from ringrift.records.record import VerificationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a record says about the rules; None is the default, or unknown for the line length."""

    rings_per_player: int | None = None
    hand: tuple[int, ...] | None = None
    lps_rounds: int | None = None
    swap_rule: bool | None = None
    base_line_length: int | None = None
    ring_threshold: int | None = None
    territory_minimum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a record says of the final score, one number per seat; None where it is silent.

    `remaining` are rings in hand, or in hand and on the board: files differ.
    """

    elim: tuple[int, ...] | None = None
    terr: tuple[int, ...] | None = None
    hand: tuple[int, ...] | None = None
    remaining: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a record says of its end; None where it is silent.

    `reason` is as written, `resigned` the seat that did.
    """

    status: str | None = None
    winner: int | None = None
    reason: str | None = None
    resigned: int | None = None
    plies: int | None = None
    score: Score = field(default_factory=Score)
    final_hash: str | None = None
    initial_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlyClaims:
    """What a record says of the position before a ply; None where it is silent."""

    state: ForeignState | None = None
    hashes: tuple[str, ...] = ()
    phase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignGame:
    """One game of a foreign file; `row` names its place in it.

    `plies` maps a number of moves played to what is claimed of the position then; it has one map
    for each way to read the file's numbers. `start` is None for the ordinary start, a state, or a
    canonical text.
    """

    format: str
    file: str
    row: int
    id: str | None
    board: str
    players: int
    options: Options
    start: ForeignState | str | None
    moves: Sequence[PartialMove]
    claims: Claims
    plies: Sequence[Mapping[int, PlyClaims]]
    seats: Sequence[Mapping[str, object]] = ()
    seed: int | None = None
    source: str | None = None
    started: float | None = None
    ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a file: a game, or why it is none. `id` is the game's own, None if unread.

    `data` returns the bytes of the row, for the quarantine.
    """

    file: str
    row: int
    id: str | None
    data: Callable[[], bytes]
    game: ForeignGame | None = None
    error: VerificationError | None = None
